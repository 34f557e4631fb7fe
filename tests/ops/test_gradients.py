"""The integer references against real arithmetic: outputs within a step, gradients against finite differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mcugrad import arithmetic as ar
from mcugrad.abi.records import SCALE
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.conv2d_s8 import CONV2D_GRAD_INPUT_S8, CONV2D_S8, CONV2D_UPDATE
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.core.layer_s8 import PREPARE_S8
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.linear.linear_s8 import LINEAR_GRAD_INPUT_S8, LINEAR_S8, LINEAR_UPDATE, LinearStruct
from mcugrad.ops.loss.softmax_cross_entropy_s8 import SOFTMAX_CROSS_ENTROPY_S8
from mcugrad.ops.pooling.maxpool2d import MaxPool2d
from mcugrad.ops.pooling.maxpool2d_s8 import MAXPOOL2D_GRAD_INPUT_S8, MAXPOOL2D_S8
from mcugrad.ops.tracking.ranges_s8 import PREPARE_CLIP, PREPARE_ERROR, TRACK_ERROR, TRACK_SCALE
from mcugrad.ops.update.update_s8 import BIAS_UPDATE, PREPARE_UPDATE
from mcugrad.training.rules import IN_PLACE, InPlace

F32 = np.float32


def f32(*values: float) -> np.ndarray:
    return np.asarray(values, F32)


@dataclass
class Layer:
    """A layer with data in both forms: int8 with scales, and the real numbers that they stand for."""

    node: Conv2d | Linear
    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    x_zero: int = -20
    y_zero: int = -128
    w_zero: int | None = None

    def __post_init__(self) -> None:
        rng = np.random.default_rng(sum(self.x_shape) * 31 + sum(self.w_shape))
        out, self.in_c = self.w_shape[0], self.x_shape[-1]
        self.x_scale, self.y_scale = f32(0.05), f32(0.03)
        self.w_scale = rng.uniform(0.004, 0.012, out).astype(F32)
        self.x = rng.integers(-128, 128, self.x_shape).astype(np.int8)
        self.bias = rng.normal(0, 1, out).astype(F32)
        value = rng.uniform(-127, 127, self.w_shape) * self.w_scale.reshape(
            -1, *[1] * (len(self.w_shape) - 1)
        )
        self.w, self.residual = IN_PLACE["sr16"].encode(value, self.w_scale)
        self.y_shape = self.node.shape(self.x_shape, self.w_shape, (out,))
        self.g: Any
        if isinstance(self.node, Conv2d):
            window = self.node.window(self.x_shape, self.y_shape, self.w_shape)
            self.g = Conv2dStruct.of(window, self.x_zero, self.y_zero)
        else:
            self.g = LinearStruct(self.x_shape[0], out, self.in_c, self.x_zero, self.y_zero)

    @property
    def weights(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Weights and zero point as kernels take them."""
        return self.w.reshape(-1), None if self.w_zero is None else np.asarray([self.w_zero], np.int32)

    @property
    def real_x(self) -> np.ndarray:
        return (self.x.astype(np.float64) - self.x_zero) * self.x_scale

    @property
    def real_w(self) -> np.ndarray:
        return (self.w.astype(np.float64) - (self.w_zero or 0)) * self.w_scale.reshape(
            -1, *[1] * (self.w.ndim - 1)
        )

    def float_forward(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """y without the activation function: linear in x and in w, so finite differences of it are exact."""
        linear = type(self.node)(**{**vars(self.node), "low": None, "high": None})
        return linear.forward(x[None].astype(F32), w.astype(F32), self.bias)[0].astype(np.float64)

    def forward(self) -> tuple[np.ndarray, int]:
        """Output and peak of the integer kernels."""
        out = self.w_shape[0]
        scale, bias = np.zeros(out, F32), np.zeros(out, np.int32)
        PREPARE_S8.reference(out, self.x_scale, self.w_scale, self.bias, self.y_scale, scale, bias)
        y, peak = np.zeros(int(np.prod(self.y_shape)), np.int8), np.zeros(1, np.int32)
        clip = np.zeros(2, np.int32)
        low = -3e38 if self.node.low is None else self.node.low
        high = 3e38 if self.node.high is None else self.node.high
        PREPARE_CLIP.reference(f32(low, high), self.y_scale, clip)
        arguments = [self.g, self.x.reshape(-1), *self.weights, bias, scale, clip, y, peak]
        if isinstance(self.node, Conv2d):
            CONV2D_S8.reference(*arguments, np.zeros(self.g.taps, np.int16))
        else:
            LINEAR_S8.reference(*arguments)
        return y.reshape(self.y_shape), int(peak[0])

    def error(self) -> tuple[np.ndarray, np.ndarray]:
        """A random error of the output, as int8 and as the real gradient that it stands for, its unit c = 0.01."""
        rng = np.random.default_rng(9)
        e = (rng.integers(-127, 128, self.y_shape) * (rng.random(self.y_shape) < 0.6)).astype(np.int8)
        return e, e * 0.01 / self.w_scale.astype(np.float64)


CONVOLUTIONS = [
    Layer(Conv2d(name="plain", x="x", w="w", b="b", y="y", low=0.0), (6, 7, 3), (5, 3, 3, 3)),
    Layer(
        Conv2d(name="strided", x="x", w="w", b="b", y="y", stride=(2, 3), padding=(1, 0, 2, 1)),
        (7, 8, 4), (6, 3, 2, 4), y_zero=0,
    ),
    Layer(
        Conv2d(name="dilated", x="x", w="w", b="b", y="y", dilation=(2, 1), padding=(2, 1, 2, 1), low=0.0, high=6.0),
        (6, 5, 2), (3, 3, 3, 2),
    ),
    Layer(Conv2d(name="gaps", x="x", w="w", b="b", y="y", stride=(3, 3)), (7, 7, 1), (4, 2, 2, 1), y_zero=3),
    Layer(Conv2d(name="pointwise", x="x", w="w", b="b", y="y"), (4, 4, 9), (7, 1, 1, 9), y_zero=0),
    Layer(
        Conv2d(name="affine", x="x", w="w", b="b", y="y", stride=(2, 1), padding=(1, 1, 1, 0), dilation=(1, 2)),
        (7, 8, 3), (6, 3, 2, 3), y_zero=0, w_zero=-45,
    ),
]  # fmt: skip
LINEARS = [
    Layer(Linear(name="head", x="x", w="w", b="b", y="y"), (64,), (10, 64), y_zero=0),
    Layer(Linear(name="hidden", x="x", w="w", b="b", y="y", low=0.0), (37,), (12, 37)),
    Layer(Linear(name="affine_head", x="x", w="w", b="b", y="y"), (33,), (9, 33), y_zero=0, w_zero=101),
]
LAYERS = pytest.mark.parametrize("layer", CONVOLUTIONS + LINEARS, ids=lambda layer: layer.node.name)


def agree(got: np.ndarray, expected: np.ndarray) -> None:
    """Same direction and same length."""
    a, b = got.reshape(-1), expected.reshape(-1)
    cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    assert cosine >= 0.99, cosine
    assert 0.98 < np.linalg.norm(a) / np.linalg.norm(b) < 1.02


def finite_differences(f: Any, at: np.ndarray) -> np.ndarray:
    """Gradient of a scalar function, one central difference per element."""
    result = np.zeros(at.size)
    for i in range(at.size):
        step = np.zeros(at.size)
        step[i] = 0.5
        result[i] = f(at + step.reshape(at.shape)) - f(at - step.reshape(at.shape))
    return result.reshape(at.shape)


@LAYERS
def test_forward_is_within_a_step(layer: Layer) -> None:
    y, peak = layer.forward()
    expected = layer.node.activate(layer.float_forward(layer.real_x, layer.real_w)) / layer.y_scale[0]
    inside = np.clip(expected, -128 - layer.y_zero, 127 - layer.y_zero)
    assert np.abs(y.astype(float) - layer.y_zero - inside).max() <= 1
    assert abs(peak - np.abs(expected).max()) <= 1 + 2**-14 * np.abs(expected).max()


@LAYERS
def test_input_gradient(layer: Layer) -> None:
    """Through the mask of an activation function that made x, at a range that just fits."""
    e, real_e = layer.error()
    carrier = np.random.default_rng(10).uniform(0.005, 0.01, layer.in_c).astype(F32)
    clip = np.asarray([-90, 130], np.int32)
    value = layer.x.astype(int) - layer.x_zero
    open_ = (value > clip[0]) & (value < clip[1])
    expected = open_ * finite_differences(
        lambda x: float((layer.float_forward(x, layer.real_w) * real_e).sum()), layer.real_x
    )
    c = f32(0.01, np.abs(e).max() / 127)
    range_, c_x, peak = f32(1.0), f32(0, 0), np.zeros(1, np.int32)
    e_x = np.zeros(layer.x.size, np.int8)
    kernel = CONV2D_GRAD_INPUT_S8 if isinstance(layer.node, Conv2d) else LINEAR_GRAD_INPUT_S8
    for _ in range(2):  # the first pass finds the range, as the first step on a device does
        scale = np.zeros(layer.in_c, SCALE)
        PREPARE_ERROR.reference(layer.in_c, range_, c, carrier, scale)
        kernel.reference(
            layer.g, e.reshape(-1), None, *layer.weights, layer.x.reshape(-1), scale, clip, e_x, peak
        )
        TRACK_ERROR.reference(0, peak, c, range_, c_x, np.zeros(1, np.int32))
    assert 100 < np.abs(e_x).max() <= 127
    agree(e_x.reshape(layer.x_shape) * float(c_x[0]) / carrier, expected)


@LAYERS
@pytest.mark.parametrize(
    "rule", [r for r in IN_PLACE.values() if r.name != "qas"], ids=lambda rule: rule.name
)
def test_weight_update(layer: Layer, rule: InPlace) -> None:
    """The mean change of the weights is minus rate times the gradient; random rounding needs many steps to show it."""
    e, real_e = layer.error()
    out = layer.w_shape[0]
    gradient = finite_differences(
        lambda w: float((layer.float_forward(layer.real_x, w) * real_e).sum()), layer.real_w
    )
    # The largest change of any weight is two of its steps.
    steps = gradient / layer.w_scale.reshape(-1, *[1] * (layer.w.ndim - 1))
    rate = f32(2 / np.abs(steps).max())
    factor = np.zeros(out, SCALE)
    PREPARE_UPDATE.reference(
        out, None, None, rate, f32(0.01), layer.x_scale, layer.w_scale, layer.w_scale, factor
    )
    count = gradient[0].size
    start = (layer.w // 2).astype(np.int8)  # far from saturation
    repeats = 400 if rule.name != "sr16" else 1
    change = np.zeros((out, count))
    for step in range(repeats):
        w, residual = (plane.reshape(-1) for plane in rule.encode(start, np.ones(out)))
        scale = layer.w_scale.copy()
        arguments = [
            layer.g, layer.x.reshape(-1), e.reshape(-1), None, factor, rule,
            np.asarray([5], np.uint32), np.asarray([step], np.uint32), 1,
        ]  # fmt: skip
        planes = [w, residual if rule.residual_bits else None, scale]
        if isinstance(layer.node, Conv2d):
            rows = np.zeros(4 * count, np.int32)
            CONV2D_UPDATE.reference(*arguments, 4, *planes, rows, np.zeros(count, np.int16))
        else:
            LINEAR_UPDATE.reference(*arguments, *planes)
        assert np.array_equal(scale, layer.w_scale)
        unit = 1 << rule.residual_bits
        after = rule.split(w, residual, out, count) - (unit >> 1)
        change += after / unit - start.reshape(out, count)
    agree(
        change / repeats * layer.w_scale[:, None],
        -float(rate[0]) * gradient.reshape(out, count),
    )


@LAYERS
def test_bias_update(layer: Layer) -> None:
    e, real_e = layer.error()
    out = layer.w_shape[0]
    bias = layer.bias.copy()
    BIAS_UPDATE.reference(
        e.size // out, out, e.reshape(-1), None, None, f32(0.1), f32(0.01), layer.w_scale, bias
    )
    expected = layer.bias - 0.1 * real_e.reshape(-1, out).sum(axis=0)
    assert np.allclose(bias, expected, rtol=1e-5, atol=1e-5)


# -- pooling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "node",
    [
        MaxPool2d(name="halves", x="x", y="y", kernel=(2, 2), stride=(2, 2)),
        MaxPool2d(name="overlaps", x="x", y="y", kernel=(3, 3), stride=(2, 1), padding=(1, 1, 1, 1)),
        MaxPool2d(name="gaps", x="x", y="y", kernel=(2, 1), stride=(3, 2), dilation=(2, 1)),
    ],
    ids=lambda node: node.name,
)
def test_pooling(node: MaxPool2d) -> None:
    rng = np.random.default_rng(4)
    shape = (7, 6, 3)
    # Distinct values: ties have no derivative.
    x = rng.permutation(np.arange(-63, 63)).reshape(shape).astype(np.int8)
    out = node.shape(shape)
    g = node.window(shape, out)
    y = np.zeros(int(np.prod(out)), np.int8)
    MAXPOOL2D_S8.reference(g, x.reshape(-1), y)
    assert np.array_equal(y.reshape(out), node.forward(x[None].astype(F32))[0])
    e = rng.integers(-20, 21, out).astype(np.int8)
    e_x = np.zeros(x.size, np.int8)
    MAXPOOL2D_GRAD_INPUT_S8.reference(g, e.reshape(-1), x.reshape(-1), e_x)
    expected = finite_differences(
        lambda v: float((node.forward(v[None].astype(F32))[0] * e).sum()), x.astype(np.float64) * 2
    )
    assert np.allclose(e_x.reshape(shape), expected)


def test_pooling_ties_go_to_the_first_and_sums_saturate() -> None:
    node = MaxPool2d(name="ties", x="x", y="y", kernel=(1, 2))
    g = node.window((1, 3, 1), (1, 2, 1))
    e_x = np.ones(3, np.int8)
    MAXPOOL2D_GRAD_INPUT_S8.reference(g, np.asarray([3, 4], np.int8), np.asarray([7, 7, 7], np.int8), e_x)
    assert e_x.tolist() == [3, 4, 0]
    MAXPOOL2D_GRAD_INPUT_S8.reference(g, np.asarray([100, 100], np.int8), np.asarray([1, 7, 1], np.int8), e_x)
    assert e_x.tolist() == [0, 127, 0]


# -- loss ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_softmax_cross_entropy(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes, label = 10, int(rng.integers(10))
    logits = rng.integers(-128, 128, classes).astype(np.int8)
    w_scale = rng.uniform(0.004, 0.012, classes).astype(F32)
    e, c, loss, confidence = np.zeros(classes, np.int8), f32(0, 0), f32(0), f32(0)
    SOFTMAX_CROSS_ENTROPY_S8.reference(
        classes, classes, 0, logits, f32(scale), label, f32(0), w_scale, np.asarray([-(2**30), 2**30], np.int32),
        e, c, loss, confidence, np.zeros(classes, F32),
    )  # fmt: skip
    z = logits * np.float64(F32(scale))
    log_sum = np.log(np.exp(z - z.max()).sum()) + z.max()
    p = np.exp(z - log_sum)
    assert abs(loss[0] - (log_sum - z[label])) < 2e-6 * (1 + abs(loss[0]))
    assert abs(confidence[0] - p.max()) < 1e-6
    expected = p - np.eye(classes)[label]
    assert np.abs(e).max() == 127
    assert c[1] == 1
    # Half a step of rounding per class, in units of the class with the smallest weight scale.
    assert np.abs(e * float(c[0]) / w_scale - expected).max() <= 0.51 * float(c[0]) / w_scale.min()


def test_no_error_when_the_sample_is_certain() -> None:
    e, c = np.ones(2, np.int8), f32(5, 5)
    logits, clip = np.asarray([127, -128], np.int8), np.asarray([-(2**30), 2**30], np.int32)
    SOFTMAX_CROSS_ENTROPY_S8.reference(
        2, 2, 0, logits, f32(10.0), 0, f32(0), f32(1, 1), clip,
        e, c, f32(0), f32(0), f32(0, 0),
    )  # fmt: skip
    assert e.tolist() == [0, 0]
    assert c.tolist() == [0, 0]


# -- ranges ----------------------------------------------------------------------------------------------------


def test_scales_grow_at_once_and_shrink_slowly() -> None:
    scale, saturated = f32(0.5), np.zeros(1, np.int32)
    TRACK_SCALE.reference(255, np.asarray([510], np.int32), scale, saturated)
    assert scale[0] == 1.0
    TRACK_SCALE.reference(255, np.asarray([10], np.int32), scale, saturated)
    assert scale[0] == F32(1) - F32(2.0**-10)
    TRACK_SCALE.reference(255, np.asarray([0], np.int32), scale, saturated)
    assert scale[0] == F32(1) - F32(2.0**-10), "a dead activation says nothing about its range"


def test_bias_saturates() -> None:
    scale, bias = np.zeros(2, np.int32), np.zeros(2, np.int32)
    PREPARE_S8.reference(2, f32(1e-10), f32(1e-10, 1e-10), f32(1e10, -1e10), f32(1), scale, bias)
    assert bias.tolist() == [ar.BIAS_LIMIT, -ar.BIAS_LIMIT]
