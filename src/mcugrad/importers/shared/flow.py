"""What the importers share: computed values, with where the file has their axes, and what collects the graph.

A map is (height, width, channels) here whatever the file makes of it. Moving axes moves nothing: only what the file
calls them changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Operator, Shape, Tensor
from mcugrad.importers.shared.growth import ELEMENT_LIMIT

VECTOR = (0,)
FIRST, LAST = (2, 0, 1), (0, 1, 2)
"""Axes of a map that is channels first in the file, and channels last."""
SIGNAL, STEPS = (2, 1), (1, 2)
"""Axes of a sequence, channels first in the file, and channels last: a map of height 1 here."""
Layout = tuple[Shape, tuple[int, ...]]


class Origin(Protocol):
    """What the file calls an operator, for messages and for names."""

    @property
    def kind(self) -> str:
        """The operator."""

    @property
    def label(self) -> str:
        """The node, or what it computes."""

    @property
    def title(self) -> str:
        """Both."""


@dataclass(frozen=True, eq=False)
class Flow:
    """A computed value.

    Attributes:
        tensor: its name in the graph.
        axes: for each axis that the file has after the batch, which of ours it is: (2, 0, 1) for channels first. Axes
            of ours that the file does not have are 1 long.
        order: of a vector, where the file has each element, if it is elsewhere: (out,) indices, else None.
        raw: whether ONNX has integers here, between QuantizeLinear and DequantizeLinear.
        shares: whether a softmax was left out, so that the file has probabilities here.
        bare: whether the file has no batch here: all of its axes are those of one sample.
    """

    tensor: str
    axes: tuple[int, ...]
    order: NDArray[np.int64] | None = None
    raw: bool = False
    shares: bool = False
    bare: bool = False


def layouts(dims: Shape, first: bool) -> list[Layout]:
    """Our shapes, with their axes, for what a file has as `dims` after the batch: the most usual first.

    Args:
        dims: one to three dimensions; there are no layouts for more.
        first: whether maps usually are channels first.
    """
    match dims:
        case (features,):
            return [((features,), VECTOR)]
        case (a, b):
            found = [((1, b, a), SIGNAL), ((1, a, b), STEPS)]
            return [*(found if first else found[::-1]), ((a, b, 1), (0, 1))]
        case (a, b, c):
            maps: list[Layout] = [((b, c, a), FIRST), ((a, b, c), LAST)]
            return maps if first else maps[::-1]
    return []


class GraphBuilder(ABC):
    """Collects nodes and tensors.

    Attributes:
        tensors: by name.
        nodes: in order.
        notes: what the user should know, one sentence each.
        flows: of the values computed so far, by what the file calls them.
        batch: batch size that the file was made for; 1 if it was free.
        first: whether maps usually are channels first in the file.
    """

    first: bool

    def __init__(self, batch: int) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Operator] = []
        self.notes: list[str] = []
        self.flows: dict[Any, Flow] = {}
        self.batch = batch
        self._counts: Counter[str] = Counter()
        self._numbers = 0

    @abstractmethod
    def put(self, at: Origin, node: Operator) -> str:
        """Add a node and its output, in the scale that the file gives it; the output's name."""

    @abstractmethod
    def readers(self, value: Any) -> int:
        """How many nodes of the file read a value; one more if it is the output."""

    def shape(self, x: Flow) -> Shape:
        """Shape of a value in the graph, without the batch."""
        return self.tensors[x.tensor].shape

    def dims(self, x: Flow) -> Shape:
        """Shape of a value as the file has it, batch first unless it is bare."""
        shape = self.shape(x)
        found = tuple(shape[a] for a in x.axes)
        return found if x.bare else (1, *found)

    def name(self, kind: str) -> str:
        """A new node name: conv1, conv2, ..."""
        self._counts[kind] += 1
        return f"{kind}{self._counts[kind]}"

    def layouts(self, dims: Shape) -> list[Layout]:
        """Our shapes, with their axes, for what the file has as `dims` after the batch: the most usual first."""
        return layouts(dims, self.first)

    def read_once(self, tensor: str) -> bool:
        """Whether every value that lies in a tensor has one reader."""
        return all(self.readers(v) == 1 for v, flow in self.flows.items() if flow.tensor == tensor)

    def _append(self, node: Operator, title: str) -> Shape:
        """Add a node and its output without a scale; the output's shape."""
        shape = node.shape(*(self.tensors[t].shape for t in node.inputs))
        if prod(shape) > ELEMENT_LIMIT:
            raise ModelError(
                f"an output of {prod(shape)} values; at most {ELEMENT_LIMIT} are supported",
                where=title,
                hint="a smaller input, or a stride before this layer",
            )
        self.nodes.append(node)
        self.tensors[node.y] = Tensor(node.y, shape)
        return shape


def per_channel(to: GraphBuilder, at: Origin, value: NDArray[Any], x: Flow) -> NDArray[Any]:
    """A constant that broadcasts against a value, as one number per channel, in our order."""
    dims = to.dims(x)
    channels = to.shape(x)[-1]
    last = len(to.shape(x)) - 1
    place = len(x.axes) - x.axes.index(last) if last in x.axes else 0
    fits = value.ndim <= len(dims) and all(
        n == 1 or (i == place and n == channels) for i, n in enumerate(reversed(value.shape), 1)
    )
    if not fits:
        raise ModelError(
            f"a constant of shape {value.shape} against {channels} channels; one number for each is supported",
            where=at.title,
            hint=f"a constant of {channels} values, or of 1",
        )
    spread = np.broadcast_to(value.reshape(-1), (channels,))
    return spread if x.order is None else spread[x.order]
