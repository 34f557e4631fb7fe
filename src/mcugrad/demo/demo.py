"""The demonstration: a deployed network meets a changed world, and learns on, on an emulated microcontroller.

The shipped digits network is put on an emulated Cortex-M4F with an nRF52840's memories. Its world changes: the sensor
is mounted upside down and the contrast is inverted. The device takes one training step per labelled digit of the new
world, in place, in 8-bit arithmetic. A twin on this computer takes the same steps; losses, learned state and logits
of the two are compared, and one different bit ends the demonstration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import targets
from mcugrad.api import compile  # noqa: A004
from mcugrad.errors import MismatchError
from mcugrad.measure.cost import Activity, Cost, activity
from mcugrad.model import Model, load
from mcugrad.progress import progress
from mcugrad.report.quantities import CostTable, FunctionShare, built_with, cost_table, profile
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.runner import differences
from mcugrad.targets import Target
from mcugrad.trainer import Trainer
from mcugrad.training.rules import rule
from mcugrad.training.schedules import rates
from mcugrad.zoo import data, model_path, worlds

TOP = 16
"""The largest value of a pixel of the digits; the network takes them divided by it."""
WORLD = "the sensor is mounted upside down, and the contrast is inverted"


@dataclass(frozen=True)
class Settings:
    """How the demonstration trains.

    The defaults were chosen by measuring: with six orders of the digits they end between 95.1 and 96.7 % in the
    new world; rates from 0.015 to 0.03 and the rule sr16 end within one percent of that.

    Attributes:
        passes: over the training digits of the new world.
        steps: stop after so many steps; None takes all of them.
        every: steps between two points of the curve.
        train: which layers learn.
        rule: how weights are stored and updated.
        rate: learning rate at the beginning; it falls to 0 as a cosine.
        target: board whose core and memories are emulated.
        seed: of the order of the digits and of the device's random numbers.
        replay_every: in the second experiment, every so many-th step takes an old digit.
        replay_kept: old digits that it keeps in flash.
    """

    passes: int = 5
    steps: int | None = None
    every: int = 150
    train: str = "all"
    rule: str = "sr8"
    rate: float = 0.02
    target: str = "nrf52840"
    seed: int = 0
    replay_every: int = 4
    replay_kept: int = 400


@dataclass(frozen=True)
class Point:
    """Accuracy on held-out digits after some steps.

    Attributes:
        step: training steps so far.
        new: share of digits of the new world that are predicted right.
        old: of the old world.
        loss: mean cross-entropy of the steps since the point before, nats; None at the start.
    """

    step: int
    new: float
    old: float
    loss: float | None


@dataclass(frozen=True, eq=False)
class Worlds:
    """The same digits in both worlds, as the device takes them: int8, (n, 64).

    Attributes:
        old, new: training digits.
        y: their classes.
        old_test, new_test: held-out digits.
        y_test: their classes.
        pictures: the held-out digits in both worlds, uint8, 0 to `TOP`.
    """

    old: NDArray[np.int8]
    new: NDArray[np.int8]
    y: NDArray[np.uint32]
    old_test: NDArray[np.int8]
    new_test: NDArray[np.int8]
    y_test: NDArray[np.uint32]
    pictures: tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Answer:
    """What the device says about one held-out digit: before and after training, in both worlds.

    Attributes:
        index: of the digit in the held-out part.
        label: its class.
        old_before, new_before, old_after, new_after: classes predicted.
    """

    index: int
    label: int
    old_before: int
    new_before: int
    old_after: int
    new_after: int


@dataclass(frozen=True, eq=False)
class Demo:
    """What came out.

    Attributes:
        settings: how it was trained.
        trainer: the compiled network; its twin holds what was learned.
        worlds: the digits.
        curve: accuracy over the steps; first point before training, last one after.
        replay: last point of the second experiment.
        answers: the first held-out digit of each class.
        compared: how often, and how many bytes of, learned state were compared with the twin; losses; logits.
        cost: what it takes, each number with its origin.
        functions: of a training step, most cycles first.
    """

    settings: Settings
    trainer: Trainer
    worlds: Worlds
    curve: tuple[Point, ...]
    replay: Point
    answers: tuple[Answer, ...]
    compared: dict[str, int]
    cost: CostTable
    functions: tuple[FunctionShare, ...]

    @property
    def top(self) -> int:
        """The largest value of a pixel of the pictures."""
        return TOP

    def facts(self) -> dict[str, Any]:
        """Everything, for JSON. The same on every run."""
        model, target = self.trainer.model, targets.load(self.settings.target)
        step = {q.key: q for q in self.cost.step}
        steps = self.curve[-1].step
        total = {
            key: None if step[key].value is None else (step[key].value or 0.0) * steps * factor
            for key, factor in (("time", 1e-3), ("energy", 1e-6))
        }
        return {
            "world": WORLD,
            "network": _network(model),
            "device": {
                "target": target.name,
                "title": target.title,
                "core": target.core.title,
                "clock_hz": target.clock_hz,
                "ram_bytes": target.ram.bytes,
                "flash_bytes": target.flash.bytes,
                "emulated": True,
            },
            "data": {
                "name": "digits",
                "train": len(self.worlds.y),
                "held_out": len(self.worlds.y_test),
                "classes": model.classes,
            },
            "settings": {**asdict(self.settings), "schedule": "cosine", "steps": steps},
            "rule": f"{self.settings.rule}: {rule(self.settings.rule).summary}",
            "trained_layers": list(self.trainer.trained_layers),
            "before": _accuracy(self.curve[0]),
            "after": _accuracy(self.curve[-1]),
            "replay": _accuracy(self.replay),
            "curve": [asdict(point) for point in self.curve],
            "answers": [asdict(answer) for answer in self.answers],
            "compared": self.compared,
            "cost": self.cost.facts(),
            "functions": [asdict(function) for function in self.functions],
            "training_on_device": {"seconds": total["time"], "joules": total["energy"], "how": "estimated"},
            "sources": self.cost.sources(),
            "notes": list(self.trainer.build.graph.notes),
        }


def run(settings: Settings, on_point: Callable[[Point], None] | None = None) -> Demo:
    """Train the emulated device in its new world.

    Args:
        settings: how.
        on_point: called with every point of the curve.

    Raises:
        MismatchError: device and twin differ in one bit.
        ToolError: a compiler or the emulator is missing.
        DataError: the digits are not installed.
    """
    trainer, digits = prepare(settings)
    target = targets.load(settings.target)
    device, twin = trainer.emulate(target), trainer.twin
    check = _Comparison(device, twin)

    old_before = check.predict(digits.old_test)
    new_before = check.predict(digits.new_test)
    curve = [_point(0, old_before, new_before, digits, None)]
    if on_point is not None:
        on_point(curve[0])
    order = stream(settings, len(digits.y))
    rate = rates(settings.rate, "cosine", len(order))
    device.device.forget_blocks()
    with progress("training on the emulated core", len(order)) as advance:
        for start in range(0, len(order), settings.every):
            part = slice(start, start + settings.every)
            loss = check.train(digits.new, digits.y, order[part], rate[part])
            logits = twin.predict(digits.old_test), twin.predict(digits.new_test)
            curve.append(_point(start + len(order[part]), *logits, digits, loss))
            advance(len(order[part]))
            if on_point is not None:
                on_point(curve[-1])
    trainer.record_data(digits.new, digits.y)
    step = activity(device, target, device.step_instructions)
    functions = profile(device, target, len(order))
    old_after = check.predict(digits.old_test)
    new_after = check.predict(digits.new_test)
    firmware = device.device.firmware
    cost = Cost(
        target=target,
        ram=trainer.build.compiled.layout.size,
        sample=digits.new.shape[1],
        stack=device.device.peak_stack,
        flash=firmware.sizes.flash,
        predict=_predict_cost(device, target, digits.new_test[:16]),
        step=step,
    )
    runs = (
        f"{check.counts['logits'] // trainer.model.classes:,} predictions and {len(order):,} training steps"
    )
    return Demo(
        settings,
        trainer,
        digits,
        tuple(curve),
        _replay(settings, trainer, digits),
        _answers(digits, old_before, new_before, old_after, new_after),
        check.counts,
        cost_table(
            cost, name=trainer.model.name, built_with=built_with(firmware.compiler, firmware.opt), runs=runs
        ),
        functions,
    )


def prepare(settings: Settings) -> tuple[Trainer, Worlds]:
    """The network compiled for the target, calibrated in its old world; the digits of both worlds."""
    found = data.load("digits")
    trainer = compile(
        load(model_path("digits_cnn")),
        calibration=_real(found.x_train[::5]),
        train=settings.train,
        rule=settings.rule,
        target=settings.target,
        rate=settings.rate,
        seed=settings.seed,
    )
    changed, changed_test = _change(found.x_train), _change(found.x_test)
    return trainer, Worlds(
        old=trainer.quantize(_real(found.x_train)),
        new=trainer.quantize(_real(changed)),
        y=found.y_train.astype(np.uint32),
        old_test=trainer.quantize(_real(found.x_test)),
        new_test=trainer.quantize(_real(changed_test)),
        y_test=found.y_test.astype(np.uint32),
        pictures=(found.x_test, changed_test),
    )


def stream(settings: Settings, count: int) -> NDArray[np.uint32]:
    """The order in which labelled digits of the new world arrive: every pass in another order."""
    random = np.random.default_rng(settings.seed)
    order = np.concatenate([random.permutation(count) for _ in range(settings.passes)])
    return order[: settings.steps].astype(np.uint32)


class _Comparison:
    """Does everything twice, on the device and on its twin, and compares every bit."""

    def __init__(self, device: EmulatedDevice, twin: HostTwin) -> None:
        self._device = device
        self._twin = twin
        state_bytes = sum(value.nbytes for value in twin.state().values())
        self.counts = {"states": 0, "state_bytes": state_bytes, "losses": 0, "logits": 0}

    def train(
        self,
        x: NDArray[np.int8],
        y: NDArray[np.uint32],
        order: NDArray[np.uint32],
        rate: NDArray[np.float32],
    ) -> float:
        """Training steps; returns their mean loss."""
        found = self._device.train(x, y, order, rate)
        expected = self._twin.train(x, y, order, rate)
        problems = differences(self._twin.state(), self._device.state())
        if found.loss.tobytes() != expected.loss.tobytes():
            problems.append("losses")
        self._demand(problems)
        self.counts["losses"] += len(order)
        self.counts["states"] += 1
        return float(found.loss.mean(dtype=np.float64))

    def predict(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Logits of the device."""
        found = self._device.predict(x)
        self._demand([] if np.array_equal(found, self._twin.predict(x)) else ["logits"])
        self.counts["logits"] += found.size
        return found

    def _demand(self, problems: list[str]) -> None:
        if problems:
            raise MismatchError(
                f"device and twin differ after {self.counts['losses']} training steps",
                where="\n         ".join(problems),
                hint="report it: this must never happen",
            )


