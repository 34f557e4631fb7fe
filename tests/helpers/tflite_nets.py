"""Small TFLite networks, one per feature that the importer has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tflite_writer import RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Array, Net

SAMPLES = 40


def samples(net: Net, count: int = SAMPLES) -> Array:
    return np.random.default_rng(1).normal(size=(count, *net.items[0].shape[1:])).astype(np.float32)


def residual(kind: str) -> Net:
    net = Net(1, 6, 6, 2).conv(2, 4, act=RELU)
    branch = net.top
    return net.conv(4, 4).op(kind, branch, fusedActivationFunction=RELU).flatten(144).fc(144, 3)


def _excitation() -> Net:
    net = Net(1, 6, 6, 2).conv(2, 4, act=RELU)
    branch = net.top
    net.op("MEAN", net.ints(1, 2), keepDims=True).conv(4, 2, (1, 1), act=RELU).conv(2, 4, (1, 1)).op(
        "LOGISTIC"
    )
    return net.op("MUL", branch).flatten(144).fc(144, 3)


def _joined() -> Net:
    net = Net(1, 6, 6, 2).conv(2, 4, act=RELU)
    branch = net.top
    return net.conv(4, 3, act=RELU).op("CONCATENATION", branch, axis=3).flatten(252).fc(252, 3)


def _sequence() -> Net:
    net = Net(1, 10, 3)
    net.op("EXPAND_DIMS", net.ints(1)).conv(3, 4, (1, 3), act=RELU)
    return net.op("SQUEEZE", squeezeDims=[1]).op("MEAN", net.ints(1)).fc(4, 3)


def _transposed(size: int, stride: int, k: int, pad: int) -> Net:
    net = Net(1, 5, 5, 2)
    w = net.constant(net.normal(3, k, k, 2, fan=2 * k))
    net.op("TRANSPOSE_CONV", net.ints(1, size, size, 3), w, net.top, net.constant(net.normal(3)), padding=pad,
           strideH=stride, strideW=stride)  # fmt: skip
    return net.flatten(size * size * 3).fc(size * size * 3, 3)


def _activated(kind: str, *constants: Array, **fields: float) -> Net:
    net = Net(1, 6, 6, 2).conv(2, 4)
    net.op(kind, *(net.constant(c) for c in constants), **fields)
    return net.flatten(144).fc(144, 3)


def _grouped(groups: int) -> Net:
    net = Net(1, 6, 6, 4)
    w = net.constant(net.normal(8, 3, 3, 4 // groups, fan=9))
    net.op("CONV_2D", w, net.constant(net.normal(8)), padding=SAME, strideH=1, strideW=1, dilationHFactor=1,
           dilationWFactor=1)  # fmt: skip
    return net.flatten(288).fc(288, 3)


def _padded() -> Net:
    net = Net(1, 6, 5, 2).conv(2, 3, act=RELU)
    net.op("PAD", net.constant([[0, 0], [0, 1], [2, 1], [0, 0]], "int32"))
    return net.conv(3, 4, s=2, pad=VALID).flatten(36).fc(36, 3)


def _cut(strided: bool) -> Net:
    net = Net(1, 6, 6, 2).conv(2, 4, act=RELU)
    if strided:
        bounds = (net.ints(0, 1, 0, 1), net.ints(0, -1, 6, 3), net.ints(1, 1, 2, 1))
        return net.op("STRIDED_SLICE", *bounds, beginMask=1, endMask=1).flatten(24).fc(24, 3)
    return net.op("SLICE", net.ints(0, 2, 0, 0), net.ints(-1, 3, 6, 4)).flatten(72).fc(72, 3)


def _larger(**fields: bool) -> Net:
    net = Net(1, 4, 4, 2).conv(2, 3, act=RELU)
    return net.op("RESIZE_NEAREST_NEIGHBOR", net.ints(8, 12), **fields).conv(3, 2, s=4).flatten(12).fc(12, 3)


def _constants(kind: str) -> Net:
    net = Net(1, 6, 6, 2).conv(2, 4, act=RELU)
    net.op(
        kind,
        net.constant(np.float32([0.5, 1, -1.5, 2])),
        fusedActivationFunction=RELU6 if kind == "MUL" else 0,
    )
    return net.conv(4, 3, (1, 1)).flatten(108).fc(108, 3)


NETS: dict[str, Callable[[], Net]] = {
    "convolutions": lambda: (
        Net(1, 9, 8, 1).conv(1, 4, s=2, act=RELU).conv(4, 6, act=RELU6).flatten(120).fc(120, 5)
    ),
    "even kernels": lambda: (
        Net(1, 9, 8, 2).conv(2, 4, (4, 2), 3).conv(4, 3, (2, 3), pad=VALID).flatten(6).fc(6, 3)
    ),
    "dilation": lambda: Net(1, 9, 9, 2).conv(2, 4, dilation=2).flatten(324).fc(324, 3),
    "depthwise": lambda: (
        Net(1, 8, 8, 3).depthwise(3, 2, s=2, act=RELU).conv(6, 4, (1, 1)).flatten(64).fc(64, 3)
    ),
    "depthwise of one": lambda: (
        Net(1, 8, 8, 1).depthwise(1, 4, act=RELU6).depthwise(4, s=2).flatten(64).fc(64, 3)
    ),
    "groups": lambda: _grouped(2),
    "groups of one": lambda: _grouped(4),
    "transposed SAME": lambda: _transposed(10, 2, 3, SAME),
    "transposed VALID": lambda: _transposed(11, 2, 3, VALID),
    "transposed, small kernel": lambda: _transposed(10, 2, 1, SAME),
    "fully connected": lambda: Net(1, 12).fc(12, 9, RELU).fc(9, 7, RELU_N1_TO_1).fc(7, 4),
    "fully connected over time": lambda: Net(1, 5, 4).fc(4, 6, RELU, keepNumDims=True).flatten(30).fc(30, 3),
    "max pool": lambda: Net(1, 7, 7, 2).conv(2, 4, act=RELU).pool("MAX", 3, 2, SAME).flatten(64).fc(64, 3),
    "average pool": lambda: (
        Net(1, 7, 7, 2).conv(2, 4, act=RELU).pool("AVERAGE", 3, 2, SAME).flatten(64).fc(64, 3)
    ),
    "mean": lambda: (n := Net(1, 6, 5, 2).conv(2, 8, act=RELU)).op("MEAN", n.ints(1, 2)).fc(8, 3),
    "largest": lambda: (
        (n := Net(1, 6, 5, 2).conv(2, 8)).op("REDUCE_MAX", n.ints(2, 1), keepDims=True).flatten(8).fc(8, 3)
    ),
    "residual": lambda: residual("ADD"),
    "difference": lambda: residual("SUB"),
    "squeeze and excitation": _excitation,
    "concatenation": _joined,
    "sequence": _sequence,
    "padding": _padded,
    "slice": lambda: _cut(strided=False),
    "strided slice": lambda: _cut(strided=True),
    "upsampling": _larger,
    "upsampling, half pixels": lambda: _larger(halfPixelCenters=True),
    "relu": lambda: _activated("RELU"),
    "relu6": lambda: _activated("RELU6"),
    "relu between -1 and 1": lambda: _activated("RELU_N1_TO_1"),
    "leaky relu": lambda: _activated("LEAKY_RELU", alpha=0.2),
    "prelu": lambda: _activated("PRELU", np.float32([[[0.1, 0.5, 0.25, 0]]])),
    "prelu, negative slopes": lambda: _activated("PRELU", np.float32([[[0.1, -0.5, 0.25, 0]]])),
    "logistic": lambda: _activated("LOGISTIC"),
    "tanh": lambda: _activated("TANH"),
    "hard swish": lambda: _activated("HARD_SWISH"),
    "elu": lambda: _activated("ELU"),
    "gelu": lambda: _activated("GELU"),
    "gelu, approximate": lambda: _activated("GELU", approximate=True),
    "constant added": lambda: _constants("ADD"),
    "constant subtracted": lambda: _constants("SUB"),
    "constant multiplied": lambda: _constants("MUL"),
}
