"""Nodes: one frozen dataclass per operator; its attributes are fields, never a dict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import NDArray

from mcugrad.graph.precision import Precision
from mcugrad.graph.tensor import ActivationScale, Shape

if TYPE_CHECKING:
    from mcugrad.graph.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Node(ABC):
    """An operator applied to tensors, which it refers to by name.

    Attributes:
        name: unique in its graph, a C identifier.
        source: name of the node in the user's file, for messages; empty for nodes that we add.
    """

    INPUTS: ClassVar[tuple[str, ...]]
    """Names of the fields that hold the tensors it reads."""
    OUTPUTS: ClassVar[tuple[str, ...]]
    """Names of the fields that hold the tensors it defines."""

    name: str
    source: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Tensors read, in order."""
        return tuple(getattr(self, f) for f in self.INPUTS)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Tensors defined, in order."""
        return tuple(getattr(self, f) for f in self.OUTPUTS)

    @property
    def title(self) -> str:
        """Name as the user knows it, and the operator."""
        return f"{self.source or self.name}  {type(self).__name__}"

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The same node on other tensors."""
        return replace(
            self, **{f: names.get(getattr(self, f), getattr(self, f)) for f in self.INPUTS + self.OUTPUTS}
        )


@dataclass(frozen=True, kw_only=True)
class Operator(Node):
    """An operator of the network: what it is, in any precision. How it is computed is not said here but in `ops`.

    Attributes:
        y: what it computes.
        precision: what it computes in; None before that is decided.
    """

    y: str
    precision: Precision | None = None

    OUTPUTS = ("y",)

    @property
    @abstractmethod
    def passes_scale(self) -> bool:
        """Whether `y` has the scale of the first input: it lies in the same range."""

    def passed(self, quant: ActivationScale) -> ActivationScale:
        """Quantization of `y` where the scale is that of the first input, whose quantization this is."""
        return quant

    @property
    def moves_values(self) -> bool:
        """Whether `y` holds nothing but values of the first input, as they are, and zeros of padding."""
        return self.passes_scale

    @property
    @abstractmethod
    def keeps_channels(self) -> bool:
        """Whether channel i of `y` depends on channel i of the inputs alone, or on weights of its own."""

    @property
    def keeps_sign(self) -> bool:
        """Whether `y` is never negative where no input is."""
        return False

    @property
    def error_carrier(self) -> str | None:
        """The weights whose channel scales the error of `y` carries where it is int8; None where there are none."""
        return None

    @abstractmethod
    def shape(self, *inputs: Shape) -> Shape:
        """Shape of `y` from the shapes of the inputs. Raises ModelError where they do not fit."""

    @abstractmethod
    def forward(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        """float32 `y` for a batch: `x` carries the batch as its first axis, constants do not."""

    @abstractmethod
    def macs(self, graph: Graph) -> int:
        """Multiply-accumulates for one sample."""

    @abstractmethod
    def describe(self, graph: Graph) -> str:
        """What it does in a few words: `conv 3x3/2  28x28x1 -> 14x14x16`."""
