"""What each ONNX operator becomes: one row of `RULES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from mcugrad.importers.onnx import (
    activations,
    joins,
    movement,
    pointwise,
    pooling,
    quantized,
    vectors,
    windows,
)
from mcugrad.importers.shared import hints
from mcugrad.importers.shared.flow import Flow


def fine(node: ir.Node) -> str:
    """Always possible."""
    return ""


@dataclass(frozen=True)
class Rule:
    """How an ONNX operator is read.

    Attributes:
        problem: why a node cannot be translated, by its attributes and constants alone; empty if it can.
        translate: adds its nodes, given the builder, the node and what it reads; the value that it computes, or one
            for each output.
        data: whether its constants are numbers that must be finite.
        reads: which inputs may be computed: the `first`, any `one`, or `any` number of them.
        last: whether only what keeps all values may follow.
        raw: whether it may work on the integers between QuantizeLinear and DequantizeLinear.
    """

    problem: Callable[[ir.Node], str]
    translate: Callable[..., Flow | tuple[Flow, ...]]
    data: bool = False
    reads: Literal["first", "one", "any"] = "first"
    last: bool = False
    raw: bool = False


_RESHAPE = Rule(fine, movement.reshape, raw=True)
_SOFTMAX = Rule(fine, vectors.softmax, last=True)
_ARITHMETIC = Rule(joins.arithmetic_problem, joins.arithmetic, data=True, reads="any")
_EXTREMUM = Rule(joins.extremum_problem, joins.extremum, reads="any")
_CURVE = Rule(activations.curve_problem, activations.curve)

_COMPOSED = Rule(activations.composed_problem, activations.composed)

RULES = {
    "Abs": Rule(fine, activations.magnitude),
    "Add": _ARITHMETIC,
    "AveragePool": Rule(pooling.pool_problem, pooling.average_pool),
    "BatchNormalization": Rule(pointwise.batch_norm_problem, pointwise.batch_norm, data=True),
    "Cast": Rule(pointwise.cast_problem, pointwise.skip),
    "Celu": _COMPOSED,
    "Clip": Rule(pointwise.clip_problem, pointwise.clip),
    "Concat": Rule(joins.concat_problem, joins.concat, reads="any", raw=True),
    "Conv": Rule(windows.conv_problem, windows.conv, data=True),
    "ConvTranspose": Rule(windows.conv_problem, windows.conv_transpose, data=True),
    "DequantizeLinear": Rule(quantized.linear_problem, quantized.dequantize, raw=True),
    "Div": _ARITHMETIC,
    "Dropout": Rule(pointwise.dropout_problem, pointwise.skip),
    **dict.fromkeys(activations.CURVES, _CURVE),
    "Expand": Rule(fine, movement.expand),
    "Flatten": _RESHAPE,
    "Gather": Rule(movement.gather_problem, movement.gather, raw=True),
    "Gemm": Rule(vectors.gemm_problem, vectors.gemm, data=True),
    "GlobalAveragePool": Rule(fine, pooling.global_pool),
    "GlobalMaxPool": Rule(fine, pooling.global_pool, raw=True),
    "Identity": Rule(fine, pointwise.skip, raw=True),
    "LeakyRelu": Rule(activations.leaky_problem, activations.leaky),
    "LogSigmoid": _COMPOSED,
    "LogSoftmax": _SOFTMAX,
    "MatMul": Rule(vectors.matmul_problem, vectors.matmul, data=True, reads="one"),
    "Max": _EXTREMUM,
    "MaxPool": Rule(pooling.pool_problem, pooling.max_pool, raw=True),
    "Min": _EXTREMUM,
    "Mul": _ARITHMETIC,
    "Neg": Rule(fine, pointwise.affine),
    "PRelu": Rule(activations.prelu_problem, activations.prelu, data=True),
    "Pad": Rule(movement.pad_problem, movement.pad),
    "QuantizeLinear": Rule(quantized.linear_problem, quantized.quantize),
    "ReduceMax": Rule(pooling.reduce_problem, pooling.reduce, raw=True),
    "ReduceMean": Rule(pooling.reduce_problem, pooling.reduce),
    "ReduceSum": Rule(pooling.reduce_problem, pooling.reduce),
    "Relu": Rule(fine, pointwise.clip),
    "Reshape": _RESHAPE,
    "Resize": Rule(movement.resize_problem, movement.resize, raw=True),
    "Selu": _COMPOSED,
    "Slice": Rule(movement.slice_problem, movement.slice_, raw=True),
    "Softmax": _SOFTMAX,
    "Split": Rule(fine, movement.split, raw=True),
    "Squeeze": _RESHAPE,
    "Sub": _ARITHMETIC,
    "Sum": _ARITHMETIC,
    "Transpose": Rule(movement.transpose_problem, movement.transpose, raw=True),
    "Unsqueeze": _RESHAPE,
}
KEEPS_VALUES = (
    *("Identity", "Cast", "Dropout", "Flatten", "Reshape", "Squeeze"),
    *("QuantizeLinear", "DequantizeLinear"),
)
"""May follow a softmax that is left out."""
HIDDEN = ("LogSigmoid", "Silu")
"""Not ONNX's operators: what patterns are replaced by."""

HINTS = {
    "ArgMax": hints.SCORES,
    "Attention": hints.ATTENTION,
    "DepthToSpace": hints.SUBPIXEL,
    "ConvTranspose": hints.GROUPS,
    "BatchNormalization": hints.STATISTICS,
    "GatherND": hints.INDICES,
    "MatMul": hints.MATRIX,
    "Pad": hints.ZEROS,
    "Resize": hints.BILINEAR,
    "Softmax": hints.SOFTMAX,
    "TopK": hints.SCORES,
    "Upsample": hints.BILINEAR,
    **dict.fromkeys(("GRU", "LSTM", "RNN"), hints.RECURRENT),
    **dict.fromkeys(("If", "Loop", "Scan"), hints.CONTROL),
    **dict.fromkeys(
        ("GroupNormalization", "InstanceNormalization", "LayerNormalization", "RMSNormalization"), hints.NORMS
    ),
    **dict.fromkeys(("LpNormalization", "ReduceL1", "ReduceL2", "ReduceSumSquare"), hints.UNIT_LENGTH),
    **dict.fromkeys(("ConvInteger", "DynamicQuantizeLinear", "MatMulInteger"), hints.STATIC),
    **dict.fromkeys(("Mish", "Softsign", "ThresholdedRelu"), hints.TABLES),
    **dict.fromkeys(("DFT", "Exp", "Log", "MelWeightMatrix", "Pow", "STFT", "Sqrt"), hints.IN_FRONT),
    **dict.fromkeys(quantized.FUSED, "scales and zero points that are constants"),
}
"""What to use instead."""
TOGETHER: tuple[tuple[set[str], set[str], str], ...] = (
    ({"GatherND", "Where"}, set(), hints.ADAPTIVE),
    ({"Sqrt", "Div"}, {"ReduceMean"}, hints.NORMS),
    ({"Sqrt", "Reciprocal"}, {"ReduceMean"}, hints.NORMS),
    ({"Sqrt", "Div"}, {"ReduceSum"}, hints.UNIT_LENGTH),
)
"""The same where exporters write one thing as several operators: which are refused, and which are there, too."""
DOMAINS = {"ai.onnx.ml": hints.TREES, "com.microsoft": hints.FUSED}
"""The same for operators that are not ONNX's own."""
