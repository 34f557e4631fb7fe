"""Layers with weights, and pooling. Maps are channels-last and weights output-first in TFLite as they are here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.importers._tflite_builder import Builder, Flow, activation_scale, axis_of, fused
from mcugrad.importers._tflite_read import Step
from mcugrad.ops.avgpool2d import AvgPool2d, Rounding
from mcugrad.ops.conv2d import Conv2d
from mcugrad.ops.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.grouped_conv2d import GroupedConv2d
from mcugrad.ops.linear import Linear
from mcugrad.ops.maxpool2d import MaxPool2d
from mcugrad.ops.window import Pair

Array = NDArray[Any]
LIMIT = 1 << 15
"""Kernel sizes, strides, paddings and dilations stay below this."""
LOWEST = -128
"""Codes of weights are symmetric and do not reach it."""
SAME, VALID = 0, 1
"""Values of the schema's `Padding`."""


def padding_of(size: int, kernel: int, stride: int, dilation: int, mode: int) -> Pair:
    """Padding before and after along one axis; SAME gives ceil(size / stride) outputs."""
    if mode == VALID:
        return 0, 0
    reach = dilation * (kernel - 1) + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def window(step: Step, x: Shape, kernel: Pair) -> dict[str, Any]:
    """Stride, padding and dilation of a window over a map."""
    stride = step.option("StrideH", 1), step.option("StrideW", 1)
    mode = step.option("Padding", SAME)
    dilation = (1, 1)
    if step.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        dilation = step.option("DilationHFactor", 1), step.option("DilationWFactor", 1)
    if mode not in (SAME, VALID) or not all(1 <= v < LIMIT for v in (*stride, *dilation, *kernel)):
        raise ModelError(
            f"{step.kind} with kernel {kernel}, stride {stride}, dilation {dilation}, padding mode {mode}",
            where=step.title,
            hint=f"kernel, stride and dilation from 1 to {LIMIT - 1}",
        )
    (top, bottom), (left, right) = (padding_of(x[i], kernel[i], stride[i], dilation[i], mode) for i in (0, 1))
    return {"stride": stride, "padding": (top, left, bottom, right), "dilation": dilation}


def need_map(step: Step, x: Flow) -> None:
    """Refuse anything but a map."""
    if len(x.shape) != 4:
        raise ModelError(
            f"{step.kind} needs a (batch, height, width, channels) map; its input is {x.shape}",
            where=step.title,
            hint="convert the network again",
        )


# -- layers with weights -------------------------------------------------------------------------------------------


def weights_problem(to: Builder, step: Step) -> str:
    """Why weights cannot be used."""
    rank = 2 if step.kind == "FULLY_CONNECTED" else 4
    w = to.stored(step, 1)
    if w.data is None:
        return f"{w.name} is computed; weights must be constant"
    if w.data.ndim != rank or 0 in w.data.shape:
        return f"weights of shape {w.shape}; {rank} dimensions, none empty, are needed"
    if w.dtype not in ("float32", "float16", "int8", "uint8"):
        return f"weights are {w.dtype}; float32 and int8 are supported"
    place = bias_place(to, step)
    if place is not None and to.stored(step, place).data is None:
        return f"{to.stored(step, place).name} is computed; a bias must be constant"
    if step.kind == "FULLY_CONNECTED" and step.option("WeightsFormat", 0) != 0:
        return "weights are shuffled; the default format is supported"
    if step.kind == "DEPTHWISE_CONV_2D" and w.data.shape[0] != 1:
        return f"depthwise weights of shape {w.shape}; the first dimension must be 1"
    return ""


def bias_place(to: Builder, step: Step) -> int | None:
    """Position of a layer's bias; None if it has none."""
    place = 3 if step.kind == "TRANSPOSE_CONV" else 2
    return place if to.has(step, place) else None


