"""Trainer: a compiled model that learns on this computer exactly as it will on the device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mcugrad import concerns
from mcugrad.advice import Rates, rescaled, shrunk
from mcugrad.answering import Answerer
from mcugrad.collapse import PROBED, Judge
from mcugrad.emulator.qemu import is_installed
from mcugrad.errors import FitError, UsageError
from mcugrad.fidelity import Fidelity, compared, float_outputs
from mcugrad.fit_check import with_way_out
from mcugrad.fitting import Course, Epoch, Samples, run
from mcugrad.given import demand_seed
from mcugrad.graph import ActivationScale
from mcugrad.health import Health, layers_of
from mcugrad.measure.cost import Cost, measure
from mcugrad.measure.layers import Bench, bench
from mcugrad.ops.selection.select_nodes import SelectSamples
from mcugrad.passes.quantize import check_samples
from mcugrad.progress import line
from mcugrad.rate_search import RateSearch, find
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.life import Life
from mcugrad.run.qemu import QemuDevice
from mcugrad.run.reference import ReferenceRunner
from mcugrad.share import Share
from mcugrad.state.trained import step_of
from mcugrad.targets import Target, kib
from mcugrad.targets import load as load_target
from mcugrad.training.augment import Augment
from mcugrad.training.guard import Guard
from mcugrad.training.losses import LabelKind
from mcugrad.training.rate_grid import grid, usual
from mcugrad.training.replay import Replay
from mcugrad.training.rules.update import Update
from mcugrad.training.schedules import Kind, Schedule, named, rate_given, shortened
from mcugrad.training.sparse import ONE
from mcugrad.verification import Verification, verify

_log = logging.getLogger(__name__)
Labels = Sequence[Any] | NDArray[Any]


class Trainer(Answerer):
    """A model compiled for a target, with its twin on this computer. Made by `compile`, or `load` from a state file.

    Trainers can be copied, deep-copied and pickled, for process pools and the like: the state goes along, the twin is
    built again or found in the cache.
    """

    rate_search: RateSearch | None = None
    """What the last `fit` found that looked for a learning rate; None if it was given one."""

    @property
    def trained_layers(self) -> tuple[str, ...]:
        """Names of the layers that learn."""
        return tuple(n.name for n in self.model.layers if self.build.graph[n.b].trainable)

    @property
    def ram(self) -> int:
        """Bytes of RAM that training needs, the input sample included, the stack not."""
        return self.build.ram

    def rates(self, rate: float) -> Rates:
        """A learning rate, and what is known of others that one might advise in its place."""
        found = self.rate_search
        usually = usual(self._learning)
        return Rates(rate, usually) if found is None else Rates(rate, usually, found.tried, found.safer)

    def __repr__(self) -> str:
        layers = f"{len(self.trained_layers)} of {len(self.model.layers)} layers"
        ram, flash = kib(self.ram), kib(self.build.constants)
        if self.target is not None:
            ram = f"{ram} of {kib(self.target.ram.bytes)}"
            flash = f"{flash} of {kib(self.target.flash.bytes)}"
        return f"<Trainer {self.model.name}: {layers} train by {self.options.method}, RAM {ram}, constants {flash}>"

    def fit(
        self,
        x: NDArray[Any],
        y: Sequence[Any] | NDArray[Any],
        *,
        epochs: int = 1,
        rate: float | Literal["auto"] | None = None,
        schedule: Kind | Schedule | Callable[[float], float] = "cosine",
        validation: tuple[NDArray[Any], Any] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        replay: Replay | None = None,
        augment: Augment | None = None,
        guard: Guard | tuple[NDArray[Any], Any] | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> list[Epoch]:
        """Train the twin, one step per sample, in C.

        Args:
            x: samples in real units, (n, *input shape).
            y: classes (n,), labels that apply (n, outputs), or values (n, outputs), by the loss.
            epochs: passes over the samples.
            rate: learning rate at the beginning, or after the warm-up. `auto` looks for one by trainings that leave no
                trace, some 6 times as long as the training itself, 10 to 50 times for less than 1,000 samples, less for
                a long one; `rate_search` then says what was found. Not given: the one that was compiled in, or `auto`
                if none was.
            schedule: `cosine`, which ends at a rate of 0, `constant`, `linear` or a Schedule, which the device's own
                code follows from here on; or a function from progress in [0, 1) to a factor, which sets the rate anew
                for each step.
            validation: held-out samples and classes, evaluated after each epoch.
            shuffle: a new order for each epoch; the order depends on `seed` alone.
            seed: of the order.
            replay: stored samples that are trained between the new ones, so that what was known is not forgotten.
            augment: how every sample that is trained, new or stored, changes at random first, each time anew; those
                that are remembered are trained as they came.
            guard: samples and labels that are not trained: when the error on them is worse than the best so far by
                more than a margin (2 points for a tuple), the best state comes back; looked at after each epoch, or as
                the Guard says.
            on_epoch: called after each epoch.

        Returns:
            One entry per epoch.

        Raises:
            DataError: samples or labels cannot be used.
            UsageError: nothing trains, an option makes no sense, or training diverged.

        Warns (McugradWarning) of samples beyond the calibrated range, of classes without samples, and of a training
        that has collapsed or learned nothing.
        """
        self._demand_training()
        demand_seed(seed)
        if not isinstance(replay, Replay | None):
            raise UsageError(f"replay={replay!r} is no Replay", where="replay", hint="replay=mg.Replay(64)")
        if replay is not None and replay.remember and self._kind is not LabelKind.CLASS:
            raise UsageError(
                f"the loss {self.options.loss.name} has no classes that a replay buffer could remember",
                where="replay",
                hint="loss='cross_entropy', or remember=False",
            )
        self._said.clear()
        samples = self.quantize(x)
        wanted = self.labels(y, len(samples))
        held_out = (
            None if validation is None else self._encoded(_pair(validation, "validation"), "validation ")
        )
        watched = guard if isinstance(guard, Guard | None) else Guard(*_pair(guard, "guard", ", or a Guard"))
        guarded = None if watched is None else self._encoded((watched.x, watched.y), "guard ")
        replayed = None if replay is None else self._encoded(replay.source, "replay source ")
        if self._kind is LabelKind.CLASS:
            trained = wanted if replayed is None else np.concatenate([wanted, replayed[1]])
            concerns.warn(
                concerns.of_classes(trained, self.model.classes, None if held_out is None else held_out[1])
            )
        fixed = self.options.rate if rate is None and self.options.rate_given else rate_given(rate)
        course = Course(
            epochs=epochs,
            rate=self.options.rate if fixed is None else fixed,
            schedule=schedule,
            shuffle=shuffle,
            seed=seed,
            is_class=self._kind is LabelKind.CLASS,
            is_share=self._kind is not LabelKind.VALUES,
            replay=None if replay is None else (replay, replayed),
            augment=None if augment is None else self.augmentation(augment),
            guard=None if watched is None or guarded is None else (guarded, watched.every, watched.margin),
        )
        largest, said = self._sizes(samples, wanted)
        concerns.warn(concerns.of_values(largest, said))
        remedy = rescaled(largest, said) if self._kind is LabelKind.VALUES else shrunk(said)
        course = replace(course, remedy=remedy)
        self.rate_search = None  # also where the next search is interrupted
        self.rate_search = (
            None if fixed is not None else self._find_rate((samples, wanted), course, tell=on_epoch is None)
        )
        if self.rate_search is not None:
            course = replace(course, rate=self.rate_search.rate)
        course = replace(
            course, judge=self._judge(course, samples), health=self._health(), share=self._share()
        )
        before = step_of(self.state)
        self._trained_on = (self.data_hash, before)
        try:
            history = run(
                self.twin,
                (samples, wanted),
                course,
                lambda: None if held_out is None else self._score(*held_out),
                on_epoch,
            )
        finally:
            if step_of(self.state) != before:
                self.record_data(samples, wanted, *(replayed or ()))
        concerns.warn(history[-1].notes)
        return history

    def search_rate(
        self, x: NDArray[Any], y: Labels, *, epochs: int = 1, seed: int = 0, brief: bool = False
    ) -> RateSearch:
        """Look for the learning rate of a `fit` with these samples, and what it reaches; nothing stays learned.

        Args:
            x: samples in real units, (n, *input shape).
            y: their labels, as `fit` takes them.
            epochs: passes over the samples that the training would have.
            seed: of their order.
            brief: let but the best of the short trainings go on to the end: a third of the steps, to compare ways.

        Raises:
            DataError: samples or labels cannot be used.
            UsageError: nothing trains, or an option makes no sense.
        """
        self._demand_training()
        demand_seed(seed)
        samples = self.quantize(x)
        is_class, is_share = self._kind is LabelKind.CLASS, self._kind is not LabelKind.VALUES
        course = Course(epochs, self.options.rate, "cosine", True, seed, is_class, is_share)
        return self._searched((samples, self.labels(y, len(samples))), course, brief)

    def _searched(self, data: Samples, course: Course, brief: bool = False) -> RateSearch:
        how = grid(self._learning), usual(self._learning), self._rating, self._guess, self.model.macs
        return find(self.twin, data, course, *how, brief=brief)

    def _find_rate(self, data: Samples, course: Course, *, tell: bool) -> RateSearch:
        """Look for a learning rate; log what was found, and say it where progress is shown."""
        found = self._searched(data, course)
        if found.has_diverged:
            said = self._sizes(*data)[1]
            raise UsageError(
                found.note or "",
                where="rate; what had been learned before is as it was",
                hint=course.remedy
                or f"weights or samples of another size: outputs go up to {said:.3g} before training",
            )
        _log.info("%s", found.text)
        if tell:
            line(found.text)
        concerns.warn([] if found.note is None else [found.note])
        return found

    def augmentation(self, augment: Augment) -> NDArray[Any]:
        """How samples change, as a device takes it: one `mcg_augment_t`, for `twin.begin_augment`.

        Raises:
            UsageError: a change that does not fit the input.
        """
        source = self.build.graph[self.build.graph.input]
        assert isinstance(source.quant, ActivationScale)
        if not isinstance(augment, Augment):
            raise UsageError(
                f"augment={augment!r} says of no change", where="fit", hint="augment=mg.Augment(shift=2)"
            )
        return augment.record(source.shape, source.quant.scale)

    def fidelity(self, x: NDArray[Any]) -> Fidelity:
        """What 8 bits cost: outputs of the network as delivered against those that its file gives in float32.

        Args:
            x: samples in real units, (n, *input shape), such as those of the calibration.

        Raises:
            DataError: wrong shape, empty, or not finite.
            ToolError: there is no compiler.
        """
        fresh = HostTwin(self.build.compiled)
        real = self._real(fresh.predict(self.quantize(x)), fresh.state())
        return compared(
            self._kind, real, float_outputs(self.model.graph, check_samples(self.build.graph, x, "x"))
        )

    def verify(
        self,
        x: NDArray[Any],
        y: Sequence[Any] | NDArray[Any],
        *,
        on: str | Sequence[str] = "emulator",
        rate: float | None = None,
        schedule: Kind | Schedule | None = None,
    ) -> Verification:
        """Take the same training steps on other executors, from what the twin has learned, and compare every bit.

        Compared are every output for the samples before and after training, all that every step reports (loss, rate,
        saturation, ..., as in `<name>_step_t`), and the learned state after every step. The trainer stays as it is.

        Args:
            x: samples in real units; one step each, in order.
            y: classes.
            on: `emulator` (the target's core), `reference` (NumPy), names of targets, or a list of these.
            rate: learning rate at the beginning of the steps; the one compiled in if not given.
            schedule: how it runs over them, to its end, by each executor's own code; if not given the one compiled
                in, its warm-up and decays shortened as its steps are.

        Raises:
            MismatchError: one bit differs; says what, and in which step.
            UsageError: nothing trains, or `on` names nobody.
            ToolError: the emulator or a compiler is missing.
        """
        self._demand_training()
        names = [on] if isinstance(on, str) else list(on)
        if not names:
            raise UsageError(
                "there is nobody to compare the host twin with",
                where="on",
                hint="on='emulator', or 'reference'",
            )
        samples = self.quantize(x)
        return verify(
            self.build.compiled,
            self.state,
            samples,
            self.labels(y, len(samples)),
            self._course(schedule, len(samples)).record(
                self.options.rate if rate is None else rate, len(samples)
            ),
            {name: partial(self._runner, name) for name in names},
        )

    def _course(self, schedule: Kind | Schedule | None, steps: int) -> Schedule:
        """A schedule over so many steps, or the whole course of the one compiled in."""
        if schedule is not None:
            return named(schedule)
        whole = self.options.steps or steps
        return shortened(self.options.schedule, steps / whole, steps - 1)

    def emulate(self, target: str | Target | None = None) -> EmulatedDevice:
        """The firmware on the emulated core of a target, holding what the twin has learned."""
        device = self._emulated(self._target(target))
        if self.build.compiled.layout.params:
            device.restore(self.state)
        return device

    def measure(self, x: NDArray[Any], y: Any = None, *, target: str | Target | None = None) -> Cost:
        """Memory, instructions, cycles and energy of a step, from an emulated run over a few samples."""
        samples = self.quantize(x)
        wanted = None if y is None else self.labels(y, len(samples))
        board = self._target(target)
        with self._linked(board):
            return measure(self.build, board, samples, wanted, self.options.rate)

    def bench(self, x: NDArray[Any], y: Any = None, *, target: str | Target | None = None) -> Bench:
        """The same layer by layer and pass by pass, from an emulated run that is stopped between the calls."""
        samples = self.quantize(x)
        wanted = None if y is None else self.labels(y, len(samples))
        board = self._target(target)
        with self._linked(board):
            return bench(self.build, board, samples, wanted, self.options.rate)

    def _sizes(self, samples: NDArray[np.int8], wanted: NDArray[Any]) -> tuple[float, float]:
        """Largest magnitudes of values to learn, 0 where labels are none, and of what the network says of a few."""
        said = float(np.abs(self._real(self.twin.predict(_few(samples)))).max())
        if self._kind is not LabelKind.VALUES:
            return 0.0, said
        return float(np.abs(self._wanted(wanted)).max()), said

    def _is_blank(self, samples: NDArray[np.int8]) -> bool:
        """Whether the network says the same of samples that differ, though its last layer has weights other than 0."""
        few, last = _few(samples), self.state.get(self.model.layers[-1].w)
        said = self.twin.predict(few)
        return bool((said == said[0]).all() and (few != few[0]).any()) and (last is None or bool(last.any()))

    def _judge(self, course: Course, samples: NDArray[np.int8]) -> Judge:
        """Who says whether a training comes to anything, and what to try where it does not."""
        options = self.options
        liveliest = max(
            self._learning, key=lambda update: (update.momentum, -update.batch), default=options.updates.rest
        )
        batch = min((update.batch for update in self._learning), default=1)
        return Judge(
            options.loss,
            self.model.classes,
            options.label_scale,
            liveliest,
            self.rates(course.rate),
            course.shuffle,
            batch,
            options.precision == "int8",
            self._is_blank(samples),
            course.remedy,
        )

    def _health(self) -> Health:
        """Who says which layers learn."""
        graph = self.build.graph
        names = [(n.name, n.w, n.b) for n in self.model.layers if graph[n.b].trainable]
        updates = {name: self.options.updates.of(name) for name, _, _ in names}
        batches = {name: update.batch for name, update in updates.items()}
        rules = {name: each.rule for name, each in updates.items() if self.options.precision == "int8"}
        return Health(layers_of(names, batches, self.state, rules))

    def _share(self) -> Share | None:
        """Who counts the samples that are learned from, where not all are."""
        draws = (node for node in self.build.graph.nodes if isinstance(node, SelectSamples))
        return next((Share(node.share / ONE, node.batch) for node in draws), None)

    @property
    def _learning(self) -> list[Update]:
        """How the layers learn that do."""
        return [self.options.updates.of(name) for name in self.trained_layers]

    def _target(self, target: str | Target | None) -> Target:
        if isinstance(target, Target):
            return target
        if target is None:
            return self.target or load_target("cortex-m4f")
        return load_target(target)

    def _runner(self, name: str) -> Life:
        if name == "reference":
            return ReferenceRunner(self.build.compiled)
        target = self._target(None if name == "emulator" else name)
        if not target.core.is_emulated and is_installed():
            return QemuDevice(self.build.compiled, target)
        return self._emulated(target)

    def _emulated(self, target: Target) -> EmulatedDevice:
        with self._linked(target):
            return EmulatedDevice(self.build.compiled, target)

    @contextmanager
    def _linked(self, target: Target) -> Iterator[None]:
        """Say what would fit where a linked firmware does not."""
        try:
            yield
        except FitError as error:
            raise with_way_out(error, self.model, self.build, self.options, target) from None


def _few(samples: NDArray[np.int8]) -> NDArray[np.int8]:
    """Some samples, evenly spaced."""
    return samples[np.linspace(0, len(samples) - 1, min(PROBED, len(samples))).round().astype(np.intp)]


def _pair(given: Any, option: str, otherwise: str = "") -> tuple[Any, Any]:
    """Samples and labels that a user handed over together."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise UsageError(
            f"{option}= takes samples and labels{otherwise}", where=option, hint=f"{option}=(x[:64], y[:64])"
        )
    return given[0], given[1]
