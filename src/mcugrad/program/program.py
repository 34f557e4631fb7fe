"""Program: kernel calls in order. Generated C reads like it, line by line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from mcugrad.graph.tensor import ActivationScale
from mcugrad.program.buffer import Buffer, Space
from mcugrad.program.kernel import Kernel
from mcugrad.training.losses import LabelKind

SATURATED = "saturated"
"""Buffer that counts tensors which saturated in this step."""


@dataclass(frozen=True)
class Struct(ABC):
    """Base of the constants of a layer: a frozen dataclass of ints that mirrors a C struct, field by field."""

    @classmethod
    @abstractmethod
    def ctype(cls) -> str:
        """Name of the C struct."""

    def values(self) -> tuple[int, ...]:
        """Field values in the order of the C struct."""
        return tuple(int(getattr(self, f.name)) for f in fields(self))


@dataclass(frozen=True)
class Argument:
    """What a call passes for one parameter.

    Attributes:
        buffer: name of the buffer passed, or empty; a null pointer if all else is empty too.
        struct: constants of the layer, or None.
        value: number passed by value, or None.
        rule: name of the update rule passed (`sr8`), or empty.
    """

    buffer: str = ""
    struct: Struct | None = None
    value: float | None = None
    rule: str = ""


@dataclass(frozen=True)
class Call:
    """One kernel call. `arguments` in the order of the kernel's parameters; `node` is what it was lowered from."""

    kernel: Kernel
    arguments: tuple[Argument, ...]
    node: str
    note: str = ""

    @property
    def buffers(self) -> tuple[str, ...]:
        """Names of the buffers it touches, in order, each once."""
        return tuple(dict.fromkeys(a.buffer for a in self.arguments if a.buffer))


@dataclass(frozen=True, eq=False)
class Program:
    """All calls of a model.

    Attributes:
        name: model name, a C identifier.
        buffers: every buffer by name.
        forward: calls from input to logits, shared by prediction and training.
        train: calls of one training step that follow `forward`; empty for a model that only infers.
        soft: the same of a step towards a distribution, as far as they differ: they stand in for `train[:shared]`.
            Empty where targets are no classes.
        shared: number of the first call that both have in common.
        taken: name of the buffer that is not 0 where a step is taken; empty where every step is.
        skipped: numbers of the first call of `train` that happens in steps which are taken alone, and of the first one
            after; both past the end where all are taken.
        input: name of the buffer (space ARGUMENT) that holds the sample.
        input_zero: zero point of the sample.
        output: name of the buffer that holds the logits.
        watched: whether these are the logits of classes, so that confidence can be followed.
        output_scale: name of the buffer of their scale; empty where nothing needs it.
        output_zero: their zero point; 0 for float outputs.
        values: quantization of targets that are values.
        update_rate: share of the channels that a step updates, unless a result says so step by step.
        results: names of the buffers that are read after the last call: loss, confidence.
        classes: number of classes, the bound of a label.
        blind: loss of the same answer to every sample, if classes or bits are as frequent; 0 where nobody knows it.
    """

    name: str
    buffers: Mapping[str, Buffer]
    forward: tuple[Call, ...]
    train: tuple[Call, ...]
    soft: tuple[Call, ...]
    shared: int
    taken: str
    skipped: tuple[int, int]
    input: str
    input_zero: int
    output: str
    watched: bool
    output_scale: str
    output_zero: int
    values: ActivationScale | None
    update_rate: float
    results: tuple[str, ...]
    classes: int
    blind: float = 0.0

    @property
    def calls(self) -> tuple[Call, ...]:
        """One whole training step."""
        return self.forward + self.train

    @property
    def frozen(self) -> int:
        """Calls at the beginning whose results follow from the sample alone; 0 for a model that only infers."""
        if not self.train:
            return 0
        for number, call in enumerate(self.forward):
            spaces = {self.buffers[name].space for name in call.buffers if name != self.input}
            if not spaces <= {Space.CONST, Space.ARENA}:
                return number
        return len(self.forward)

    @property
    def frozen_results(self) -> tuple[Buffer, ...]:
        """What the frozen calls leave to those that follow."""
        later = used_buffers((*self.forward[self.frozen :], *self.train, *self.soft)) | {self.output}
        return tuple(
            self.buffers[name]
            for name in sorted(used_buffers(self.forward[: self.frozen]) & later)
            if self.buffers[name].space is Space.ARENA
        )

    @property
    def soft_calls(self) -> tuple[Call, ...]:
        """One whole training step towards a distribution; empty where there is none."""
        return self.forward + self.soft + self.train[self.shared :] if self.soft else ()

    @property
    def skipping_calls(self) -> tuple[Call, ...]:
        """One step that is not taken; empty where every step is."""
        first, after = self.skipped
        return self.forward + self.train[:first] + self.train[after:] if self.taken else ()

    @property
    def label_kind(self) -> LabelKind:
        """What a sample is labelled with."""
        if "target" in self.buffers:
            return LabelKind(self.buffers["target"].ctype)
        return LabelKind.CLASS

    @property
    def replay_classes(self) -> int:
        """Classes that share a replay buffer; 1 where samples have none."""
        return self.classes if self.label_kind is LabelKind.CLASS else 1

    @property
    def slot_words(self) -> int:
        """Words of a sample in a replay buffer: its class, its input, its target: a soft one where it is a class."""
        return 1 - (-(self.buffers[self.input].count + self.classes) // 4)

    @property
    def ranges(self) -> int:
        """Tensors that are watched for saturation in a training step."""
        return sum(SATURATED in call.buffers for call in self.train) - 1

    @property
    def errors(self) -> int:
        """Errors among them."""
        return sum(call.kernel.name == "mcg_track_error" for call in self.train)

    def in_space(self, space: Space) -> tuple[Buffer, ...]:
        """Buffers of one space, in order of definition."""
        return tuple(b for b in self.buffers.values() if b.space is space)


def used_buffers(calls: Iterable[Call]) -> set[str]:
    """Names of all buffers that the calls touch."""
    return {name for call in calls for name in call.buffers}
