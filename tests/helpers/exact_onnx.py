"""What a quantized ONNX file means: exact sums of integers, and each rescaling in float64, on every processor the same.

onnxruntime is no oracle for 8-bit weights: on x86 without VNNI it adds pairs of products in 16 bits, which saturate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]
Options = dict[str, Any]


class Values(NamedTuple):
    """Real values `codes * scale`: integers of any size without a zero point, or floats with scale 1."""

    codes: Array
    scale: Array = np.ones(())

    @property
    def real(self) -> Array:
        return self.codes * self.scale


def exact_outputs(model: bytes, x: Array) -> Array:
    """Outputs (n, classes), float64, of a quantized file for samples (n, channels, ...)."""
    graph = onnx.load_from_string(model).graph
    known: dict[str, Any] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    known |= {"": None, graph.input[0].name: Values(x.astype(np.float64))}
    for node in graph.node:
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        (name,) = node.output
        known[name] = OPERATORS[node.op_type](options, *(known[i] for i in node.input))
    found: Array = known[graph.output[0].name].real
    return found


def dequantize(options: Options, codes: Array | Values, scale: Array, zero: Array) -> Values:
    if isinstance(codes, Values):
        codes = codes.codes
    shape = [1] * codes.ndim
    if scale.size > 1:
        shape[options.get("axis", 1)] = -1
    zeros = zero.astype(np.int64).reshape(shape)
    return Values(codes.astype(np.int64) - zeros, scale.astype(np.float64).reshape(shape))


def quantize(_: Options, x: Values, scale: Array, zero: Array) -> Values:
    limits = np.iinfo(zero.dtype)
    codes = np.rint(x.real / np.float64(scale)) + np.int64(zero)
    return Values(np.clip(codes, limits.min, limits.max).astype(zero.dtype))


def windows(options: Options, x: Array, kernel: tuple[int, ...], outside: int) -> Array:
    """What each place of the kernel sees, (n, channels, *outputs, *kernel)."""
    d = len(kernel)
    pads = options.get("pads", [0] * 2 * d)
    edges = [(0, 0), (0, 0), *zip(pads[:d], pads[d:], strict=True)]
    seen = sliding_window_view(
        np.pad(x, edges, constant_values=outside), kernel, tuple(range(2, 2 + d)), writeable=False
    )
    return seen[(slice(None), slice(None), *(slice(None, None, s) for s in options.get("strides", [1] * d)))]


def conv(options: Options, x: Values, w: Values, b: Values) -> Values:
    groups, kernel = options.get("group", 1), w.codes.shape[2:]
    seen = windows(options, x.codes, kernel, 0)
    n, channels, *places = seen.shape[: 2 + len(kernel)]
    seen = seen.reshape(n, groups, channels // groups, int(np.prod(places)), -1)
    weights = w.codes.reshape(groups, len(w.codes) // groups, channels // groups, -1)
    sums = np.einsum("ngcpk,gock->ngop", seen, weights).reshape(n, -1, *places)
    shape = [1, -1] + [1] * len(kernel)
    return Values(sums * (x.scale.reshape(()) * w.scale.reshape(shape)) + b.real.reshape(shape))


def gemm(options: Options, x: Values, w: Values, b: Values) -> Values:
    assert options["transB"] == 1
    return Values((x.codes @ w.codes.T) * (x.scale.reshape(()) * w.scale.reshape(1, -1)) + b.real)


def maxpool(options: Options, x: Values) -> Values:
    kernel = tuple(options["kernel_shape"])
    return Values(windows(options, x.codes, kernel, 0).max(axis=tuple(range(-len(kernel), 0))), x.scale)


def avgpool(options: Options, x: Values) -> Values:
    kernel = tuple(options["kernel_shape"])
    sums = windows(options, x.codes, kernel, 0).sum(axis=tuple(range(-len(kernel), 0)))
    return Values(sums / np.prod(kernel), x.scale)


def global_avgpool(_: Options, x: Values) -> Values:
    places = tuple(range(2, x.codes.ndim))
    return Values(x.codes.mean(axis=places, keepdims=True), x.scale)


def leaky(options: Options, x: Values) -> Values:
    return Values(np.where(x.real < 0, np.float64(options["alpha"]) * x.real, x.real))


def flatten(_: Options, x: Values) -> Values:
    return Values(x.codes.reshape(len(x.codes), -1), x.scale.reshape(()))


def between(operator: Callable[..., Values], axes: tuple[int, ...] = ()) -> Callable[..., Values]:
    """An operator on codes: its inputs dequantized, each with scale and zero point, then its output quantized."""

    def operate(options: Options, *given: Any) -> Values:
        def inputs(sets: Iterator[Any]) -> Iterator[Values]:
            for i, codes in enumerate(sets):
                axis = axes[i] if i < len(axes) else 1
                yield dequantize({"axis": axis}, codes, next(sets), next(sets))

        *values, scale, zero = given
        return quantize(options, operator(options, *inputs(iter(values))), scale, zero)

    return operate


def with_bias(operator: Callable[..., Values], bias: int) -> Callable[..., Values]:
    """A layer on codes: the bias has neither scale nor zero point, it counts steps of the accumulator."""

    def operate(options: Options, *given: Any) -> Values:
        values, b = [*given[:bias], *given[bias + 1 :]], given[bias]
        scale = np.float64(given[1]) * np.float64(given[4])

        def layer(settings: Options, x: Values, w: Values) -> Values:
            return operator(settings, x, w, Values(b.astype(np.int64), scale))

        return between(layer, (1, 0))(options, *values)

    return operate


def concat(options: Options, scale: Array, zero: Array, *given: Any) -> Values:
    return between(join)(options, *given, scale, zero)


def join(options: Options, *values: Values) -> Values:
    return Values(np.concatenate([v.real for v in values], axis=options["axis"]))


def add(_: Options, a: Values, b: Values) -> Values:
    return Values(a.real + b.real)


OPERATORS: dict[str, Callable[..., Values]] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "Conv": conv,
    "Gemm": gemm,
    "MaxPool": maxpool,
    "AveragePool": avgpool,
    "GlobalAveragePool": global_avgpool,
    "Relu": lambda _, x: Values(np.maximum(x.real, 0)),
    "LeakyRelu": leaky,
    "Add": add,
    "Concat": join,
    "Flatten": flatten,
    "QLinearConv": with_bias(conv, 8),
    "QGemm": with_bias(gemm, 6),
    "QLinearAdd": between(add),
    "QLinearConcat": concat,
    "QLinearAveragePool": between(avgpool),
    "QLinearGlobalAveragePool": between(global_avgpool),
    "QLinearLeakyRelu": between(leaky),
}
