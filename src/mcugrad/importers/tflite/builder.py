"""What the translation of a TFLite operator reads from and writes into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, Operator, Shape, Tensor, WeightScale
from mcugrad.importers.shared.flow import LAST, VECTOR, Flow, GraphBuilder, Layout, Origin
from mcugrad.importers.shared.growth import demand_few_weights
from mcugrad.importers.tflite.read import MINUS_ONE, Source, Step, Stored
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.core.activated import Activated

Bounds = tuple[float | None, float | None]
INPUT = "input"
FUSED: dict[int, Bounds] = {0: (None, None), 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
"""Bounds of the activation functions that layers of a file can end in, by the schema's numbers."""


class Builder(GraphBuilder):
    """Collects what operators become.

    Attributes:
        source: the file.
        quantized: whether the file's scales are kept; else everything becomes float32.
        constants: what the file computes from constants and shapes alone, by index in the file.
        anew: weights that are quantized in the file, but not as the device does it: symmetric, per output channel.
    """

    first = False

    def __init__(self, source: Source, *, quantized: bool) -> None:
        super().__init__(source.batch)
        self.source = source
        self.quantized = quantized
        self.constants: dict[int, Stored] = {}
        self.anew: list[str] = []
        self._readers = Counter(i for step in source.steps for i in step.inputs) + Counter([source.output])

    # -- the file --------------------------------------------------------------------------------------------

    def stored(self, step: Step, index: int) -> Stored:
        """An input of an operator as the file has it. Raises ModelError if it is missing."""
        if index >= len(step.inputs) or step.inputs[index] == MINUS_ONE:
            raise ModelError(
                f"input {index} of {step.kind} is missing", where=step.title, hint="convert the network again"
            )
        place = step.inputs[index]
        return self.constants.get(place) or self.source.tensors[place]

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

    # -- the graph -------------------------------------------------------------------------------------------

    def readers(self, value: int) -> int:
        """How many operators read a tensor of the file; one more if it is the output."""
        return self._readers[value]

    def enter(self, layout: Layout) -> Flow:
        """Define the input."""
        self.tensors[INPUT] = Tensor(INPUT, layout[0])
        return Flow(INPUT, layout[1])

    def put(self, at: Origin, node: Operator) -> str:
        """Add a node and its output, with the scale that the file gives the operator's; its name."""
        assert isinstance(at, Step)
        self._append(node, at.title)
        if self.quantized:
            self._quantize(at, node)
        return node.y

    def add(self, step: Step, node: Operator, like: Flow | None = None) -> Flow:
        """Add a node and its output: with the axes of `like`, or a map or vector as the file usually has it."""
        y = self.put(step, node)
        if like is not None:
            return replace(like, tensor=y)
        return Flow(y, LAST if len(self.tensors[y].shape) == 3 else VECTOR)

    def constant(self, name: str, value: NDArray[Any], scales: NDArray[np.float32] | None = None) -> str:
        """Add a constant, and the scales of its rows where the file has them; its name."""
        self._numbers += np.size(value)
        demand_few_weights(self._numbers, name)
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

    def _quantize(self, step: Step, node: Operator) -> None:
        assert isinstance(node, Operator), node.title
        if node.passes_scale:
            found = self.tensors[node.inputs[0]].quant
            quant = node.passed(found) if isinstance(found, ActivationScale) else found
        else:
            quant = activation_scale(self.source.tensors[step.outputs[0]], node.y)
            if isinstance(node, Activated):
                quant = replace(quant, low=node.low, high=node.high)
        self.tensors[node.y] = replace(self.tensors[node.y], quant=quant)

    def clipped(self, step: Step, x: Flow, bounds: Bounds) -> Flow:
        """An activation function with bounds, in the scale of the operator's output; folding merges it."""
        if bounds == (None, None):
            return x
        return self._clip(step, x, "relu" if bounds[0] == 0 else "clip", bounds)

    def rescaled(self, step: Step, x: Flow) -> Flow:
        """The same values in the scale of the operator's output."""
        return self._clip(step, x, "rescale", (None, None))

    def _clip(self, step: Step, x: Flow, kind: str, bounds: Bounds) -> Flow:
        name = self.name(kind)
        low, high = bounds
        kept = self.quantized and not self.one_scale(step)
        node = Clip(name=name, source=step.label, x=x.tensor, y=f"{name}_y", low=low, high=high, kept=kept)
        return self.add(step, node, x)

    def moved(self, step: Step, node: Operator, like: Flow | None = None) -> Flow:
        """Add a node whose values only move, so that input and output have one scale."""
        self.need_one_scale(step)
        return self.add(step, node, like)

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
        read = next(i for i in step.inputs if i in self.flows)  # SPLIT has its axis first
        before, after = self.source.tensors[read], self.source.tensors[step.outputs[0]]
        return activation_scale(before, ""), activation_scale(after, "")

    def one_scale(self, step: Step) -> bool:
        """Whether these are the same."""
        old, new = self.scales(step)
        return abs(old.scale - new.scale) <= 1e-5 * old.scale and old.zero == new.zero

    def single(self, shape: Sequence[int]) -> Shape:
        """A shape of the file for one sample."""
        return (1, *shape[1:]) if len(shape) > 1 and shape[0] == self.source.batch else tuple(shape)


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
