"""Tensors: what flows between nodes, with shape and quantization."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mcugrad.training.rules.update import Update

Shape = tuple[int, ...]
"""Without the batch: (height, width, channels) for maps, (features,) for vectors."""


@dataclass(frozen=True)
class ActivationScale:
    """int8, affine: real = scale * (q - zero).

    Attributes:
        scale: at compile time; tracked on the device while `owner`'s producer trains.
        zero: zero point, fixed.
        owner: the tensor that the scale belongs to. Pooling and flattening pass their input's on.
        low: real value below which the producer's activation function is flat (0 for ReLU), or None.
        high: real value above which it is flat (6 for ReLU6), or None.
        whole: ends of what calibration saw, some of which `scale` may clip: a tracked scale begins with them.
    """

    scale: float
    zero: int
    owner: str
    low: float | None = None
    high: float | None = None
    whole: tuple[float, float] | None = None

    @property
    def span(self) -> tuple[float, float]:
        """Real values of the codes -128 and 127."""
        return self.scale * (-128 - self.zero), self.scale * (127 - self.zero)


def unbounded(quant: ActivationScale) -> ActivationScale:
    """The same scale of values of which bounds say nothing."""
    return replace(quant, low=None, high=None)


@dataclass(frozen=True, eq=False)
class WeightScale:
    """int8: real = scales[o] * q in [-127, 127], or scales[o] * (q - zero) in [-128, 127].

    Attributes:
        scales: one float32 per output channel (first axis).
        zero: zero point of all channels; None for symmetric ranges.
    """

    scales: NDArray[np.float32]
    zero: int | None = None


@dataclass(frozen=True)
class ErrorScale:
    """int8, symmetric: real = c / w_scale[channel] * q, with one c per tensor and sample.

    Attributes:
        carrier: the weight tensor whose channel scales the error carries: that of the layer it goes back to.
        owner: the error tensor that c belongs to. Pooling and flattening pass their output's on.
    """

    carrier: str
    owner: str


@dataclass(frozen=True)
class Float32:
    """float32, as it is: activations, errors and weights of float layers.

    Attributes:
        low: value of an activation below which the producer's activation function is flat (0 for ReLU), or None.
        high: value above which it is flat (6 for ReLU6), or None.
    """

    low: float | None = None
    high: float | None = None

    @property
    def bounded(self) -> bool:
        """Whether there is a bound."""
        return self.low is not None or self.high is not None


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value in the graph.

    Attributes:
        name: unique in its graph.
        shape: without the batch dimension.
        quant: how int8 stands for real numbers, or that a float layer computes it; None before that is decided.
        value: float32 contents of a constant, in real units; None for what is computed.
        trainable: whether training changes the constant.
        update: how a trainable weight or bias learns; None for what does not.
        tracked: whether the activation's scale follows its range on the device.
    """

    name: str
    shape: Shape
    quant: ActivationScale | WeightScale | ErrorScale | Float32 | None = None
    value: NDArray[Any] | None = None
    trainable: bool = False
    update: Update | None = None
    tracked: bool = False

    @property
    def rule(self) -> str:
        """Update rule of a trainable constant (`sr8`), else empty."""
        return "" if self.update is None else self.update.rule

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def channels(self) -> int:
        """Length of the last axis."""
        return self.shape[-1]
