"""What the translation of an ONNX node reads from and writes into."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ForwardNode, Shape, Tensor
from mcugrad.importers._read import ELEMENT_LIMIT


@dataclass(frozen=True, eq=False)
class Flow:
    """The value that the next node reads. A map is (height, width, channels) here whatever ONNX makes of it.

    Attributes:
        tensor: its name in the graph.
        order: of a flattened map, where ONNX has each element, if it is elsewhere: (out,) indices, else None.
        last: whether ONNX, too, has the channels of this map last.
    """

    tensor: str
    order: NDArray[np.int64] | None = None
    last: bool = False


class Builder:
    """Collects nodes and tensors.

    Attributes:
        tensors: by name.
        nodes: in order.
        notes: what the user should know, one sentence each.
        batch: batch size that the file was exported with; 1 if it was free.
    """

    def __init__(self, name: str, shape: Shape, batch: int) -> None:
        self.tensors = {name: Tensor(name, shape)}
        self.nodes: list[ForwardNode] = []
        self.notes: list[str] = []
        self.batch = batch
        self._counts: dict[str, int] = {}
        self._weights: dict[str, str] = {}

    def shape(self, x: Flow) -> Shape:
        """Shape of a value, without the batch."""
        return self.tensors[x.tensor].shape

    def onnx_shape(self, x: Flow) -> Shape:
        """Shape of a value as ONNX has it, batch first."""
        shape = self.shape(x)
        return (1, *shape) if x.last or len(shape) == 1 else (1, shape[2], shape[0], shape[1])

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

    def add(self, node: ForwardNode) -> Flow:
        """Add a node and its output. Raises ModelError for shapes that do not fit or are too large."""
        shape = node.shape(*(self.tensors[t].shape for t in node.inputs))
        if prod(shape) > ELEMENT_LIMIT:
            raise ModelError(
                f"an output of {prod(shape)} values; at most {ELEMENT_LIMIT} are supported",
                where=node.title,
                hint="a smaller input, or a stride before this layer",
            )
        self.nodes.append(node)
        self.tensors[node.y] = Tensor(node.y, shape)
        return Flow(node.y)

    def shared(self, weights: ir.Value, name: str) -> None:
        """Note weights that two layers share: they become two copies."""
        first = self._weights.setdefault(str(weights.name), name)
        if first != name:
            self.notes.append(f"{first} and {name} share weights in the file; here each trains its own copy")

    def need_map(self, node: ir.Node, x: Flow) -> Shape:
        """Shape of a map, channels first in ONNX. Raises ModelError for anything else."""
        shape = self.shape(x)
        if len(shape) == 3 and not x.last:
            return shape
        raise ModelError(
            f"{node.op_type} needs a (batch, channels, height, width) map; its input is {self.onnx_shape(x)}",
            where=at(node),
            hint="export the network with such an input",
        )


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


def per_channel(node: ir.Node, value: NDArray[Any], channels: int, axis: int) -> NDArray[Any]:
    """A constant that broadcasts against a value, as one number per channel in ONNX order.

    Args:
        node: for messages.
        value: the constant.
        channels: number of channels.
        axis: where ONNX has them, counted from the end.
    """
    if any(n != 1 and not (i == axis and n == channels) for i, n in enumerate(reversed(value.shape), 1)):
        raise ModelError(
            f"a constant of shape {value.shape} against {channels} channels; one number for each is supported",
            where=at(node),
            hint=f"a constant of {channels} values, or of 1",
        )
    return np.broadcast_to(value.reshape(-1), (channels,))
