"""What to say where the chosen way to train is too large: what takes most, and what would fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from mcugrad.errors import Consumer, FitError
from mcugrad.footprint import NAMED, Footprint, Room, flash_consumers, fullest, ram_consumers
from mcugrad.graph import ActivationScale
from mcugrad.model import Model
from mcugrad.options import Options
from mcugrad.passes.freeze import Train
from mcugrad.pipeline import Build
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.targets import Target, kib
from mcugrad.training.rules import Update, Updates, updates
from mcugrad.ways import DEEP, Footprints, made_up, planned_sizes

Memory = Literal["RAM", "flash"]

SMALL, PORTABLE = "-Os", "-DMCG_PORTABLE"
"""What asks a compiler for small code, and for the bodies of kernels that take least of it, as they are slowest."""
NOTHING = "a smaller input or network: not even inference fits"
"""What is left to try where no way to train, nor to predict, fits."""


def check_fit(
    model: Model, scales: Mapping[str, ActivationScale], options: Options, result: Build, room: Room
) -> None:
    """Refuse what does not fit into the memory that there is; a linked firmware is checked again, code included.

    Raises:
        FitError: what is needed, what there is, where the peak is, what takes most, and which `train=` would fit.
    """
    found, compiled = result.footprint, result.compiled
    wanted = _Wanted(model, scales, options, room)
    if found.need > room.ram:
        what = "training" if compiled.program.trains else "inference"
        raise FitError(
            f"{what} needs {room.shortage(found.need, 'RAM')}",
            where=f"{_peak(result)}, {found.reserve} B kept for the stack and for what calls the model",
            hint=_hint([*_more_room(found, room), *([*wanted.ways()] or [NOTHING])]),
            largest=ram_consumers(compiled.program, compiled.plan)[:NAMED],
        )
    if room.flash is not None and found.constants > room.flash:
        raise FitError(
            f"the constants alone need {room.shortage(found.constants, 'flash')}",
            where=f"weights and tables of {model.name}",
            hint=_hint(replace(wanted, memory="flash").ways()),
            largest=flash_consumers(compiled.program)[:NAMED],
        )


def with_way_out(error: FitError, model: Model, made: Build, options: Options, target: Target) -> FitError:
    """What a linker found too large, with what takes most, and what would fit: other flags, or other ways to train.

    Args:
        error: what it said.
        model: the network.
        made: what was linked.
        options: what was wanted of it.
        target: for which.
    """
    if not error.short:
        return error
    found, compiled = made.footprint, made.compiled
    code = target.flash.bytes + error.short["flash"] - found.constants if "flash" in error.short else 0
    data = target.ram.bytes + error.short["RAM"] - found.need if "RAM" in error.short else 0
    wanted = _Wanted(model, made.scales, options, Room.of(target), "flash" if code else "RAM", code, data)
    if code:
        largest = flash_consumers(compiled.program, code=code)
        ways = [*_with_smaller_code(made, target), *wanted.ways()]
    else:
        largest = ram_consumers(compiled.program, compiled.plan, linked=data)
        ways = [*wanted.ways()]
    return FitError(
        error.what, where=error.where, hint=_hint(ways), short=error.short, largest=largest[:NAMED]
    )


def largest_of(model: Model, options: Options, memory: Memory = "RAM") -> tuple[Consumer, ...]:
    """What takes most of what a way to train takes, of which there is no build.

    Args:
        model: the network.
        options: the way; sizes do not depend on ranges, so none are asked for.
        memory: `RAM`, or `flash` for constants.

    Raises:
        UsageError: `train` names nothing.
        ModelError: an accumulator could overflow.
    """
    program, plan = planned_sizes(model, made_up(model), options)[0]
    found = flash_consumers(program) if memory == "flash" else ram_consumers(program, plan)
    return found[:NAMED]


@dataclass(frozen=True)
class _Wanted:
    """What is wanted, and what it has to fit.

    Attributes:
        model: the network.
        scales: from `calibrate`.
        options: what is wanted of it.
        room: memory that there is.
        memory: which of it is short.
        code: bytes of flash that a linked firmware takes beside constants, where that is known.
        data: bytes of RAM that it takes beside model, sample and reserve.
    """

    model: Model
    scales: Mapping[str, ActivationScale]
    options: Options
    room: Room
    memory: Memory = "RAM"
    code: int = 0
    data: int = 0

    def ways(self) -> Iterator[str]:
        """What fits: the chosen way where calls may run again; the most layers without, and with that, if more."""
        plain = self._sizes(recompute=self.options.recompute)
        if not plain.fits("none", self.options.updates, self.room):  # nothing takes less
            if self.options.precision != "int8":
                options = replace(self.options, precision="int8")
                as_int8 = replace(self, scales=made_up(self.model), options=options)
                yield from (f"precision=int8 with {way}" for way in as_int8.ways())
            return
        most = self._most(plain)
        again = None
        could_help = self.memory == "RAM" and not self.options.recompute and not self._fits(plain)
        if could_help and len(self.model.layers) <= DEEP:
            again = self._sizes(recompute=True)
            if self._fits(again):
                yield self._text(again, self.options.train, self.options.updates)
                again = None
        yield next(way for train in (most, "bias", "none") if train and (way := self._way(plain, train)))
        if could_help and len(self.model.layers) > DEEP:
            yield "recompute=True, which may take less"
        if again is not None and (more := self._most(again, most)) not in (None, most):
            assert more is not None
            yield self._way(again, more)

    def _sizes(self, *, recompute: bool) -> Footprints:
        # In mixed precision how much of it is int8 depends on what trains.
        scales = made_up(self.model) if self.options.precision == "mixed" else self.scales
        budget = replace(self.options.budget, ram=self.room.ram)
        options = replace(self.options, budget=budget, recompute=recompute)
        return Footprints(self.model, scales, options, code=self.code, data=self.data)

    @property
    def _smallest(self) -> Updates:
        return updates("sr8") if self.options.precision == "int8" else self.options.updates

    @property
    def _beside_rule(self) -> list[str]:
        """Options that a call has beside the rule, and that take the plane of changes, or need it."""
        learn = [self.options.updates.rest, *(each for _, each in self.options.updates.named)]
        names = ("batch", "momentum", "velocity_bits", "clip")
        return [
            name for name in names if any(getattr(each, name) != getattr(Update(), name) for each in learn)
        ]

    def _fits(self, sizes: Footprints) -> bool:
        return sizes.fits(self.options.train, self.options.updates, self.room)

    def _most(self, sizes: Footprints, known: str | None = None) -> str | None:
        """The most that can be trained: more layers by the smallest rule before fewer by the chosen one."""
        return sizes.most(self._smallest, self.room, known=known) or sizes.most(
            self.options.updates, self.room, known=known
        )

    def _way(self, sizes: Footprints, train: str) -> str:
        """A way to train by the chosen rule, or by the smallest; empty where it fits by neither."""
        for how in dict.fromkeys((self.options.updates, self._smallest)):
            if sizes.fits(train, how, self.room):
                return self._text(sizes, train, how)
        return ""

    def _text(self, sizes: Footprints, train: Train, how: Updates) -> str:
        """It as options, with what it takes; of the chosen one what is not chosen yet."""
        found, again = sizes.of(train, how), sizes.again(train, how)
        words = [f"train={train}"] * (train != self.options.train or again is None)
        words += [f"rule={how.text}"] * (how != self.options.updates)
        words += [f"no {option}=" for option in self._beside_rule] if how != self.options.updates else []
        words += ["recompute=True"] * (again is not None and not self.options.recompute)
        words += ["sparse=None"] * sizes.without_sparse(train)
        taken = kib(found.need) if self.memory == "RAM" else f"{kib(found.constants)} of flash"
        cost = "" if again is None else f"; {again.cost}"
        return f"{' with '.join(words)}   ({taken}{cost})"


def _more_room(found: Footprint, room: Room) -> Iterator[str]:
    """More than `ram=` says, where that is what says how much there is."""
    if room.target is None or room.ram < found.need <= room.target.ram.bytes:
        yield f"ram={found.need} or more"


def _hint(ways: Iterable[str]) -> str:
    return ";  ".join(ways) or NOTHING


def _with_smaller_code(made: Build, target: Target) -> Iterator[str]:
    """What a compiler that is asked for small code makes of it; nothing where that does not fit, either."""
    for more in ((), (PORTABLE,)):
        with suppress(FitError):
            device = EmulatedDevice(made.compiled, target, opt=SMALL, flags=more).device
            taken = kib(device.firmware.sizes.flash_image)
            yield f"{' '.join((SMALL, *more))} when you compile it   ({taken} of flash)"
            return


def _peak(result: Build) -> str:
    program, place, plan = result.compiled.program, result.compiled.layout, result.compiled.plan
    index, _ = fullest(program, plan)
    call = program.at(index)
    return (
        f"learned state {place.params_size} B, working memory {plan.size} B with its peak in call "
        f"{index + 1} of {program.length}, {call.kernel.name} of {call.node}"
    )