def _predict_cost(device: EmulatedDevice, target: Target, x: NDArray[np.int8]) -> Activity:
    """What a prediction costs."""
    counts = []
    device.device.forget_blocks()
    for sample in x:
        device.device.predict(sample)
        counts.append(device.device.last_instructions)
    return activity(device, target, counts)


def _replay(settings: Settings, trainer: Trainer, digits: Worlds) -> Point:
    """The same training on the twin, where every so many-th step takes an old digit that was kept."""
    twin = HostTwin(trainer.build.compiled)
    order = stream(settings, len(digits.y))
    random = np.random.default_rng(settings.seed + 1)
    kept = np.linspace(0, len(digits.y) - 1, settings.replay_kept).round().astype(np.uint32)
    old = kept[random.integers(0, len(kept), len(order))] + len(digits.y)
    turn = np.arange(len(order)) % settings.replay_every == settings.replay_every - 1
    steps = twin.train(
        np.concatenate([digits.new, digits.old]),
        np.concatenate([digits.y, digits.y]),
        np.where(turn, old, order).astype(np.uint32),
        rates(settings.rate, "cosine", len(order)),
    )
    loss = float(steps.loss.mean(dtype=np.float64))
    return _point(len(order), twin.predict(digits.old_test), twin.predict(digits.new_test), digits, loss)


