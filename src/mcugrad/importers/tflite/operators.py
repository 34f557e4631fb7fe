"""What each TFLite operator becomes: one row of `RULES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcugrad.importers.shared import hints
from mcugrad.importers.shared.flow import Flow
from mcugrad.importers.tflite import layers, pointwise, shapes
from mcugrad.importers.tflite.builder import Builder
from mcugrad.importers.tflite.read import Step


def fine(to: Builder, step: Step) -> str:
    """Always possible."""
    return ""


@dataclass(frozen=True)
class Rule:
    """How an operator is read.

    Attributes:
        translate: adds its nodes; the value that it computes, or one for each output.
        problem: why it cannot be translated, by its attributes and constants alone; empty if it can.
        input: position of the first computed input.
        joins: whether other inputs may be computed, too.
    """

    translate: Callable[[Builder, Step, Flow], Flow | tuple[Flow, ...]]
    problem: Callable[[Builder, Step], str] = fine
    input: int = 0
    joins: bool = False


_ARITHMETIC = Rule(pointwise.arithmetic, pointwise.arithmetic_problem, joins=True)
_CLIP = Rule(pointwise.clip)
_CURVE = Rule(pointwise.curve)
_POOL = Rule(layers.pool)
_REDUCE = Rule(layers.reduce, layers.reduce_problem)
_SPLIT = Rule(shapes.split)
_PAD = Rule(shapes.pad, shapes.pad_problem)

_EXTREMUM = Rule(pointwise.extremum, pointwise.extremum_problem, joins=True)

RULES = {
    "ABS": Rule(pointwise.magnitude),
    "ADD": _ARITHMETIC,
    "ADD_N": Rule(pointwise.total, shapes.concat_problem, joins=True),
    "AVERAGE_POOL_2D": _POOL,
    "BATCH_MATMUL": Rule(layers.matrix, layers.matrix_problem, joins=True),
    "BROADCAST_TO": Rule(shapes.expand),
    "CONCATENATION": Rule(shapes.concat, shapes.concat_problem, joins=True),
    "CONV_2D": Rule(layers.conv, layers.weights_problem),
    "DEPTHWISE_CONV_2D": Rule(layers.depthwise, layers.weights_problem),
    "DEQUANTIZE": Rule(pointwise.skip),
    "DIV": _ARITHMETIC,
    "ELU": _CURVE,
    "EXPAND_DIMS": Rule(shapes.expand_dims),
    "FULLY_CONNECTED": Rule(layers.fully_connected, layers.weights_problem),
    "GATHER": Rule(shapes.gather, shapes.gather_problem),
    "GELU": _CURVE,
    "HARD_SWISH": _CURVE,
    "LEAKY_RELU": Rule(pointwise.leaky_relu),
    "LOGISTIC": _CURVE,
    "MAXIMUM": _EXTREMUM,
    "MAX_POOL_2D": _POOL,
    "MEAN": _REDUCE,
    "MINIMUM": _EXTREMUM,
    "MUL": _ARITHMETIC,
    "NEG": Rule(pointwise.negative),
    "PACK": Rule(shapes.pack, shapes.concat_problem, joins=True),
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
    "SPLIT": Rule(shapes.split, input=1),
    "SPLIT_V": _SPLIT,
    "SQUEEZE": Rule(shapes.squeeze),
    "STRIDED_SLICE": Rule(shapes.strided_slice, shapes.strided_problem),
    "SUB": _ARITHMETIC,
    "SUM": _REDUCE,
    "TANH": _CURVE,
    "TRANSPOSE": Rule(shapes.transpose),
    "TRANSPOSE_CONV": Rule(layers.transpose_conv, layers.weights_problem, input=2),
    "UNPACK": _SPLIT,
}
SEVERAL_OUTPUTS = ("SPLIT", "SPLIT_V", "UNPACK")
AT_THE_END = ("LOGISTIC", "SOFTMAX", "LOG_SOFTMAX")
"""Left out where nothing but `KEEPS_VALUES` follows."""
KEEPS_VALUES = ("DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE")
"""May follow what is left out at the end."""

HINTS = {
    "ARG_MAX": hints.SCORES,
    "BATCH_MATMUL": hints.MATRIX,
    "DEPTH_TO_SPACE": hints.SUBPIXEL,
    "EMBEDDING_LOOKUP": hints.INTEGERS,
    "GATHER": hints.INTEGERS,
    "L2_NORMALIZATION": hints.UNIT_LENGTH,
    "MIRROR_PAD": hints.ZEROS,
    **dict.fromkeys(("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"), hints.DILATED),
    "RESIZE_BILINEAR": hints.BILINEAR,
    "SOFTMAX": hints.SOFTMAX,
    "TFLite_Detection_PostProcess": hints.DETECTION,
    "TOPK_V2": hints.SCORES,
    **dict.fromkeys(("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"), hints.STATE),
    **dict.fromkeys(("IF", "STABLEHLO_CASE", "STABLEHLO_WHILE", "WHILE"), hints.CONTROL),
    **dict.fromkeys(
        (
            *("LSTM", "RNN", "SVDF", "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN"),
            *("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"),
        ),
        hints.RECURRENT,
    ),
    **dict.fromkeys(("EXP", "LOG", "POW", "RFFT2D", "SQRT", "SQUARE", "SQUARED_DIFFERENCE"), hints.IN_FRONT),
    "RSQRT": hints.NORMS,
}
"""What to use instead."""
CUSTOM = {
    "ethos-u": hints.VELA,
    "edgetpu-custom-op": hints.VELA,
    "Flex": hints.TF_OPERATORS,
    "Signal": hints.IN_FRONT,
}
"""The same for custom operators, by how their names begin."""


def hint(kind: str) -> str:
    """What to use instead of an operator; empty where there is no better advice than the list of what is supported."""
    known = HINTS.get(kind) or next((text for start, text in CUSTOM.items() if kind.startswith(start)), "")
    return known or ("" if kind.isupper() else hints.CUSTOM)
