"""What each ONNX operator becomes: one row of `RULES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from mcugrad.importers import _pointwise as pointwise
from mcugrad.importers import _vectors as vectors
from mcugrad.importers import _windows as windows
from mcugrad.importers._builder import Builder, Flow


def fine(node: ir.Node) -> str:
    """Always possible."""
    return ""


@dataclass(frozen=True)
class Rule:
    """How an ONNX operator is read.

    Attributes:
        problem: why a node cannot be translated, by its attributes and constants alone; empty if it can.
        translate: adds its nodes; the value that it computes.
        data: whether its constants are numbers that must be finite.
        both: whether the computed value may stand on either side.
        last: whether only what keeps all values may follow.
    """

    problem: Callable[[ir.Node], str]
    translate: Callable[[Builder, ir.Node, Flow], Flow]
    data: bool = False
    both: bool = False
    last: bool = False


_RESHAPE = Rule(fine, vectors.reshape)
_RELU = Rule(fine, pointwise.clip)
_SOFTMAX = Rule(fine, vectors.softmax, last=True)
_AFFINE = Rule(pointwise.affine_problem, pointwise.affine, data=True, both=True)

RULES = {
    "Add": _AFFINE,
    "BatchNormalization": Rule(pointwise.batch_norm_problem, pointwise.batch_norm, data=True),
    "Cast": Rule(pointwise.cast_problem, pointwise.skip),
    "Clip": Rule(pointwise.clip_problem, pointwise.clip),
    "Conv": Rule(windows.conv_problem, windows.conv, data=True),
    "Div": _AFFINE,
    "Dropout": Rule(pointwise.dropout_problem, pointwise.skip),
    "Flatten": _RESHAPE,
    "Gemm": Rule(vectors.gemm_problem, vectors.gemm, data=True),
    "GlobalMaxPool": Rule(fine, windows.global_pool),
    "Identity": Rule(fine, pointwise.skip),
    "LogSoftmax": _SOFTMAX,
    "MatMul": Rule(vectors.matmul_problem, vectors.matmul, data=True, both=True),
    "MaxPool": Rule(windows.pool_problem, windows.pool),
    "Mul": _AFFINE,
    "ReduceMax": Rule(windows.reduce_max_problem, windows.reduce_max),
    "Relu": _RELU,
    "Reshape": _RESHAPE,
    "Softmax": _SOFTMAX,
    "Squeeze": _RESHAPE,
    "Sub": _AFFINE,
    "Transpose": Rule(vectors.transpose_problem, vectors.transpose),
}
KEEPS_VALUES = ("Identity", "Cast", "Dropout", "Flatten", "Reshape", "Squeeze")
"""May follow a softmax that is left out."""

_FLOAT = "export the float network; quantizing is done here"
_POOL = "MaxPool, or a convolution with a stride"
_CHAIN = "a chain of layers, without residual connections or other branches"
HINTS = {
    "Add": _CHAIN,
    "ArgMax": "export without the final ArgMax: the outputs are class scores",
    "AveragePool": _POOL,
    "Concat": _CHAIN,
    "Conv": "a 2-D convolution with groups=1",
    "DequantizeLinear": _FLOAT,
    "DynamicQuantizeLinear": _FLOAT,
    "GlobalAveragePool": _POOL,
    "Pad": "zero padding of height and width, right before a convolution",
    "QLinearConv": _FLOAT,
    "QuantizeLinear": _FLOAT,
    "ReduceMean": _POOL,
    **dict.fromkeys(("Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish"), "ReLU or ReLU6"),
    **dict.fromkeys(("PRelu", "Selu", "Sigmoid", "Softplus", "Tanh"), "ReLU or ReLU6"),
}
"""What to use instead."""
