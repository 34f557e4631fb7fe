"""What each TFLite operator becomes: one row of `RULES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcugrad.importers import _tflite_layers as layers
from mcugrad.importers import _tflite_pointwise as pointwise
from mcugrad.importers import _tflite_shapes as shapes
from mcugrad.importers._tflite_builder import Builder, Flow
from mcugrad.importers._tflite_read import Step


def fine(to: Builder, step: Step) -> str:
    """Always possible."""
    return ""


@dataclass(frozen=True)
class Rule:
    """How an operator is read.

    Attributes:
        translate: adds its nodes; the value that it computes.
        problem: why it cannot be translated, by its attributes and constants alone; empty if it can.
        input: position of the first computed input.
        joins: whether other inputs may be computed, too.
    """

    translate: Callable[[Builder, Step, Flow], Flow]
    problem: Callable[[Builder, Step], str] = fine
    input: int = 0
    joins: bool = False


_ARITHMETIC = Rule(pointwise.arithmetic, pointwise.arithmetic_problem, joins=True)
_CLIP = Rule(pointwise.clip)
_CURVE = Rule(pointwise.curve)
_POOL = Rule(layers.pool)
_REDUCE = Rule(layers.reduce, layers.reduce_problem)
_PAD = Rule(shapes.pad, shapes.pad_problem)

RULES = {
    "ADD": _ARITHMETIC,
    "AVERAGE_POOL_2D": _POOL,
    "CONCATENATION": Rule(shapes.concat, shapes.concat_problem, joins=True),
    "CONV_2D": Rule(layers.conv, layers.weights_problem),
    "DEPTHWISE_CONV_2D": Rule(layers.depthwise, layers.weights_problem),
    "DEQUANTIZE": Rule(pointwise.skip),
    "DIV": _ARITHMETIC,
    "ELU": _CURVE,
    "EXPAND_DIMS": Rule(shapes.expand_dims),
    "FULLY_CONNECTED": Rule(layers.fully_connected, layers.weights_problem),
    "GELU": _CURVE,
    "HARD_SWISH": _CURVE,
    "LEAKY_RELU": Rule(pointwise.leaky_relu),
    "LOGISTIC": _CURVE,
    "MAX_POOL_2D": _POOL,
    "MEAN": _REDUCE,
    "MUL": _ARITHMETIC,
    "PAD": _PAD,
    "PADV2": _PAD,
    "PRELU": Rule(pointwise.prelu, pointwise.prelu_problem),
    "QUANTIZE": Rule(pointwise.quantize),
    "REDUCE_MAX": _REDUCE,
    "RELU": _CLIP,
    "RELU6": _CLIP,
    "RELU_0_TO_1": _CLIP,
    "RELU_N1_TO_1": _CLIP,
    "RESHAPE": Rule(shapes.reshape),
    "RESIZE_NEAREST_NEIGHBOR": Rule(shapes.upsample, shapes.upsample_problem),
    "SLICE": Rule(shapes.slice_part),
    "SQUEEZE": Rule(shapes.squeeze),
    "STRIDED_SLICE": Rule(shapes.strided_slice, shapes.strided_problem),
    "SUB": _ARITHMETIC,
    "TANH": _CURVE,
    "TRANSPOSE": Rule(shapes.transpose),
    "TRANSPOSE_CONV": Rule(layers.transpose_conv, layers.weights_problem, input=2),
}
AT_THE_END = ("LOGISTIC", "SOFTMAX", "LOG_SOFTMAX")
"""Left out where nothing but `KEEPS_VALUES` follows."""
KEEPS_VALUES = ("DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE")
"""May follow what is left out at the end."""

_STATE = "a network without state: one sample in, one output out"
HINTS = {
    "ARG_MAX": "convert without the final ARG_MAX: the outputs are class scores",
    "BATCH_MATMUL": "a fully connected layer with constant weights",
    "L2_NORMALIZATION": "batch-norm, which converters fold away",
    "RESIZE_BILINEAR": "RESIZE_NEAREST_NEIGHBOR by whole factors",
    "SOFTMAX": "SOFTMAX as the last layer alone",
    "SPLIT": "STRIDED_SLICE for each part",
    **dict.fromkeys(("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"), _STATE),
    **dict.fromkeys(("LSTM", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "WHILE"), "convolutions over time"),
}
"""What to use instead."""
