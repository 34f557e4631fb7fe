"""What the translation of an ONNX node reads from and writes into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, ForwardNode, Operator, Shape, Tensor, WeightScale
from mcugrad.importers._read import ELEMENT_LIMIT
from mcugrad.ops.weighted import Weighted

VECTOR = (0,)


@dataclass(frozen=True, eq=False)
class Flow:
    """A computed value. A map is (height, width, channels) here whatever ONNX makes of it.

    Attributes:
        tensor: its name in the graph.
        axes: for each axis that ONNX has after the batch, which of ours it is: (2, 0, 1) for channels first. Axes of
            ours that ONNX does not have are 1 long.
        order: of a vector, where ONNX has each element, if it is elsewhere: (out,) indices, else None.
        raw: whether ONNX has integers here, between QuantizeLinear and DequantizeLinear.
        shares: whether a softmax was left out, so that ONNX has probabilities here.
    """

    tensor: str
    axes: tuple[int, ...]
    order: NDArray[np.int64] | None = None
    raw: bool = False
    shares: bool = False


@dataclass(frozen=True, eq=False)
class Grid:
    """How a constant was quantized in the file: real = scales * (code - zero).

    Attributes:
        scales: one for all, or one for each index of `axis`.
        zero: whether all zero points are 0, once codes are int8.
        axis: of the constant in the file.
    """

    scales: NDArray[np.float32]
    zero: bool
    axis: int


class Builder:
    """Collects nodes and tensors.

    Attributes:
        tensors: by name.
        nodes: in order.
        notes: what the user should know, one sentence each.
        batch: batch size that the file was exported with; 1 if it was free.
        grids: of constants that are quantized in the file.
        flows: of the values computed so far.
    """

    def __init__(self, name: str, shape: Shape, batch: int, grids: Mapping[ir.Value, Grid]) -> None:
        self.tensors = {name: Tensor(name, shape)}
        self.nodes: list[ForwardNode] = []
        self.notes: list[str] = []
        self.batch = batch
        self.grids = grids
        self.flows: dict[ir.Value, Flow] = {}
        self._counts: dict[str, int] = {}
        self._weights: dict[str, str] = {}

    def shape(self, x: Flow) -> Shape:
        """Shape of a value, without the batch."""
        return self.tensors[x.tensor].shape

    def onnx_shape(self, x: Flow) -> Shape:
        """Shape of a value as ONNX has it, batch first."""
        shape = self.shape(x)
        return (1, *(shape[a] for a in x.axes))

    def name(self, kind: str) -> str:
        """A new node name: conv1, conv2, ..."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}{self._counts[kind]}"

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant; its name. Raises ModelError where arithmetic on the file's numbers overflowed."""
        value = np.ascontiguousarray(value, np.float32)
        if not np.isfinite(value).all():
            count = int((~np.isfinite(value)).sum())
            raise ModelError(
                f"{count} of {value.size} values of {name} are beyond float32",
                where=name,
                hint="check the constants that the network multiplies and adds",
            )
        self.tensors[name] = Tensor(name, value.shape, value=value)
        return name

    def weights(
        self, node: ir.Node, source: ir.Value, name: str, value: NDArray[Any], out: int, factor: float = 1.0
    ) -> str:
        """Add the weights of a layer, output channel first, in the scales that the file gives; their name.

        Args:
            node: for messages.
            source: the constant they came from.
            name: of the new constant.
            value: the weights, in real units.
            out: axis of the constant that is the output channel.
            factor: what the values were multiplied by on the way.
        """
        name = self.constant(name, value)
        grid = self.grids.get(source)
        if grid is None:
            return name
        if not grid.zero:
            raise ModelError(
                f"weights {source.name} have a zero point; only symmetric weights, with zero point 0, are supported",
                where=at(node),
                hint="quantize_static(..., weight_type=QuantType.QInt8)",
            )
        if grid.scales.size > 1 and grid.axis != out:
            raise ModelError(
                f"weights {source.name} have scales along axis {grid.axis}; output channels are axis {out}",
                where=at(node),
                hint="one scale per output channel, or one for all",
            )
        scales = np.broadcast_to(grid.scales * np.float32(abs(factor)), value.shape[:1]).astype(np.float32)
        codes = np.abs(value) / scales.reshape(-1, *[1] * (value.ndim - 1))
        beyond = int((codes > 127.5).sum())
        if beyond:
            self.notes.append(f"{beyond} weights of {name} are -128 in the file; they become -127")
        self.tensors[name] = Tensor(
            name, value.shape, value=self.tensors[name].value, quant=WeightScale(scales)
        )
        return name

    def add(self, node: ForwardNode, like: Flow | None = None) -> Flow:
        """Add a node and its output, a vector or with the axes of `like`.

        Raises:
            ModelError: shapes do not fit or are too large.
        """
        shape = node.shape(*(self.tensors[t].shape for t in node.inputs))
        if prod(shape) > ELEMENT_LIMIT:
            raise ModelError(
                f"an output of {prod(shape)} values; at most {ELEMENT_LIMIT} are supported",
                where=node.title,
                hint="a smaller input, or a stride before this layer",
            )
        self.nodes.append(node)
        self.tensors[node.y] = Tensor(node.y, shape)
        if like is None:
            return Flow(node.y, VECTOR)
        return Flow(node.y, like.axes, like.order)

    def scaled(self, x: Flow, quant: ActivationScale) -> None:
        """Give a value the scale that the file has for it."""
        old = self.tensors[x.tensor]
        self.tensors[x.tensor] = Tensor(old.name, old.shape, quant=quant)

    def scale_of(self, x: Flow) -> ActivationScale | None:
        """The scale that the file has for a value, or for what it was moved from; None if it has none."""
        name = x.tensor
        while True:
            quant = self.tensors[name].quant
            if isinstance(quant, ActivationScale):
                return quant
            node = next((n for n in self.nodes if n.y == name), None)
            if not isinstance(node, Operator) or not node.passes_scale:
                return None
            name = node.inputs[0]

    def producer(self, x: Flow) -> ForwardNode | None:
        """The node that computes a value; None for the input."""
        return next((n for n in reversed(self.nodes) if n.y == x.tensor), None)

    def layer_before(self, node: ir.Node, x: Flow) -> Weighted | None:
        """The layer that computes `x`, if this node alone reads it and no activation function is in between."""
        layer = self.producer(x)
        (value,) = {v for i in computed(node) if (v := node.inputs[i]) is not None}
        alone = len(value.uses()) == 1 and sum(f.tensor == x.tensor for f in self.flows.values()) == 1
        return layer if isinstance(layer, Weighted) and alone and not value.is_graph_output() else None

    def shared(self, weights: ir.Value, name: str) -> None:
        """Note weights that two layers share: they become two copies."""
        first = self._weights.setdefault(str(weights.name), name)
        if first != name:
            self.notes.append(f"{first} and {name} share weights in the file; here each trains its own copy")


