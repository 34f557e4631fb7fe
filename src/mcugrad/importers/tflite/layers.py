"""Layers with weights, and pooling. Maps are channels-last and weights output-first in TFLite as they are here."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import Shape
from mcugrad.importers.shared.flow import Flow
from mcugrad.importers.shared.layout import as_map, flattened
from mcugrad.importers.shared.parts import reduced
from mcugrad.importers.tflite.builder import Builder, activation_scale, fused
from mcugrad.importers.tflite.pointwise import affine
from mcugrad.importers.tflite.read import Step, Stored
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.core.window import Pair
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.pooling.avgpool2d import AvgPool2d, Rounding
from mcugrad.ops.pooling.maxpool2d import MaxPool2d

Array = NDArray[Any]
LIMIT = 1 << 15
"""Kernel sizes, strides, paddings and dilations stay below this."""
LOWEST = -128
"""Codes of weights are symmetric and do not reach it."""
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
"""Layers with weights, and where the weights have their output channels."""
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


def needed_map(to: Builder, step: Step, x: Flow) -> Flow:
    """A map, channels last. Raises ModelError for anything else."""
    if len(to.dims(x)) != 4:
        raise ModelError(
            f"{step.kind} needs a (batch, height, width, channels) map; its input is {to.dims(x)}",
            where=step.title,
            hint="convert the network again",
        )
    return as_map(to, step, x)


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
    w = arrange(to.real(stored))
    lowest = 0 if stored.data is None or stored.dtype != "int8" else int((stored.data == LOWEST).sum())
    if to.quantized and lowest and as_on_device(step, stored):
        to.notes.append(f"{lowest} of {w.size} weights of {name} are -128, which becomes -127")
    scales = np.broadcast_to(stored.scales, (len(w),)) if as_on_device(step, stored) else None
    if to.quantized and scales is None:
        to.anew.append(name)
    place = bias_place(to, step)
    bias = np.zeros(len(w), np.float32) if place is None else real_bias(to, step, place, scales)
    if bias.shape != (len(w),):
        raise ModelError(
            f"a bias of shape {bias.shape} for {len(w)} output channels",
            where=step.title,
            hint="convert the network again",
        )
    return to.constant(f"{name}_w", w, scales), to.constant(f"{name}_b", bias), w.shape


def as_on_device(step: Step, w: Stored) -> bool:
    """Whether a layer's weights are what the device computes with: int8, symmetric, scales per output channel."""
    whole = w.scales.size == 1 or w.axis == CHANNEL_AXIS.get(step.kind)
    return w.dtype == "int8" and w.scales.size > 0 and not w.zeros.any() and whole


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
    x = needed_map(to, step, x)
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
    x = needed_map(to, step, x)
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
    x = needed_map(to, step, x)
    wanted = to.integers(step, 0)
    name = to.name("conv")
    w, b, kernel = parameters(to, step, name)
    stride = step.option("StrideH", 1), step.option("StrideW", 1)
    if len(wanted) != 4 or not all(1 <= v < LIMIT for v in (*stride, *kernel[1:3], *wanted[1:3])):
        raise ModelError(
            f"TRANSPOSE_CONV to {tuple(wanted)} with stride {stride}",
            where=step.title,
            hint="convert the network again",
        )
    before, after, more = [], [], []
    for axis in (0, 1):
        size, k = wanted[1 + axis], kernel[1 + axis]
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
    dims = to.dims(x)
    kept = bool(step.option("KeepNumDims", False)) and len(dims) > 2
    if (kept or (x.bare and len(dims) == 2)) and dims[-1] == inputs:
        if x.axes[-1] != 2:
            raise ModelError(
                f"{step.kind} on {dims} mixes height or width; only features or channels can be mixed",
                where=step.title,
                hint="flatten before it, or transpose the channels to the end",
            )
        name = to.name("conv")
        w, b, _ = parameters(to, step, name, lambda w: w[:, None, None, :])
        spread = Conv2d(name=name, source=step.label, x=x.tensor, w=w, b=b, y=f"{name}_y", low=low, high=high)
        return to.add(step, spread, x)
    flat = flattened(to, step, x)
    name = to.name("fc")
    order = flat.order if flat.order is not None and len(flat.order) == inputs else slice(None)
    w, b, _ = parameters(to, step, name, lambda w: w[:, order])
    node = Linear(name=name, source=step.label, x=flat.tensor, w=w, b=b, y=f"{name}_y", low=low, high=high)
    return to.add(step, node)


