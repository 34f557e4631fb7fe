"""Firmware: a compiled model as that which text is made from. No text is in it: that is rendered when it is wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from mcugrad.emit.fingerprint import fingerprint
from mcugrad.emit.interface import there
from mcugrad.emit.layout import Layout, layout
from mcugrad.passes.program.drop_unused import drop_unused
from mcugrad.plan import Plan
from mcugrad.program import Program
from mcugrad.program.segment import TRAIN_SOFT
from mcugrad.training.features import EVERY


@dataclass(frozen=True)
class Origin:
    """What a generated file says about where it comes from.

    Attributes:
        source: file name of the network, without folders.
        digest: SHA-256 of that file, hexadecimal.
        version: of mcugrad.
        trains: sentence on what trains and how.
        notes: what importing and the passes did that the reader should know.
        input_shape: of the network's input, innermost last.
        input_scale: real units per step of the input.
        input_zero: zero point of the input.
        output_scale: real units per step of the logits when the model is delivered.
        output_zero: zero point of the logits; scale and zero point of float logits are 1 and 0.
        label_scale: real units per step of a quantized label.
        label_zero: its zero point.
        class_names: of the outputs, in order; empty if they are not known.
        state: what the model begins with: `as delivered`, or how it was trained.
        rate: learning rate of the next step, where a schedule has all but ended; else None.
        restart: learning rate to begin anew with.
    """

    source: str
    digest: str
    version: str
    trains: str
    notes: tuple[str, ...]
    input_shape: tuple[int, ...]
    input_scale: float
    input_zero: int
    output_scale: float
    output_zero: int
    label_scale: float = 1.0
    label_zero: int = 0
    class_names: tuple[str, ...] = ()
    state: str = ""
    rate: float | None = None
    restart: float = 0.0


@dataclass(frozen=True)
class Proof:
    """What a self-test compares a device with.

    Attributes:
        rate: learning rate of its training steps.
        expected: hash that a right build gives.
    """

    rate: float
    expected: int


@dataclass(frozen=True, eq=False)
class Firmware:
    """A compiled model: all that its files are made from.

    Attributes:
        program: what it executes; what is learned has the values that it begins with.
        plan: offsets of its arena.
        origin: where it comes from.
        features: what of a model's life was asked for.
        proof: what its self-test compares with; None for firmware without one.
        marks: whether it stops an emulator at each call, to be counted call by call; a device does not run it.
    """

    program: Program
    plan: Plan
    origin: Origin
    features: frozenset[str] = EVERY
    proof: Proof | None = None
    marks: bool = False

    @cached_property
    def layout(self) -> Layout:
        """Where everything lies in memory."""
        return layout(self.program, self.plan)

    @cached_property
    def fingerprint(self) -> bytes:
        """What tells the model apart from those whose learned states do not fit it, 32 bytes."""
        return fingerprint(self.program, self.layout)

    @property
    def has(self) -> frozenset[str]:
        """What of a model's life there is."""
        return there(self.program, self.features)

    @property
    def emitted(self) -> Program:
        """The program as far as the firmware has it: without steps that its features leave out."""
        return self.program if "soft" in self.has else _without_soft(self.program)


def _without_soft(program: Program) -> Program:
    """The program without steps towards distributions."""
    entries = {name: entry for name, entry in program.entries.items() if name != TRAIN_SOFT}
    run = {name for entry in entries.values() for name in entry.segments}
    segments = {name: segment for name, segment in program.segments.items() if name in run}
    return drop_unused(replace(program, entries=entries, segments=segments))
