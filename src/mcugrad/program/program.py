"""Program: segments of kernel calls, and entries that say which of them run. Generated C reads like it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, product

from mcugrad.graph.tensor import ActivationScale
from mcugrad.program.buffer import Buffer, Space
from mcugrad.program.call import Call, used_buffers
from mcugrad.program.segment import FROZEN, TRAIN_STEP, Entry, Segment
from mcugrad.training.losses import LabelKind

SATURATED = "saturated"
"""Buffer that counts tensors which saturated in this step."""


@dataclass(frozen=True)
class RowsInFlash:
    """Of a learned buffer that holds some rows of an array: where the others are.

    Attributes:
        active: name of the constant that lists its rows: their number, then each, ascending.
        frozen: that of the constant that holds the others, ascending.
    """

    active: str
    frozen: str


@dataclass(frozen=True, eq=False)
class Program:
    """All calls of a model.

    Attributes:
        name: model name, a C identifier.
        buffers: every buffer by name.
        segments: by name, in an order that all entries keep.
        entries: ways to run it, by name: a prediction, and training steps where something trains.
        input: name of the buffer (space ARGUMENT) that holds the sample.
        input_zero: zero point of the sample.
        output: name of the buffer that holds the logits.
        watched: whether these are the logits of classes, so that confidence can be followed.
        output_scale: name of the buffer of their scale; empty where nothing needs it.
        output_zero: their zero point; 0 for float outputs.
        values: quantization of labels that are values.
        update_rate: share of the channels that a step updates, unless a result says so step by step.
        classes: number of classes, the bound of a label.
        blind: loss of the same answer to every sample, if classes or bits are as frequent; 0 where nobody knows it.
        stores_latents: whether a stored sample is what the frozen segment leaves of it, not its input.
        in_flash: by name of a learned buffer that holds some rows of an array, where the others are.
        same_as: a program that computes the same bytes, by whose calls models are told apart; None for this one.
    """

    name: str
    buffers: Mapping[str, Buffer]
    segments: Mapping[str, Segment]
    entries: Mapping[str, Entry]
    input: str
    input_zero: int
    output: str
    watched: bool
    output_scale: str
    output_zero: int
    values: ActivationScale | None
    update_rate: float
    classes: int
    blind: float = 0.0
    stores_latents: bool = False
    in_flash: Mapping[str, RowsInFlash] = field(default_factory=dict)
    same_as: Program | None = None

    # -- segments and entries ------------------------------------------------------------------------------------

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """All calls, each once."""
        return tuple(call for segment in self.segments.values() for call in segment.calls)

    def calls_of(self, entry: str) -> tuple[Call, ...]:
        """Calls of an entry where no segment is left out; none where the program has no such entry."""
        names = self.entries[entry].segments if entry in self.entries else ()
        return tuple(call for name in names for call in self.segments[name].calls)

    def runs_of(self, entry: str) -> Iterator[tuple[str, ...]]:
        """Names of the segments that run, for each way in which an entry can run; first that which leaves none out."""
        names = self.entries[entry].segments
        choices = ((True, False) if self.segments[name].when else (True,) for name in names)
        for taken in product(*choices):
            yield tuple(name for name, runs in zip(names, taken, strict=True) if runs)

    @cached_property
    def begins(self) -> Mapping[str, int]:
        """When each segment begins: the most calls that any entry makes before it.

        So the calls of every entry have rising numbers, and segments that stand in for each other have the same ones.
        """
        begins = dict.fromkeys(self.segments, 0)
        for name, segment in self.segments.items():
            for following in self._following(name):
                begins[following] = max(begins[following], begins[name] + len(segment.calls))
        return begins

    def _following(self, name: str) -> set[str]:
        """Segments that come right after one."""
        pairs = (
            pair for e in self.entries.values() for pair in zip(e.segments, e.segments[1:], strict=False)
        )
        return {after for before, after in pairs if before == name}

    def end(self, entry: str) -> int:
        """When an entry is over."""
        last = self.entries[entry].segments[-1]
        return self.begins[last] + len(self.segments[last].calls)

    @cached_property
    def length(self) -> int:
        """When the longest entry is over."""
        return max(map(self.end, self.entries))

    def at(self, index: int) -> Call:
        """A call by when it happens; the first one where segments stand in for each other."""
        for name, segment in self.segments.items():
            if 0 <= index - self.begins[name] < len(segment.calls):
                return segment.calls[index - self.begins[name]]
        raise IndexError(f"no call of {self.name} happens at {index} of {self.length}")

    @property
    def trains(self) -> bool:
        """Whether it has training steps."""
        return TRAIN_STEP in self.entries

    @cached_property
    def looked_at(self) -> frozenset[str]:
        """Names of the buffers that others than calls look at: conditions, who runs an entry."""
        read = {name for entry in self.entries.values() for name in entry.reads}
        ends = {self.input, self.output, self.output_scale}
        when = {segment.when for segment in self.segments.values()}
        return frozenset(read | ends | when) - {""}

    @property
    def used(self) -> set[str]:
        """Names of the buffers that something touches: calls, and who looks at them."""
        return used_buffers(self.calls) | self.looked_at

    def follows_from_sample(self, call: Call) -> bool:
        """Whether a call touches nothing but the sample, constants and the arena."""
        spaces = {self.buffers[name].space for name in call.buffers if name != self.input}
        return spaces <= {Space.CONST, Space.ARENA}

    def left_by(self, segment: str) -> tuple[Buffer, ...]:
        """Buffers of the arena that a segment touches and others, or whoever ran an entry, touch as well."""
        own = used_buffers(self.segments[segment].calls)
        others = {name for entry in self.entries.values() for name in entry.reads}
        for name, other in self.segments.items():
            if name != segment:
                others |= used_buffers(other.calls) | {other.when}
        return tuple(b for b in self.in_space(Space.ARENA) if b.name in own & others)

    @cached_property
    def latents(self) -> tuple[Buffer, ...]:
        """Buffers that cross from the frozen segment to those behind it, the input among them if it is read there."""
        if FROZEN not in self.segments:
            return ()
        behind = used_buffers(c for name, s in self.segments.items() if name != FROZEN for c in s.calls)
        again = (self.buffers[self.input],) if self.input in behind else ()
        return (*self.left_by(FROZEN), *again)

    @cached_property
    def latent_places(self) -> Mapping[str, int]:
        """Where each of them begins in a stored sample, by name: they lie one behind the other."""
        ends = accumulate((buffer.size for buffer in self.latents), initial=0)
        return dict(zip((buffer.name for buffer in self.latents), ends, strict=False))

    @property
    def stored(self) -> int:
        """Bytes of a stored sample, its label aside: of its latents, or of its input."""
        if self.stores_latents:
            return sum(buffer.size for buffer in self.latents)
        return self.buffers[self.input].count

    @property
    def results(self) -> tuple[str, ...]:
        """Names of the buffers that are read after a training step: loss, confidence."""
        return self.entries[TRAIN_STEP].reads if self.trains else ()

    # -- what is passed -----------------------------------------------------------------------------------------

    @cached_property
    def by_value(self) -> frozenset[str]:
        """Names of the buffers that kernels take by value, as one number."""
        return frozenset(
            a.buffer
            for call in self.calls
            for a, p in zip(call.arguments, call.kernel.params, strict=True)
            if a.buffer and not p.pointer
        )

    @property
    def label_kind(self) -> LabelKind:
        """What a sample is labelled with."""
        if "label" in self.buffers:
            return LabelKind(self.buffers["label"].ctype)
        return LabelKind.CLASS

    @property
    def replay_classes(self) -> int:
        """Classes that share a replay buffer; 1 where samples have none."""
        return self.classes if self.label_kind is LabelKind.CLASS else 1

    @property
    def slot_words(self) -> int:
        """Words of a stored sample: its class, its input or latents, its label: a soft one where it is a class."""
        return 1 - (-(self.stored + self.classes) // 4)

    @property
    def ranges(self) -> int:
        """Tensors that are watched for saturation in a training step."""
        return sum(SATURATED in call.buffers for call in self.calls_of(TRAIN_STEP)) - 1

    @property
    def errors(self) -> int:
        """Errors among them."""
        return sum(call.kernel.name == "mcg_track_error" for call in self.calls_of(TRAIN_STEP))

    def in_space(self, space: Space) -> tuple[Buffer, ...]:
        """Buffers of one space, in order of definition."""
        return tuple(b for b in self.buffers.values() if b.space is space)
