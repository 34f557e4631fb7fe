"""Networks by name, as float ONNX files: real architectures, any input size and number of classes, random weights.

>>> from mcugrad.zoo import nets
>>> path = nets.write("resnet8", "resnet8.onnx", input_shape=(32, 32, 3), classes=10)
>>> model = mg.load(path)

Nothing is downloaded, and nothing is trained: weights are drawn from the seed, scaled after He et al. (arXiv
1502.01852), and batch-norms hold the statistics of `samples`. With typical samples a network is ready to be trained
from scratch on the device, where batch-norms are folded into the layers before them.

`Net` is what they are made with: for a network of your own, or the layers of one of these behind other inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError, UsageError
from mcugrad.zoo.nets._images import lenet, mlp, resnet8
from mcugrad.zoo.nets._mobile import mbednet, mcunet, mobilenet_v1_025, mobilenet_v2_035
from mcugrad.zoo.nets._net import Net, noise
from mcugrad.zoo.nets._signals import autoencoder, ds_cnn, inertial_cnn, vibration_cnn

__all__ = ["Architecture", "Net", "about", "build", "names", "noise", "write"]

LARGEST = 1 << 20
"""Values of an input."""
MOST_CLASSES = 1 << 16
VALUES = 1 << 17
"""Of noise that batch-norms are measured with, in 8 to 64 samples."""


@dataclass(frozen=True)
class Architecture:
    """A network that can be built.

    Attributes:
        layers: adds its layers to a network that has an input, given the number of outputs.
        input_shape: in the literature: (height, width, channels), (length, channels) or (features,).
        classes: in the literature; None where the network gives its input back.
        least: smallest height and width, or length, that makes sense.
    """

    layers: Callable[[Net, int], None]
    input_shape: tuple[int, ...]
    classes: int | None
    least: tuple[int, ...] = ()

    @property
    def summary(self) -> str:
        """What it is and who described it."""
        return (self.layers.__doc__ or "").splitlines()[0]


_NETS = {
    "autoencoder": Architecture(autoencoder, (640,), None),
    "ds_cnn": Architecture(ds_cnn, (49, 10, 1), 12, (4, 4)),
    "inertial_cnn": Architecture(inertial_cnn, (64, 6), 5, (8,)),
    "lenet": Architecture(lenet, (28, 28, 1), 10, (12, 12)),
    "mbednet": Architecture(mbednet, (32, 32, 3), 10, (16, 16)),
    "mcunet": Architecture(mcunet, (128, 128, 3), 10, (32, 32)),
    "mlp": Architecture(mlp, (784,), 10),
    "mobilenet_v1_025": Architecture(mobilenet_v1_025, (96, 96, 3), 2, (32, 32)),
    "mobilenet_v2_035": Architecture(mobilenet_v2_035, (96, 96, 3), 2, (32, 32)),
    "resnet8": Architecture(resnet8, (32, 32, 3), 10, (4, 4)),
    "vibration_cnn": Architecture(vibration_cnn, (1024, 1), 10, (1024,)),
}


def names() -> tuple[str, ...]:
    """Names of the networks, sorted."""
    return tuple(sorted(_NETS))


def about(name: str) -> Architecture:
    """What is known of a network. Raises UsageError if there is none of that name."""
    if name not in _NETS:
        raise UsageError(
            f"there is no network named {name!r}", where="name", hint=f"one of {', '.join(names())}"
        )
    return _NETS[name]


def build(
    name: str,
    *,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    seed: int = 0,
    samples: NDArray[Any] | None = None,
) -> bytes:
    """An ONNX file.

    Args:
        name: one of `names()`.
        input_shape: of one sample, channels last, as mcugrad has it; a lone channel may be left out. ONNX has it
            channels first. By default that of `samples`, or of the literature.
        classes: number of outputs; by default as in the literature.
        seed: of the weights.
        samples: typical inputs, (n, *input_shape), real units, whose statistics batch-norms hold; by default noise of
            mean 0 and variance 1.

    Raises:
        UsageError: no such network, or a size that it cannot have.
        DataError: the samples cannot be used.
    """
    network = about(name)
    values = None if samples is None else np.asarray(samples)
    if input_shape is None:
        input_shape = network.input_shape if values is None else values.shape[1:]
    shape = _shape(name, network, input_shape)
    outputs = _outputs(name, network, shape, classes)
    if not 0 <= seed < 1 << 63:
        raise UsageError(f"seed {seed} is not a natural number", where="seed", hint="0 or more")
    order = (shape[-1], *shape[:-1])
    if values is None:
        batch = noise(order, min(max(VALUES // prod(shape), 8), 64), seed)
    else:
        batch = np.moveaxis(_samples(values, shape), -1, 1)
    net = Net(name, batch, seed)
    network.layers(net, outputs)
    return net.onnx()


def write(name: str, path: str | Path, **options: Any) -> Path:
    """Build a network and write it to a file; the options are those of `build`. Returns the file's path."""
    file, data = Path(path), build(name, **options)
    try:
        file.write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"cannot write the network: {error.strerror}", where=str(file), hint="another folder"
        ) from None
    return file


def _shape(name: str, network: Architecture, given: Sequence[int]) -> tuple[int, ...]:
    """The input's shape with its channels."""
    try:
        shape = tuple(int(n) for n in given)
    except (TypeError, ValueError):
        shape = ()
    axes = len(network.input_shape)
    if len(shape) == axes - 1 and axes > 1:
        shape = (*shape, 1)
    flexible = not network.least and network.classes is not None
    if not shape or min(shape) < 1 or (len(shape) != axes and not (flexible and len(shape) <= 3)):
        raise UsageError(
            f"{name} cannot have inputs of shape {given}",
            where="input_shape",
            hint=f"{axes} sizes above 0, as {network.input_shape}",
        )
    if any(n < least for n, least in zip(shape, network.least, strict=False)):
        raise UsageError(
            f"inputs of {'x'.join(map(str, shape))} are too small for {name}",
            where="input_shape",
            hint=f"at least {'x'.join(map(str, (*network.least, shape[-1])))}",
        )
    if prod(shape) > LARGEST:
        raise UsageError(
            f"inputs of {prod(shape)} values are too large",
            where="input_shape",
            hint=f"at most {LARGEST}",
        )
    return shape


def _outputs(name: str, network: Architecture, shape: tuple[int, ...], classes: int | None) -> int:
    if network.classes is None:
        if classes not in (None, shape[0]):
            raise UsageError(
                f"{name} has {shape[0]} outputs, as many as inputs, not {classes}",
                where="classes",
                hint="leave classes out",
            )
        return shape[0]
    found = network.classes if classes is None else classes
    if not 1 <= found <= MOST_CLASSES:
        raise UsageError(
            f"{found} classes make no sense", where="classes", hint=f"a number from 1 to {MOST_CLASSES}"
        )
    return found


def _samples(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Samples as float32, (n, *shape)."""
    fits = values.dtype.kind in "fiub" and values.ndim > 1 and len(values) >= 2
    if fits and values.shape[1:] in (shape, shape[:-1]):
        real: NDArray[np.float32] = values.reshape(-1, *shape).astype(np.float32)
        if np.isfinite(real).all():
            return real
    raise DataError(
        f"statistics need two or more finite samples of shape {shape}, not {values.dtype} of {values.shape}",
        where="samples",
        hint="64 typical samples, channels last",
    )
