"""What the translation of a TFLite operator reads from and writes into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, ForwardNode, Operator, Shape, Tensor, WeightScale
from mcugrad.importers._read import ELEMENT_LIMIT
from mcugrad.importers._tflite_read import MINUS_ONE, Source, Step, Stored
from mcugrad.ops.activated import Activated
from mcugrad.ops.clip import Clip
from mcugrad.ops.flatten import Flatten
from mcugrad.ops.reshape import Reshape

Bounds = tuple[float | None, float | None]
INPUT = "input"
FUSED: dict[int, Bounds] = {0: (None, None), 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
"""Bounds of the activation functions that layers of a file can end in, by the schema's numbers."""


@dataclass(frozen=True)
class Flow:
    """A computed value.

    Attributes:
        tensor: its name in the graph.
        shape: as the file has it, batch first: the graph has maps of three axes and vectors only.
    """

    tensor: str
    shape: Shape


class Builder:
    """Collects nodes and tensors.

    Attributes:
        source: the file.
        quantized: whether the file's scales are kept; else everything becomes float32.
        tensors: by name.
        nodes: in order.
        notes: what the user should know, one sentence each.
        flows: computed values, by index in the file.
    """

    def __init__(self, source: Source, *, quantized: bool) -> None:
        self.source = source
        self.quantized = quantized
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[ForwardNode] = []
        self.notes: list[str] = []
        self.flows: dict[int, Flow] = {}
        self._counts: Counter[str] = Counter()
        self._weights: dict[int, str] = {}

    # -- the file --------------------------------------------------------------------------------------------

    def stored(self, step: Step, index: int) -> Stored:
        """An input of an operator as the file has it. Raises ModelError if it is missing."""
        if index >= len(step.inputs) or step.inputs[index] == MINUS_ONE:
            raise ModelError(
                f"input {index} of {step.kind} is missing", where=step.title, hint="convert the network again"
            )
        return self.source.tensors[step.inputs[index]]

    def has(self, step: Step, index: int) -> bool:
        """Whether an optional input is there."""
        return index < len(step.inputs) and step.inputs[index] != MINUS_ONE

    def integers(self, step: Step, index: int) -> list[int]:
        """Contents of a constant of integers."""
        data = self.stored(step, index).data
        if data is None or data.dtype.kind != "i" or data.size > 64:
            raise ModelError(
                f"input {index} of {step.kind} is not a few constant integers",
                where=step.title,
                hint="shapes and axes that are fixed when the network is converted",
            )
        return [int(v) for v in data.reshape(-1)]

    def real(self, tensor: Stored) -> NDArray[np.float32]:
        """Contents of a constant in real units. Raises ModelError where they are not finite."""
        data = tensor.data
        if data is None or data.dtype.kind not in "fiu":
            raise ModelError(
                f"{tensor.name} is {tensor.dtype}, not constant numbers",
                where=tensor.name,
                hint="weights that are constant, float32 or int8",
            )
        with np.errstate(all="ignore"):
            if tensor.scales.size:
                along = [1] * data.ndim
                if tensor.scales.size > 1:
                    along[tensor.axis] = -1
                scale, zero = (a.reshape(along) for a in (tensor.scales, tensor.zeros))
                result = ((data.astype(np.float64) - zero) * scale).astype(np.float32)
            else:
                result = data.astype(np.float32)
        bad = int((~np.isfinite(result)).sum())
        if bad:
            raise ModelError(
                f"{bad} of {result.size} values of {tensor.name} are NaN or infinite",
                where=tensor.name,
                hint="train again with a lower learning rate, or convert an earlier checkpoint",
            )
        return result

    def shared(self, index: int, name: str) -> None:
        """Note weights that two layers share: they become two copies."""
        first = self._weights.setdefault(index, name)
        if first != name:
            self.notes.append(f"{first} and {name} share weights in the file; here each trains its own copy")

    # -- the graph -------------------------------------------------------------------------------------------

    def shape(self, x: Flow) -> Shape:
        """Shape of a value in the graph."""
        return self.tensors[x.tensor].shape

    def name(self, kind: str) -> str:
        """A new node name: conv1, conv2, ..."""
        self._counts[kind] += 1
        return f"{kind}{self._counts[kind]}"

    def enter(self) -> Flow:
        """Define the input."""
        stored = self.source.tensors[self.source.input]
        shape = (1, *stored.shape[1:])
        self.tensors[INPUT] = Tensor(INPUT, inner(shape, stored.name))
        return Flow(INPUT, shape)

    def constant(self, name: str, value: NDArray[Any], scales: NDArray[np.float32] | None = None) -> str:
        """Add a constant, and the scales of its rows where the file has them; its name."""
        value = np.ascontiguousarray(value, np.float32)
        if not np.isfinite(value).all():
            raise ModelError(
                f"{int((~np.isfinite(value)).sum())} of {value.size} values of {name} are beyond float32",
                where=name,
                hint="check the scales of the file",
            )
        quant = WeightScale(scales.astype(np.float32)) if self.quantized and scales is not None else None
        self.tensors[name] = Tensor(name, value.shape, quant=quant, value=value)
        return name

    def add(self, step: Step, node: ForwardNode, shape: Shape | None = None) -> Flow:
        """Add a node and its output.

        Args:
            step: what it comes from; its output has the scale, unless that follows from the node's inputs.
            node: the node.
            shape: of the output as the file has it; a map or vector with a batch if not given.
        """
        result = node.shape(*(self.tensors[t].shape for t in node.inputs))
        if prod(result) > ELEMENT_LIMIT:
            raise ModelError(
                f"an output of {prod(result)} values; at most {ELEMENT_LIMIT} are supported",
                where=step.title,
                hint="a smaller input, or a stride before this layer",
            )
        self.nodes.append(node)
        self.tensors[node.y] = Tensor(node.y, result)
        if self.quantized:
            self._quantize(step, node)
        return Flow(node.y, shape or (1, *result))

    def _quantize(self, step: Step, node: ForwardNode) -> None:
        assert isinstance(node, Operator), node.title
        if node.passes_scale:
            quant = self.tensors[node.inputs[0]].quant
        else:
            quant = activation_scale(self.source.tensors[step.outputs[0]], node.y)
            if isinstance(node, Activated):
                quant = replace(quant, low=node.low, high=node.high)
        self.tensors[node.y] = replace(self.tensors[node.y], quant=quant)

    def clipped(self, step: Step, x: Flow, bounds: Bounds) -> Flow:
        """An activation function with bounds, in the scale of the operator's output; folding merges it."""
        return (
            x if bounds == (None, None) else self._clip(step, x, "relu" if bounds[0] == 0 else "clip", bounds)
        )

    def rescaled(self, step: Step, x: Flow) -> Flow:
        """The same values in the scale of the operator's output."""
        return self._clip(step, x, "rescale", (None, None))

    def _clip(self, step: Step, x: Flow, kind: str, bounds: Bounds) -> Flow:
        name = self.name(kind)
        low, high = bounds
        kept = self.quantized and not self.one_scale(step)
        node = Clip(name=name, source=step.label, x=x.tensor, y=f"{name}_y", low=low, high=high, kept=kept)
        return self.add(step, node, x.shape)

    def moved(self, step: Step, node: ForwardNode, shape: Shape | None = None) -> Flow:
        """Add a node whose values only move, so that input and output have one scale."""
        self.need_one_scale(step)
        return self.add(step, node, shape)

    def need_one_scale(self, step: Step) -> None:
        """Refuse an operator that moves int8 codes from one scale to another: it would change the numbers."""
        if not self.quantized:
            return
        old, new = self.scales(step)
        if not self.one_scale(step):
            raise ModelError(
                f"{step.kind} moves int8 codes but its input has scale {old.scale:g}, zero point {old.zero}, "
                f"its output {new.scale:g}, {new.zero}",
                where=step.title,
                hint="convert the network again",
            )

    def scales(self, step: Step) -> tuple[ActivationScale, ActivationScale]:
        """Scales that the file gives to an operator's input and output."""
        before, after = self.source.tensors[step.inputs[0]], self.source.tensors[step.outputs[0]]
        return activation_scale(before, ""), activation_scale(after, "")

    def one_scale(self, step: Step) -> bool:
        """Whether these are the same."""
        old, new = self.scales(step)
        return abs(old.scale - new.scale) <= 1e-5 * old.scale and old.zero == new.zero

    def reshaped(self, step: Step, x: Flow, shape: Shape) -> Flow:
        """The same values under another shape of the file, in the same order."""
        shape = self.single(step, shape)
        old, new = self.shape(x), inner(shape, step.title)
        if prod(new) != prod(old):
            raise ModelError(
                f"{x.shape} cannot take the shape {shape}", where=step.title, hint="convert the network again"
            )
        if new == old:
            return Flow(x.tensor, shape)
        if len(new) == 1:
            name = self.name("flatten")
            node: ForwardNode = Flatten(name=name, source=step.label, x=x.tensor, y=f"{name}_y")
        else:
            name = self.name("reshape")
            node = Reshape(name=name, source=step.label, x=x.tensor, y=f"{name}_y", to=new)
        return self.add(step, node, shape)

    def single(self, step: Step, shape: Sequence[int]) -> Shape:
        """A shape of the file for one sample."""
        if len(shape) > 1 and shape[0] not in (1, self.source.batch):
            raise ModelError(
                f"{step.kind} to {tuple(shape)}: the first dimension is not the batch",
                where=step.title,
                hint="keep the batch as the first dimension",
            )
        return (1, *shape[1:]) if len(shape) > 1 else tuple(shape)


