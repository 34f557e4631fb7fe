"""What each ONNX operator becomes: the rules of all rooms, and what to use instead of those that have none."""

from __future__ import annotations

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
from mcugrad.importers.onnx.rule import Rule
from mcugrad.importers.shared import hints

ROOMS = (activations, joins, movement, pointwise, pooling, quantized, vectors, windows)
RULES: dict[str, Rule] = {kind: rule for room in ROOMS for kind, rule in room.RULES.items()}
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
