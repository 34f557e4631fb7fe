"""Quantities: a number with its unit, the text for people, and how it was got. CLI, JSON and HTML show the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from mcugrad.measure.cost import Activity, Cost
from mcugrad.measure.cycles import CycleEstimate, CycleModel
from mcugrad.measure.memory import Memory
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.targets import Target
from mcugrad.toolchain import find_compiler


@dataclass(frozen=True)
class Quantity:
    """One number.

    Attributes:
        key: its name in JSON.
        label: its name for people.
        value: in `unit`; None = not known.
        unit: `B`, `instructions`, `cycles`, `ms`, `uJ`.
        text: value and unit for people, the band included.
        how: how it was got: counted, linked, emulated or estimated, and from what.
        low: lower end of the band, where there is one.
        high: upper end of the band.
        source: the publication that an estimate rests on.
    """

    key: str
    label: str
    value: float | None
    unit: str
    text: str
    how: str
    low: float | None = None
    high: float | None = None
    source: str = ""

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class CostTable:
    """What a model needs of a target.

    Attributes:
        memory: RAM and flash.
        predict: one prediction.
        step: one training step, mean of all; empty for a model that only infers.
        taken: one that is taken; empty where every step is.
        left_out: one that is left out; empty where none is.
        parts: RAM and flash of all that is linked, in parts; None where nothing is.
    """

    memory: tuple[Quantity, ...]
    predict: tuple[Quantity, ...]
    step: tuple[Quantity, ...]
    taken: tuple[Quantity, ...] = ()
    left_out: tuple[Quantity, ...] = ()
    parts: Memory | None = None

    def facts(self) -> dict[str, list[dict[str, Any]]]:
        """For JSON."""
        return {
            "memory": [q.facts() for q in self.memory],
            "predict": [q.facts() for q in self.predict],
            "step": [q.facts() for q in self.step],
            "step_taken": [q.facts() for q in self.taken],
            "step_left_out": [q.facts() for q in self.left_out],
        }

    def work_rows(self) -> list[tuple[str, ...]]:
        """Rows of a table: label, prediction, training step (if there is one), how."""
        if not self.step:
            return [(q.label, q.text, q.how) for q in self.predict]
        return [(p.label, p.text, s.text, s.how) for p, s in zip(self.predict, self.step, strict=True)]

    def sources(self) -> list[str]:
        """What the estimates rest on: `cycles: Arm ...`."""
        return [f"{q.label}: {q.source}" for q in self.predict if q.source]


def cost_table(cost: Cost, *, name: str, built_with: str, runs: str) -> CostTable:
    """The quantities of a cost.

    Args:
        cost: from `measure`.
        name: of the model in C.
        built_with: compiler, version and optimisation level.
        runs: what was emulated, `8 predictions and 8 training steps`.
    """
    return CostTable(
        memory=tuple(_memory(cost, name, built_with, runs)),
        predict=tuple(_activity(cost.predict, cost.target)),
        step=() if cost.step is None else _step(cost, cost.step),
        taken=() if cost.taken is None else tuple(_activity(cost.taken, cost.target)),
        left_out=() if cost.left_out is None else tuple(_activity(cost.left_out, cost.target)),
        parts=cost.memory,
    )


def _step(cost: Cost, step: Activity) -> tuple[Quantity, ...]:
    """A training step; of a share of the samples with what it is the mean of."""
    found = _activity(step, cost.target)
    if cost.taken is None or cost.left_out is None:
        return tuple(found)
    parts = zip(_activity(cost.taken, cost.target), _activity(cost.left_out, cost.target), strict=True)
    shares = f"{100 * cost.share:.3g} %", f"{100 * (1 - cost.share):.3g} %"
    return tuple(
        whole
        if whole.value is None
        else replace(
            whole, how=f"{whole.how}; {shares[0]} are taken: {a.text}, {shares[1]} are left out: {b.text}"
        )
        for whole, (a, b) in zip(found, parts, strict=True)
    )


def _memory(cost: Cost, name: str, built_with: str, runs: str) -> list[Quantity]:
    ram = cost.ram + cost.sample + cost.stack
    target = cost.target
    return [
        _bytes(
            "ram_model", "RAM, the model", cost.ram, f"counted: sizeof({name}_t), asserted by the compiler"
        ),
        _bytes("ram_sample", "RAM, one sample", cost.sample, "counted: one int8 per input value"),
        _stack(cost, runs),
        _bytes("ram", "RAM, together", ram, "sum of the three lines above", target.ram.bytes),
        _bytes(
            "flash",
            "flash, code and constants",
            cost.flash,
            f"linked: {built_with}, without start-up code",
            target.flash.bytes,
        ),
    ]


def _stack(cost: Cost, runs: str) -> Quantity:
    """Stack as it was seen, and the most that there can be."""
    seen = _bytes("ram_stack", "RAM, stack", cost.stack, f"emulated: the deepest of {runs}")
    bound = cost.stack_bound
    if bound is None:
        return seen
    how = f"{seen.how}; by its calls none exceeds {bound:,} B"
    return replace(seen, how=how, low=cost.stack, high=bound)


def _bytes(key: str, label: str, value: int, how: str, limit: int | None = None) -> Quantity:
    of = "" if limit is None else f" of {limit / 1024:,.0f} KiB"
    small = value < 1024 and limit is None
    return Quantity(key, label, value, "B", f"{value} B" if small else f"{value / 1024:.1f} KiB{of}", how)


def _activity(activity: Activity, target: Target) -> list[Quantity]:
    cycles = activity.cycles
    result = [
        Quantity(
            "instructions",
            "instructions",
            activity.instructions,
            "instructions",
            f"{activity.instructions:,.0f}",
            "emulated: counted one by one, mean",
        ),
        Quantity(
            "cycles",
            "cycles",
            cycles.cycles,
            "cycles",
            f"{cycles.cycles:,} ± {cycles.band_percent:g} %",
            "estimated: executed instructions x Arm's published timings, zero wait states",
            cycles.low,
            cycles.high,
            cycles.source,
        ),
    ]
    return [*result, _time(cycles, target), _energy(activity, target)]


def _time(cycles: CycleEstimate, target: Target) -> Quantity:
    clock = target.clock_hz
    if clock is None:
        return Quantity(
            "time", "time", None, "ms", "not known", f"{target.name} is a core without a clock: name a board"
        )
    factor = 1e3 / clock
    return Quantity(
        "time",
        "time",
        cycles.cycles * factor,
        "ms",
        f"{significant(cycles.cycles * factor)} ms",
        f"estimated: these cycles at {clock / 1e6:g} MHz",
        cycles.low * factor,
        cycles.high * factor,
    )


def _energy(activity: Activity, target: Target) -> Quantity:
    energy = activity.energy
    if energy is None:
        return Quantity(
            "energy",
            "energy",
            None,
            "uJ",
            "not known",
            f"no public figure of energy per cycle for {target.name}",
        )
    assert target.energy is not None
    text = f"{significant(energy.microjoules)} µJ ({significant(energy.low)} to {significant(energy.high)})"
    how = f"estimated: these cycles x {target.energy.picojoules:g} pJ ± {target.energy.band_percent:g} %"
    return Quantity(
        "energy",
        "energy",
        energy.microjoules,
        "uJ",
        text,
        how,
        energy.low,
        energy.high,
        energy.source,
    )


@dataclass(frozen=True)
class FunctionShare:
    """One function's part in a call of the model, callees not included.

    Attributes:
        name: of the C function.
        instructions: counted under emulation, mean of the calls.
        cycles: estimated, mean of the calls.
        share: of the cycles of all functions.
    """

    name: str
    instructions: float
    cycles: float
    share: float


def profile(device: EmulatedDevice, target: Target, calls: int) -> tuple[FunctionShare, ...]:
    """Where the cycles of the calls went since the device last forgot its blocks, most cycles first.

    Args:
        device: where the calls were executed.
        target: its core.
        calls: how many there were.
    """
    emulator = device.device.emulator
    costs = CycleModel(emulator.image, target.core).by_function(device.device.blocks())
    total = sum(cost.cycles for cost in costs)
    return tuple(
        FunctionShare(cost.name, cost.instructions / calls, cost.cycles / calls, cost.cycles / total)
        for cost in costs
    )


def built_with(compiler: str = "zig", opt: str = "-O3") -> str:
    """Compiler, version and optimisation level of a firmware; those of measured firmware if not given."""
    return f"{compiler} {find_compiler(compiler).version}, {opt}"


def significant(value: float) -> str:
    """Three significant digits, thousands separated: `9.60`, `95.2`, `1,230`."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - len(str(int(abs(value)))) + 1) if abs(value) >= 1 else 3
    rounded = f"{value:,.{decimals}f}"
    return rounded if abs(value) < 1000 else f"{float(f'{value:.3g}'):,.0f}"


def percent(share: float) -> str:
    """`96.0 %`."""
    return f"{100 * share:.1f} %"
