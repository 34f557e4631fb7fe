"""What the translation of an ONNX node reads from and writes into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, Operator, Shape, Tensor, WeightScale
from mcugrad.importers.shared.flow import VECTOR, Flow, GraphBuilder, Origin
from mcugrad.importers.shared.growth import demand_few_weights
from mcugrad.ops.core.weighted import Weighted


@dataclass(frozen=True)
class Place:
    """What ONNX calls a node."""

    kind: str
    label: str

    @property
    def title(self) -> str:
        """As messages show it."""
        return f"{self.label}  {self.kind}"


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


class Builder(GraphBuilder):
    """Collects what nodes become.

    Attributes:
        grids: of constants that are quantized in the file.
        anew: weights that are quantized in the file, but not as the device does it: symmetric, per output channel.
    """

    first = True

    def __init__(self, name: str, shape: Shape, batch: int, grids: Mapping[ir.Value, Grid]) -> None:
        super().__init__(batch)
        self.tensors[name] = Tensor(name, shape)
        self.grids = grids
        self.anew: list[str] = []

    def put(self, at: Origin, node: Operator) -> str:
        """Add a node and its output; its name."""
        self._append(node, node.title)
        return node.y

    def readers(self, value: ir.Value) -> int:
        """How many nodes read a value; one more if it is the output."""
        return len(value.uses()) + value.is_graph_output()

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant; its name. Raises ModelError where arithmetic on the file's numbers overflowed."""
        self._numbers += np.size(value)
        demand_few_weights(self._numbers, name)
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

    def weights(self, source: ir.Value, name: str, value: NDArray[Any], out: int, factor: float = 1.0) -> str:
        """Add the weights of a layer, output channel first, in the scales that the file gives; their name.

        Args:
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
        if not grid.zero or (grid.scales.size > 1 and grid.axis != out):
            self.anew.append(name)
            return name
        scales = np.broadcast_to(grid.scales * np.float32(abs(factor)), value.shape[:1]).astype(np.float32)
        codes = np.abs(value) / scales.reshape(-1, *[1] * (value.ndim - 1))
        beyond = int((codes > 127.5).sum())
        if beyond:
            self.notes.append(f"{beyond} weights of {name} are -128 in the file; they become -127")
        self.tensors[name] = Tensor(
            name, value.shape, value=self.tensors[name].value, quant=WeightScale(scales)
        )
        return name

    def add(self, node: Operator, like: Flow | None = None) -> Flow:
        """Add a node and its output, a vector or with the axes of `like`.

        Raises:
            ModelError: shapes do not fit or are too large.
        """
        self._append(node, node.title)
        if like is None:
            return Flow(node.y, VECTOR)
        return Flow(node.y, like.axes, like.order, bare=like.bare)

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

    def producer(self, x: Flow) -> Operator | None:
        """The node that computes a value; None for the input."""
        return next((n for n in reversed(self.nodes) if n.y == x.tensor), None)

    def layer_before(self, node: ir.Node, x: Flow) -> Weighted | None:
        """The layer that computes `x`, if this node alone reads it and no activation function is in between."""
        layer = self.producer(x)
        (value,) = {v for i in computed(node) if (v := node.inputs[i]) is not None}
        alone = len(value.uses()) == 1 and sum(f.tensor == x.tensor for f in self.flows.values()) == 1
        return layer if isinstance(layer, Weighted) and alone and not value.is_graph_output() else None


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


def place(node: ir.Node) -> Place:
    """What the user calls a node, for what importers share."""
    return Place(node.op_type, label(node))