def matrix_problem(to: Builder, step: Step) -> str:
    """Why a BATCH_MATMUL is no layer."""
    x, w = (to.stored(step, i) for i in (0, 1))
    if w.data is None:
        return "multiplies two computed values; the second must be constant"
    if x.data is not None:
        return "does not depend on the input"
    if w.data.ndim < 2 or prod(w.shape[:-2]) != 1 or 0 in w.shape:
        return f"weights of shape {w.shape}; one matrix is supported"
    return "the values' axes are swapped" if step.option("AdjX", False) else ""


def matrix(to: Builder, step: Step, x: Flow) -> Flow:
    """BATCH_MATMUL by constant weights, over the channels of every pixel."""
    swapped = step.option("AdjY", False)
    dims, inputs = to.dims(x), to.stored(step, 1).shape[-1 if swapped else -2]
    if dims[-1] != inputs or (len(x.axes) > 1 and x.axes[-1] != 2) or to.quantized:
        raise ModelError(
            f"BATCH_MATMUL of {dims} by {to.stored(step, 1).shape}" + (" in int8" if to.quantized else ""),
            where=step.title,
            hint="a fully connected layer over the channels",
        )
    pixels = len(x.axes) > 1
    name = to.name("conv" if pixels else "fc")
    order = slice(None) if x.order is None else x.order

    def arrange(w: Array) -> Array:
        flat = w.reshape(w.shape[-2:])[order] if not swapped else w.reshape(w.shape[-2:]).T[order]
        return flat.T[:, None, None, :] if pixels else flat.T

    w, b, _ = parameters(to, step, name, arrange)
    fields: dict[str, Any] = {
        "name": name,
        "source": step.label,
        "x": x.tensor,
        "w": w,
        "b": b,
        "y": f"{name}_y",
    }
    return to.add(step, Conv2d(**fields), x) if pixels else to.add(step, Linear(**fields))


# -- pooling -------------------------------------------------------------------------------------------------------


def pool(to: Builder, step: Step, x: Flow) -> Flow:
    """MAX_POOL_2D and AVERAGE_POOL_2D, whose means are over what lies inside the map."""
    x = needed_map(to, step, x)
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
    """MEAN, SUM and REDUCE_MAX over some axes."""
    keep = bool(step.option("KeepDims", False))
    if step.kind == "REDUCE_MAX":
        to.need_one_scale(step)

    def pool(name: str, read: str, kernel: Pair) -> MaxPool2d | AvgPool2d:
        fields: dict[str, Any] = {"name": name, "source": step.label, "x": read, "y": f"{name}_y"}
        fields |= {"kernel": kernel, "stride": kernel}
        if step.kind == "REDUCE_MAX":
            return MaxPool2d(**fields)
        return AvgPool2d(rounding=Rounding.APART if to.quantized else Rounding.ONCE, **fields)

    y = reduced(to, step, x, to.integers(step, 1), keep, pool)
    if step.kind != "SUM":
        return y
    if to.quantized:
        raise ModelError(
            "SUM of int8 values would lose what their mean rounds off",
            where=step.title,
            hint="MEAN, or a float network",
        )
    channels = np.ones(to.shape(y)[-1], np.float32)
    return affine(
        to, step, y, channels * (to.tensors[x.tensor].size // to.tensors[y.tensor].size), 0 * channels
    )