def inner(shape: Shape, where: str) -> Shape:
    """A shape of the file as the graph has it: three axes or one, no batch; a sequence is a map of height 1."""
    rest = shape[1:] if len(shape) > 1 else shape
    if len(rest) not in (1, 2, 3) or min(rest) < 1:
        raise ModelError(
            f"a value of shape {shape}; 2 to 4 dimensions, batch first and none empty, are supported",
            where=where,
            hint="a network of vectors, sequences and maps",
        )
    return (1, *rest) if len(rest) == 2 else tuple(rest)


def axis_of(step: Step, axis: int, rank: int) -> int:
    """An axis of the file, batch first, as the graph counts it. Raises ModelError for the batch."""
    place = axis + rank if axis < 0 else axis
    if rank == 1 and place == 0:
        return 0
    if not 1 <= place < rank:
        raise ModelError(
            f"{step.kind} along axis {axis} of {rank}, the batch or none",
            where=step.title,
            hint="an axis of one sample",
        )
    return place if rank == 3 else place - 1


def activation_scale(stored: Stored, owner: str) -> ActivationScale:
    """How the file quantizes an activation, as int8. Raises ModelError where that is not possible."""
    zero = int(stored.zeros[0]) - (128 if stored.dtype == "uint8" else 0) if stored.zeros.size == 1 else None
    if not stored.is_int8 or zero is None or not -128 <= zero <= 127:
        raise ModelError(
            f"{stored.name} is {stored.dtype} with {stored.scales.size} scales and zero points "
            f"{stored.zeros[:4].tolist()}; an int8 activation has one of each",
            where=stored.name,
            hint="full-integer quantization with int8 activations",
        )
    return ActivationScale(scale=float(stored.scales[0]), zero=zero, owner=owner)


def fused(step: Step) -> Bounds:
    """Bounds of the activation function that an operator ends in."""
    number = step.option("FusedActivationFunction", 0)
    if number not in FUSED:
        raise ModelError(
            f"{step.kind} ends in activation function {number}",
            where=step.title,
            hint="ReLU or ReLU6, others as layers of their own",
        )
    return FUSED[number]