def parameters(
    to: Builder, step: Step, name: str, arrange: Callable[[Array], Array] = lambda w: w
) -> tuple[str, str, Shape]:
    """Add weights and bias, both in real units.

    Args:
        to: what to add to.
        step: the layer.
        name: of the node.
        arrange: puts the output channels first and the inputs last, where they are not.

    Returns:
        Names of weights and bias, and the weights' shape.
    """
    stored = to.stored(step, 1)
    to.shared(step.inputs[1], name)
    w = arrange(to.real(stored))
    if to.quantized and stored.data is not None and (stored.data == LOWEST).any():
        count = int((stored.data == LOWEST).sum())
        to.notes.append(f"{count} of {stored.data.size} weights of {name} are -128, which becomes -127")
    scales = np.broadcast_to(stored.scales, (len(w),)) if stored.scales.size in (1, len(w)) else None
    place = bias_place(to, step)
    bias = np.zeros(len(w), np.float32) if place is None else real_bias(to, step, place, scales)
    if bias.shape != (len(w),):
        raise ModelError(
            f"a bias of shape {bias.shape} for {len(w)} output channels",
            where=step.title,
            hint="convert the network again",
        )
    return to.constant(f"{name}_w", w, scales), to.constant(f"{name}_b", bias), w.shape


def real_bias(to: Builder, step: Step, place: int, scales: Array | None) -> NDArray[np.float32]:
    """A layer's bias in real units. TFLite adds its integers to the accumulator, whatever scale the file gives them."""
    stored = to.stored(step, place)
    if not to.quantized or stored.data is None or scales is None:
        return to.real(stored).reshape(-1)
    x = activation_scale(to.stored(step, 2 if step.kind == "TRANSPOSE_CONV" else 0), "")
    unit = x.scale * scales.astype(np.float64)
    bias = stored.data.reshape(-1)
    return (bias * unit if bias.shape == unit.shape else bias).astype(np.float32)