def _real(x: NDArray[Any]) -> NDArray[np.float32]:
    """Images (n, 8, 8) of 0 to 16 as the network takes them: (n, 8, 8, 1), 0 to 1."""
    return (x[..., None] / TOP).astype(np.float32)


def _change(x: NDArray[Any]) -> NDArray[Any]:
    """The new world."""
    return worlds.invert(worlds.upside_down(x), top=TOP)


def _point(
    step: int, old: NDArray[np.int8], new: NDArray[np.int8], digits: Worlds, loss: float | None
) -> Point:
    """Accuracy from logits of the held-out digits."""
    right = {
        name: float((logits.argmax(axis=1) == digits.y_test).mean())
        for name, logits in (("new", new), ("old", old))
    }
    return Point(step=step, loss=loss, **right)


def _answers(digits: Worlds, *logits: NDArray[np.int8]) -> tuple[Answer, ...]:
    """Predictions for the first held-out digit of each class: nobody chose them."""
    first = [int(np.argmax(digits.y_test == label)) for label in range(logits[0].shape[1])]
    return tuple(
        Answer(i, int(digits.y_test[i]), *(int(table[i].argmax()) for table in logits)) for i in first
    )


def _network(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "source": model.source,
        "sha256": model.digest,
        "layers": [node.describe(model.graph) for node in model.graph.nodes],  # type: ignore[attr-defined]
        "parameters": model.parameters,
        "macs": model.macs,
    }


def _accuracy(point: Point) -> dict[str, float]:
    return {"old": point.old, "new": point.new}