def label(node: ir.Node) -> str:
    """What the user calls a node."""
    return node.name or next((v.name for v in node.outputs if v.name), None) or node.op_type


def at(node: ir.Node) -> str:
    """A node as messages show it."""
    return f"{label(node)}  {node.op_type}"


def floats(value: ir.Value) -> NDArray[np.float32]:
    """Contents of a constant."""
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers(value).astype(np.float32)


def numbers(value: ir.Value) -> NDArray[Any]:
    """Contents of a constant in its own type."""
    if value.const_value is None:
        raise TypeError(f"{value.name} is not constant")
    return np.asarray(value.const_value.numpy())


def integers(value: ir.Value | None) -> list[int]:
    """Contents of a constant that lists integers; empty if it is left out."""
    if value is None:
        return []
    if numbers(value).dtype.kind not in "iu":
        raise TypeError(f"{value.name} does not hold integers")
    return [int(v) for v in numbers(value).reshape(-1)]


def required(node: ir.Node, index: int) -> ir.Value:
    """An input that the operator cannot do without. Raises ModelError if it is missing."""
    value = optional(node, index)
    if value is None:
        raise ModelError(
            f"input {index} of {node.op_type} is missing", where=at(node), hint="export the model again"
        )
    return value


def optional(node: ir.Node, index: int) -> ir.Value | None:
    """An input that may be left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def computed(node: ir.Node) -> list[int]:
    """Positions of the inputs that are not constant."""
    return [i for i, v in enumerate(node.inputs) if v is not None and v.const_value is None]


def per_channel(to: Builder, node: ir.Node, value: NDArray[Any], x: Flow) -> NDArray[Any]:
    """A constant that broadcasts against a value, as one number per channel in ONNX order."""
    shape = to.onnx_shape(x)
    channels = to.shape(x)[-1]
    last = len(to.shape(x)) - 1
    place = len(x.axes) - x.axes.index(last) if last in x.axes else 0
    fits = value.ndim <= len(shape) and all(
        n == 1 or (i == place and n == channels) for i, n in enumerate(reversed(value.shape), 1)
    )
    if not fits:
        raise ModelError(
            f"a constant of shape {value.shape} against {channels} channels; one number for each is supported",
            where=at(node),
            hint=f"a constant of {channels} values, or of 1",
        )
    return np.broadcast_to(value.reshape(-1), (channels,))