def conv(to: Builder, step: Step, x: Flow) -> Flow:
    """CONV_2D; fewer inputs in the weights than in the map make groups."""
    need_map(step, x)
    name = to.name("conv")
    w, b, shape = parameters(to, step, name)
    channels = to.shape(x)[2]
    low, high = fused(step)
    fields: dict[str, Any] = {
        "name": name,
        "source": step.label,
        "x": x.tensor,
        "w": w,
        "b": b,
        "y": f"{name}_y",
        "low": low,
        "high": high,
        **window(step, to.shape(x), (shape[1], shape[2])),
    }
    if shape[3] == channels:
        return to.add(step, Conv2d(**fields))
    if shape[3] == 1 and shape[0] % channels == 0:
        return to.add(step, DepthwiseConv2d(**fields))
    return to.add(step, GroupedConv2d(groups=max(1, channels // shape[3]), **fields))


def depthwise(to: Builder, step: Step, x: Flow) -> Flow:
    """DEPTHWISE_CONV_2D: weights from (1, k_h, k_w, out) to (out, k_h, k_w, 1)."""
    need_map(step, x)
    name = to.name("conv")
    w, b, shape = parameters(to, step, name, lambda w: w.transpose(3, 1, 2, 0))
    low, high = fused(step)
    node = DepthwiseConv2d(
        name=name,
        source=step.label,
        x=x.tensor,
        w=w,
        b=b,
        y=f"{name}_y",
        low=low,
        high=high,
        **window(step, to.shape(x), (shape[1], shape[2])),
    )
    return to.add(step, node)


def transpose_conv(to: Builder, step: Step, x: Flow) -> Flow:
    """TRANSPOSE_CONV: padding is that of the convolution whose gradient it is."""
    need_map(step, x)
    target = to.integers(step, 0)
    name = to.name("conv")
    w, b, kernel = parameters(to, step, name)
    stride = step.option("StrideH", 1), step.option("StrideW", 1)
    if len(target) != 4 or not all(1 <= v < LIMIT for v in (*stride, *kernel[1:3], *target[1:3])):
        raise ModelError(
            f"TRANSPOSE_CONV to {tuple(target)} with stride {stride}",
            where=step.title,
            hint="convert the network again",
        )
    before, after, more = [], [], []
    for axis in (0, 1):
        size, k = target[1 + axis], kernel[1 + axis]
        cut = padding_of(size, k, stride[axis], 1, step.option("Padding", SAME))[0]
        rest = (to.shape(x)[axis] - 1) * stride[axis] + k - cut - size
        before.append(cut)
        after.append(max(rest, 0))
        more.append(max(-rest, 0))
    low, high = fused(step)
    node = ConvTranspose2d(
        name=name,
        source=step.label,
        x=x.tensor,
        w=w,
        b=b,
        y=f"{name}_y",
        low=low,
        high=high,
        stride=stride,
        padding=(before[0], before[1], after[0], after[1]),
        output_padding=(more[0], more[1]),
    )
    return to.add(step, node)


def fully_connected(to: Builder, step: Step, x: Flow) -> Flow:
    """FULLY_CONNECTED; on every step of a sequence or pixel of a map it is a convolution with a 1 x 1 kernel."""
    inputs = to.stored(step, 1).shape[1]
    low, high = fused(step)
    kept = bool(step.option("KeepNumDims", False))
    if kept and len(x.shape) > 2 and x.shape[-1] == inputs:
        name = to.name("conv")
        w, b, shape = parameters(to, step, name, lambda w: w[:, None, None, :])
        spread = Conv2d(name=name, source=step.label, x=x.tensor, w=w, b=b, y=f"{name}_y", low=low, high=high)
        return to.add(step, spread, (*x.shape[:-1], shape[0]))
    flat = to.reshaped(step, x, (1, to.tensors[x.tensor].size))
    name = to.name("fc")
    w, b, _ = parameters(to, step, name)
    node = Linear(name=name, source=step.label, x=flat.tensor, w=w, b=b, y=f"{name}_y", low=low, high=high)
    return to.add(step, node)


# -- pooling -------------------------------------------------------------------------------------------------------


def pool(to: Builder, step: Step, x: Flow) -> Flow:
    """MAX_POOL_2D and AVERAGE_POOL_2D, whose means are over what lies inside the map."""
    need_map(step, x)
    kernel = step.option("FilterHeight", 1), step.option("FilterWidth", 1)
    name = to.name("pool")
    fields: dict[str, Any] = {
        "name": name,
        "source": step.label,
        "x": x.tensor,
        "y": f"{name}_y",
        "kernel": kernel,
        **window(step, to.shape(x), kernel),
    }
    low, high = fused(step)
    if step.kind == "AVERAGE_POOL_2D":
        rounding = Rounding.AWAY if to.quantized and to.one_scale(step) else Rounding.ONCE
        return to.add(step, AvgPool2d(low=low, high=high, rounding=rounding, **fields))
    return to.clipped(step, to.moved(step, MaxPool2d(**fields)), (low, high))


def reduce_problem(to: Builder, step: Step) -> str:
    """Why not."""
    return "" if to.integers(step, 1) else "it has no axes"


def reduce(to: Builder, step: Step, x: Flow) -> Flow:
    """MEAN and REDUCE_MAX over height, width or both: a window as large as the map along these axes."""
    axes = sorted({axis_of(step, a, len(x.shape)) for a in to.integers(step, 1)})
    height, width, *_ = shape = to.shape(x)
    if len(shape) != 3 or 2 in axes:
        raise ModelError(
            f"{step.kind} of {x.shape} over axes {to.integers(step, 1)}; height and width are supported",
            where=step.title,
            hint="pooling over height and width",
        )
    name = to.name("pool")
    kernel = (height if 0 in axes else 1, width if 1 in axes else 1)
    fields: dict[str, Any] = {
        "name": name,
        "source": step.label,
        "x": x.tensor,
        "y": f"{name}_y",
        "kernel": kernel,
        "stride": kernel,
    }
    if step.kind == "MEAN":
        rounding = Rounding.APART if to.quantized else Rounding.ONCE
        y = to.add(step, AvgPool2d(rounding=rounding, **fields))
    else:
        y = to.moved(step, MaxPool2d(**fields))
    removed = {a % len(x.shape) for a in to.integers(step, 1)}
    rest = [1 if i in removed else n for i, n in enumerate(x.shape)]
    if not step.option("KeepDims", False):
        rest = [n for i, n in enumerate(x.shape) if i not in removed]
    return to.reshaped(step, y, tuple(rest))
