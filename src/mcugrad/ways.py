"""Ways to train: their sizes, and the most that fits.

Sizes are those of the build itself, to the byte, but nothing is encoded, executed or written as C for them, and few
ways are tried: the more layers train, the more RAM it takes, so the most that fits is found by halving.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mcugrad.emit import layout
from mcugrad.errors import ModelError, UsageError
from mcugrad.footprint import Footprint, Room
from mcugrad.graph import ActivationScale, WeightScale
from mcugrad.model import Model
from mcugrad.options import Budget, Options
from mcugrad.passes.calibrate import Calibration
from mcugrad.passes.freeze import Train
from mcugrad.passes.program.store_latents import store_latents
from mcugrad.passes.stage import looked_at
from mcugrad.pipeline import calibrate, complete, lowered, macs_of
from mcugrad.plan import Choices, Planned, RunsAgain, aligned, choices, more_than, planned
from mcugrad.plan.recompute import taken
from mcugrad.program import Program, Space
from mcugrad.program.segment import FROZEN
from mcugrad.training.rules import FAMILY, Rule, Updates, updates
from mcugrad.training.sparse import fixes_channels

DEEP = 64
"""Layers with weights up to which nobody has to ask to hear of calls that run again: the time for it grows with their
square."""


@dataclass(frozen=True)
class Latents:
    """What a replay buffer gains if it holds latents.

    Attributes:
        size: bytes of a sample's.
        skipped: instructions of a training step that one on a stored sample does without, estimated from what kernels
            with int8 weights were counted to take; what others take comes on top.
    """

    size: int
    skipped: float

    @classmethod
    def of(cls, program: Program, with_room: Program, macs: Mapping[str, int], core: str) -> Latents | None:
        """Those of a program that stores inputs, and whose calls have scratch in another; None where there are none."""
        cut = looked_at(store_latents(program, macs))
        if not cut.stores_latents:
            return None
        calls = with_room.segments[FROZEN].calls[: len(cut.segments[FROZEN].calls)]
        return cls(cut.stored, sum(taken(call, core) for call in calls))


@dataclass(frozen=True)
class _Size:
    """A footprint without residual planes, the one thing that the rules of the family differ in.

    Attributes:
        state: bytes of what training keeps.
        rest: bytes of RAM beside it, with the smallest arena.
        constants: bytes of flash beside it.
        reserve: bytes that are kept for the stack and for what calls the model.
        rows: channels of each weight tensor that trains, and weights per channel.
        offered: programs, and arenas that they can have.
        kept: those of them in which nothing runs again.
        latents: what stored samples take and save; None where nothing is frozen in front of what trains.
    """

    state: int
    rest: int
    constants: int
    reserve: int
    rows: tuple[tuple[int, int], ...]
    offered: Choices
    kept: Choices
    latents: Latents | None

    def footprint(self, rule: Rule | None, budget: Budget, code: int, data: int) -> Footprint:
        """With the residual planes of a rule, what a budget adds, and what a linked firmware takes besides."""
        least, curve = self._least(rule, code, data), self.offered.curve
        more = budget.choose(curve, least.need).size - curve.points[0].size
        return replace(least, ram=least.ram + more)

    def again(self, rule: Rule | None, budget: Budget, code: int, data: int) -> RunsAgain | None:
        """What runs again in what the same budget chooses, and what that takes; None where nothing does."""
        least, curve, kept = self._least(rule, code, data).need, self.offered.curve, self.kept.curve
        point = budget.choose(curve, least)
        program, plan = self.offered.of(point).taken(point)
        if plan.again is None:
            return None
        other = budget.choose(kept, least + kept.points[0].size - curve.points[0].size)
        return more_than(self.kept.of(other).taken(other)[0], program, plan.again, budget.core)

    def _least(self, rule: Rule | None, code: int, data: int) -> Footprint:
        planes = 0 if rule is None else sum(out * rule.residual_row(count) for out, count in self.rows)
        ram, constants = aligned(self.state + planes) + self.rest, self.constants + self.state + planes
        return Footprint(ram, constants + code, self.reserve + data)


class Footprints:
    """Memory of ways to train a network; each is computed once, for all rules of the family together.

    Args:
        model: the network.
        scales: from `calibrate`; of every activation, where `train` says which of them are int8.
        options: all but what trains, and how.

        code: bytes of flash that a linked firmware takes beside constants, where that is known.
        data: bytes of RAM that it takes beside model, sample and reserve.

    Attributes:
        computed: how many ways were lowered and planned so far.
    """

    def __init__(
        self,
        model: Model,
        scales: Mapping[str, ActivationScale],
        options: Options,
        *,
        code: int = 0,
        data: int = 0,
    ) -> None:
        self.model = model
        self.computed = 0
        self._scales = scales
        self._code, self._data = code, data
        self._options = options
        self._known: dict[tuple[Train, Updates], _Size | ModelError] = {}
        self._whole: set[str | tuple[str, ...]] = {"none"}

    def of(self, train: Train, how: Updates) -> Footprint:
        """Memory of a way to train, as it is built. Raises ModelError where an accumulator could overflow."""
        return self._of(train, how, self._options.budget)

    def least(self, train: Train, how: Updates) -> Footprint:
        """The same where kernels get nothing to be faster: what has to fit."""
        return self._of(train, how, replace(self._options.budget, prefer="ram"))

    def again(self, train: Train, how: Updates) -> RunsAgain | None:
        """What runs again in a way to train, for which `of` has been asked; None where nothing does."""
        key, rule = self._shared(train, how)
        found = self._known[key]
        if isinstance(found, ModelError):
            return None
        return found.again(rule, self._options.budget, self._code, self._data)

    def _of(self, train: Train, how: Updates, budget: Budget) -> Footprint:
        key, rule = self._shared(train, how)
        if key not in self._known:
            try:
                self._known[key] = self._computed(replace(self._options, train=train, updates=key[1]))
            except ModelError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, ModelError):
            raise found
        return found.footprint(rule, budget, self._code, self._data)

    def without_sparse(self, train: Train) -> bool:
        """Whether `sparse=` must not be asked for, as what trains has no layers for it; once it has been computed."""
        return self._options.sparse is not None and _named(train) in self._whole

    def knows(self, train: Train, how: Updates) -> bool:
        """Whether somebody has asked for a way to train, so that to ask again takes no time."""
        return self._shared(train, how)[0] in self._known

    def latents(self, train: Train, how: Updates) -> Latents | None:
        """What latents take and save in a way to train, for which `of` has been asked; None where there are none."""
        found = self._known[self._shared(train, how)[0]]
        return None if isinstance(found, ModelError) else found.latents

    def fits(self, train: Train, how: Updates, room: Room) -> bool:
        """Whether a way to train fits into the memory that there is, the stack included."""
        try:
            return self.least(train, how).fits(room)
        except ModelError:
            return False

    def halvings(self) -> list[str]:
        """`all`, and `last:N` for half as many layers each time, down to 1."""
        counts = [len(self.model.layers)]
        while counts[-1] > 1:
            counts.append(counts[-1] // 2)
        return [self._last(n) for n in counts if n]

    def most(self, how: Updates, room: Room, *, known: str | None = None) -> str | None:
        """The most layers that can train within what there is: `all` or `last:N`; None where not even one can.

        More layers take more RAM. Where it runs out is guessed along a straight line between what is known, and by
        halving where that does not come nearer.

        Args:
            how: each layer learns.
            room: what there is.
            known: a way that fits, as somebody knows already; hardly more often do.
        """
        fits, too_many = 0, len(self.model.layers)
        if not too_many or known == "all" or self.fits("all", how, room):
            return "all" if too_many else None
        if known is not None and known.startswith("last:"):
            fits = int(known.removeprefix("last:"))
            if fits + 1 < too_many and not self.fits(self._last(fits + 1), how, room):
                return known
        for count in range(fits + 1, too_many):
            if self.knows(self._last(count), how):
                if not self.fits(self._last(count), how, room):
                    too_many = count
                    break
                fits = count
        guess = True
        while too_many - fits > 1:
            count = self._between(fits, too_many, how, room) if guess else (fits + too_many) // 2
            before = too_many - fits
            if self.fits(self._last(count), how, room):
                fits = count
            else:
                too_many = count
            guess = not guess or 2 * (too_many - fits) <= before
        return self._last(fits) if fits else None

    def _between(self, fits: int, too_many: int, how: Updates, room: Room) -> int:
        try:
            low, high = (self.least(self._last(n), how).need for n in (fits, too_many))
        except ModelError:
            return (fits + too_many) // 2
        share = (room.ram - low) / max(high - low, 1)
        return min(max(fits + int(share * (too_many - fits)), fits + 1), too_many - 1)

    def _last(self, count: int) -> str:
        return {len(self.model.layers): "all", 0: "none"}.get(count, f"last:{count}")

    def _computed(self, options: Options) -> _Size:
        self.computed += 1
        try:
            graph = complete(self.model, self._scales, options)
        except UsageError:  # sparse= asks for layers that then do not train
            if options.sparse is None:
                raise
            self._whole.add(_named(options.train))
            options = replace(options, sparse=None)
            graph = complete(self.model, self._scales, options)
        flat = lowered(graph, replace(options, replay_of="inputs"), sizes_only=True)
        programs = planned(flat, options.plan, options.recomputed_on)
        program, plan = programs[0]
        place = layout(program, plan)
        whole = Footprint.of(program, place)
        offered = choices(programs, options.budget.core)
        whole_ones = [each for each in programs if each[1].again is None]
        kept = offered if len(whole_ones) == len(programs) else choices(whole_ones, options.budget.core)
        point = options.budget.choose(offered.curve, whole.need)
        with_room, _ = offered.of(point).taken(point)
        latents = Latents.of(offered.of(point).program, with_room, macs_of(graph), options.budget.core)
        state = sum(b.size for b in program.in_space(Space.STATE))
        weights = [t for t in graph.tensors.values() if t.rule and isinstance(t.quant, WeightScale)]
        rows = tuple((t.shape[0], t.size // t.shape[0]) for t in weights)
        rest, constants = whole.ram - place.params_size, whole.constants - state
        return _Size(state, rest, constants, whole.reserve, rows, offered, kept, latents)

    def _shared(self, train: Train, how: Updates) -> tuple[tuple[Train, Updates], Rule | None]:
        """What is computed for a way to train, and the rule whose residual planes come on top."""
        named = _named(train)
        # which rows are in flash depends on residual planes
        family = () if fixes_channels(self._options.sparse) else FAMILY
        for rule in family:
            if how == updates(rule.name):
                return (named, updates("sr8")), rule
        return (named, how), None


def _named(train: Train) -> str | tuple[str, ...]:
    """What trains, as a key."""
    return train if isinstance(train, str) else tuple(train)


def planned_sizes(
    model: Model, scales: Mapping[str, ActivationScale], options: Options
) -> tuple[Planned, ...]:
    """Programs of the sizes that `build` chooses from, the smallest first; no contents, no scratch, and no C.

    Args:
        model: the network.
        scales: from `calibrate`, for the same precision and the same layers.
        options: what the user decides.

    Raises:
        UsageError: `train` names nothing, `sparse` does not fit what trains.
        ModelError: an accumulator could overflow.
    """
    return planned(
        lowered(complete(model, scales, options), options, sizes_only=True),
        options.plan,
        options.recomputed_on,
    )


def made_up(model: Model) -> dict[str, ActivationScale]:
    """Scales of all activations from samples that mean nothing, for sizes, which do not depend on ranges."""
    noise = np.random.default_rng(0).standard_normal((2, *model.input_shape), np.float32)
    return calibrate(model, noise, Calibration("minmax"))
