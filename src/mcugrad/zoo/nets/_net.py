"""What the networks of the zoo are written with: layers one after the other, values kept to branch and join.

Every layer is computed for a few samples as soon as it is added, so that batch-norms hold the statistics of what
really arrives: activations start near mean 0 and variance 1, however deep the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mcugrad.errors import UsageError
from mcugrad.numerics import grid_bits, matmul, on_grid, ordered_sum, whole_products

Array = NDArray[np.float32]
EPSILON = 1e-3
OPSET, IR_VERSION = 17, 8
GAINS = {"Relu": 2.0, "Clip": 2.0, "HardSwish": 2.0}
"""Variance of weights times their number, by what precedes the layer: these functions halve the mean square."""


class Net:
    """A network under construction. Methods add layers behind `top`, or where `at` says, and return the network.

    >>> net = nets.Net("mbednet", signals, seed=0)
    >>> nets.about("mbednet").layers(net, 5)
    >>> Path("net.onnx").write_bytes(net.onnx())

    Attributes:
        name: of the network.
        top: name of the latest value.

    Args:
        name: of the network.
        samples: typical inputs, float32, (n, channels, *size) or (n, features), that batch-norms are measured with.
        seed: of the weights.
    """

    def __init__(self, name: str, samples: Array, seed: int) -> None:
        self.name = name
        self.top = "input"
        self._random = np.random.default_rng(seed)
        self._values: dict[str, Array] = {self.top: samples}
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._makers: dict[str, str] = {}

    @property
    def channels(self) -> int:
        """Channels, or features, of the latest value."""
        return int(self._values[self.top].shape[1])

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width, or length, of the latest value; () of a vector."""
        return self._values[self.top].shape[2:]

    def at(self, value: str) -> Self:
        """Go on from an earlier value."""
        self.top = value
        return self

    # -- layers with weights ---------------------------------------------------------------------------------------

    def conv(
        self,
        out: int,
        kernel: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        *,
        same: bool = True,
        depthwise: bool = False,
        bias: bool = False,
    ) -> Self:
        """Convolution of as many dimensions as the map has. `same` pads as much as the kernel reaches."""
        x, axes = self._values[self.top], len(self.size)
        k, s = (_each(v, axes) for v in (kernel, stride))
        before = [(n - 1) // 2 if same else 0 for n in k]
        after = [n // 2 if same else 0 for n in k]
        w = self._draw(out, 1 if depthwise else self.channels, *k)
        if depthwise:
            windows = self._windows(x, k, s, before, after)
            y: Array = np.zeros(windows.shape[: axes + 2], np.float32)
            for tap in np.ndindex(*k):
                y += windows[(..., *tap)] * w[(slice(None), 0, *tap)].reshape(-1, *[1] * axes)
        else:
            x_bits, w_bits = grid_bits(w[0].size)
            values, unit = on_grid(x, x_bits, shared=tuple(range(1, x.ndim)))
            matrix, column_unit = on_grid(w.reshape(out, -1).T, w_bits, shared=(0,))
            windows = np.moveaxis(self._windows(values, k, s, before, after), 1, axes + 1)
            sums = whole_products(windows.reshape(*windows.shape[: axes + 1], -1), matrix)
            sums *= unit * column_unit.reshape(-1)
            y = np.moveaxis(sums.astype(np.float32), -1, 1)
        weights_of_layer = [w] + ([np.zeros(out, np.float32)] if bias else [])
        groups = self.channels if depthwise else 1
        return self._add(
            "Conv", y, weights_of_layer, kernel_shape=k, strides=s, pads=[*before, *after], group=groups
        )

    def fc(self, out: int) -> Self:
        """Fully connected layer."""
        w = self._draw(out, self.channels)
        return self._add(
            "Gemm", matmul(self._values[self.top], w.T), [w, np.zeros(out, np.float32)], transB=1
        )

    def norm(self) -> Self:
        """Batch normalization with the statistics of the samples, to three digits."""
        x = self._values[self.top]
        rows = np.moveaxis(x, 1, 0).reshape(self.channels, -1).astype(np.float64)
        centre = _mean(rows)
        spread = _mean((rows - centre[:, None]) ** 2)
        spread = np.maximum(spread, 0.01 * _mean(spread) + 1e-6)
        mean, variance = _three_digits(centre), _three_digits(spread)
        around = (-1, *[1] * (x.ndim - 2))
        y = (x - mean.reshape(around)) / np.sqrt(variance + np.float32(EPSILON)).reshape(around)
        one, zero = np.ones_like(mean), np.zeros_like(mean)
        return self._add("BatchNormalization", y, [one, zero, mean, variance], epsilon=EPSILON)

    # -- functions ---------------------------------------------------------------------------------------------------

    def relu(self) -> Self:
        """max(x, 0)."""
        return self._add("Relu", np.maximum(self._values[self.top], 0))

    def relu6(self) -> Self:
        """x between 0 and 6."""
        ends = [np.float32(0), np.float32(6)]
        return self._add("Clip", np.clip(self._values[self.top], 0, 6), ends)

    def hard_swish(self) -> Self:
        """x times a hard sigmoid of x."""
        x = self._values[self.top]
        return self._add("HardSwish", x * np.clip(x / 6 + 0.5, 0, 1))

    def hard_sigmoid(self) -> Self:
        """x / 6 + 1/2 between 0 and 1."""
        return self._add(
            "HardSigmoid", np.clip(self._values[self.top] / 6 + 0.5, 0, 1), alpha=1 / 6, beta=0.5
        )

    # -- moving and joining --------------------------------------------------------------------------------------------

    def max_pool(self, kernel: int) -> Self:
        """Largest value of each window; windows do not overlap."""
        axes = len(self.size)
        k, none = _each(kernel, axes), [0] * axes
        y = self._windows(self._values[self.top], k, k, none, none).max(axis=tuple(range(-axes, 0)))
        return self._add("MaxPool", y, kernel_shape=k, strides=k)

    def global_pool(self) -> Self:
        """Mean of every channel, as a map of one pixel."""
        x = self._values[self.top]
        mean = _mean(x.reshape(*x.shape[:2], -1).astype(np.float64))
        return self._add("GlobalAveragePool", mean.reshape(*mean.shape, *[1] * (x.ndim - 2)))

    def flatten(self) -> Self:
        """A map as a vector."""
        x = self._values[self.top]
        return self._add("Flatten", x.reshape(len(x), -1))

    def plus(self, other: str) -> Self:
        """Sum with an earlier value."""
        return self._join("Add", other, self._values[self.top] + self._values[other])

    def times(self, other: str) -> Self:
        """Product with an earlier value."""
        return self._join("Mul", other, self._values[self.top] * self._values[other])

    # -- the file ------------------------------------------------------------------------------------------------------

    def onnx(self) -> bytes:
        """The network as an ONNX file: any batch size, maps channels first."""
        shape, out = self._values["input"].shape[1:], self._values[self.top].shape[1:]
        self._nodes[-1].output[0] = "output"
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *shape])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", *out])],
            self._weights,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="mcugrad.zoo",
        )
        data: bytes = model.SerializeToString(deterministic=True)
        return data

    def _draw(self, out: int, *fan: int) -> Array:
        gain = GAINS.get(self._makers.get(self.top, ""), 1.0)
        deviation = np.sqrt(gain / np.prod(fan))
        weights: Array = (self._random.normal(size=(out, *fan)) * deviation).astype(np.float32)
        return weights

    def _windows(
        self, x: NDArray[Any], kernel: list[int], stride: list[int], before: list[int], after: list[int]
    ) -> NDArray[Any]:
        """(n, channels, *positions, *kernel) values under each window."""
        room = [n + b + a - k for n, b, a, k in zip(x.shape[2:], before, after, kernel, strict=True)]
        if min(room) < 0:
            raise UsageError(
                f"{self.name}: a window of {'x'.join(map(str, kernel))} does not fit into what "
                f"{'x'.join(map(str, x.shape[2:]))} values remain of the input",
                where=f"layer {len(self._nodes) + 1} of {self.name}",
                hint="a larger input_shape",
            )
        padded = np.pad(x, [(0, 0), (0, 0), *zip(before, after, strict=True)])
        axes = tuple(range(2, x.ndim))
        every = (slice(None), slice(None), *(slice(None, None, s) for s in stride))
        windows: NDArray[Any] = sliding_window_view(padded, kernel, axis=axes)[every]
        return windows

    def _join(self, kind: str, other: str, y: Array) -> Self:
        self._add(kind, y)
        self._nodes[-1].input.append(other)
        return self

    def _add(self, kind: str, y: NDArray[Any], constants: Sequence[Any] = (), **attributes: Any) -> Self:
        name = f"{kind.lower()}_{len(self._nodes) + 1}"
        inputs = [self.top]
        for i, value in enumerate(constants):
            inputs.append(f"{name}.{i}")
            self._weights.append(numpy_helper.from_array(np.asarray(value, np.float32), inputs[-1]))
        self._nodes.append(helper.make_node(kind, inputs, [f"{name}.out"], name=name, **attributes))
        # A function of the mean, and what only moves values, keep what the function before it did to them.
        moved = kind in ("MaxPool", "Flatten", "GlobalAveragePool")
        maker = self._makers.get(self.top, "") if moved else kind
        self.top = f"{name}.out"
        self._makers[self.top] = maker
        self._values[self.top] = np.ascontiguousarray(y, np.float32)
        return self


def noise(shape: Sequence[int], count: int, seed: int) -> Array:
    """Samples of mean 0 and variance 1, (count, channels, *size), with coarse structure as real maps have."""
    random = np.random.default_rng([seed, 1])
    fine = random.normal(size=(count, *shape))
    coarse = random.normal(size=(count, shape[0], *(-(-n // 8) for n in shape[1:])))
    for axis, size in enumerate(shape[1:], 2):
        coarse = coarse.repeat(8, axis=axis).take(range(size), axis=axis)
    mixed: Array = (0.5 * fine + np.sqrt(0.75) * coarse).astype(np.float32)
    return mixed


def _each(value: int | Sequence[int], axes: int) -> list[int]:
    return [value] * axes if isinstance(value, int) else list(value)


def _mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis."""
    result: NDArray[np.float64] = ordered_sum(x, axis=-1) / x.shape[-1]
    return result


def _three_digits(values: NDArray[np.float64]) -> Array:
    """Rounded: more would say nothing about what arrives in training."""
    return np.asarray([float(f"{v:.2e}") for v in values], np.float32)
