"""Every operator a network may consist of, and what it is called in the files that networks come from.

docs/operators.md is written from this list; a test compares it with what the importers read and with the classes
that there are, so that none of them can be forgotten.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass

from mcugrad.builders.node import BackwardNode
from mcugrad.graph import Operator, Precision
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.activation.prelu import PRelu
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.core.activated import Activated
from mcugrad.ops.core.computation import computed_by
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.joining.add import Add
from mcugrad.ops.joining.concat import Concat
from mcugrad.ops.joining.mul import Mul
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.movement.reshape import Reshape
from mcugrad.ops.movement.slice import Pad, Slice
from mcugrad.ops.movement.upsample2d import Upsample2d
from mcugrad.ops.normalization.batch_norm import BatchNorm
from mcugrad.ops.pooling.avgpool2d import AvgPool2d
from mcugrad.ops.pooling.maxpool2d import MaxPool2d
from mcugrad.program import Kernel

SHARED = frozenset(
    f"mcugrad.ops.{name}"
    for name in (
        "core.activated",
        "core.gradients",
        "core.gradients_s8",
        "tracking.ranges",
        "update.apply",
        "update.update",
        "update.update_s8",
    )
)
"""Modules whose kernels serve every operator."""


@dataclass(frozen=True)
class Entry:
    """An operator.

    Attributes:
        operator: its class.
        onnx: operators of ONNX that become it.
        tflite: operators of TFLite that become it.
        limits: what it does not do, one sentence, or empty.
    """

    operator: type[Operator]
    onnx: tuple[str, ...]
    tflite: tuple[str, ...]
    limits: str = ""

    @property
    def summary(self) -> str:
        """What it computes: the first paragraph of its class."""
        text = inspect.cleandoc(self.operator.__doc__ or "").split("\n\n")[0]
        return " ".join(text.split())

    @property
    def learns(self) -> bool:
        """Whether it has weights that training changes."""
        return issubclass(self.operator, Weighted)

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """What it can be computed in: those that it has a file for."""
        return tuple(p for p in Precision if computed_by(self.operator, p))

    @property
    def carries_errors(self) -> bool:
        """Whether errors go back through it to the layers before."""
        return bool(self.precisions)

    @property
    def fuses(self) -> bool:
        """Whether a clip that follows becomes part of it."""
        return issubclass(self.operator, Activated)

    @property
    def kernels(self) -> tuple[str, ...]:
        """C functions that it alone calls, or shares with operators of its kind; sorted."""
        found = {
            value.name
            for value in vars(sys.modules[self._classes[0].__module__]).values()
            if isinstance(value, Kernel) and value.reference.__module__ not in SHARED
        }
        return tuple(sorted(found))

    @property
    def _classes(self) -> tuple[type, ...]:
        """What says how it is computed in int8, and what that is derived from."""
        return (computed_by(self.operator, Precision.INT8) or self.operator).__mro__

    @property
    def backward(self) -> tuple[type[BackwardNode], ...]:
        """Nodes of the backward pass that its module, or that of its kind, adds; in the order of the file."""
        modules = dict.fromkeys(kind.__module__ for kind in self._classes)
        return tuple(
            value
            for name in modules
            if name.startswith("mcugrad.ops.") and name not in SHARED
            for value in vars(sys.modules[name]).values()
            if isinstance(value, type) and issubclass(value, BackwardNode) and value.__module__ == name
        )


_2D = "1-D and 2-D; 1-D signals are maps of height 1."
_ZEROS = "Pads with zeros only."

GROUPS: dict[str, tuple[Entry, ...]] = {
    "convolution": (
        Entry(Conv2d, ("Conv",), ("CONV_2D",), _2D),
        Entry(DepthwiseConv2d, ("Conv",), ("DEPTHWISE_CONV_2D",), "Any number of outputs per channel."),
        Entry(GroupedConv2d, ("Conv",), (), _2D),
        Entry(ConvTranspose2d, ("ConvTranspose",), ("TRANSPOSE_CONV",), "One group."),
    ),
    "linear": (
        Entry(Linear, ("Gemm", "MatMul"), ("FULLY_CONNECTED", "BATCH_MATMUL"), "Weights must be constants."),
    ),
    "pooling": (
        Entry(
            MaxPool2d,
            ("MaxPool", "GlobalMaxPool", "ReduceMax"),
            ("MAX_POOL_2D", "REDUCE_MAX"),
            "Over channels as a map with one channel.",
        ),
        Entry(
            AvgPool2d,
            ("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"),
            ("AVERAGE_POOL_2D", "MEAN", "SUM"),
            "Over channels as a map with one channel; a sum is a mean times a number.",
        ),
    ),
    "joining": (
        Entry(
            Add,
            ("Add", "Sub", "Sum"),
            ("ADD", "ADD_N", "SUB"),
            "Equal shapes, or one of them one number per channel.",
        ),
        Entry(Mul, ("Mul",), ("MUL",), "Equal shapes, or one of them one number per channel."),
        Entry(
            Concat,
            ("Concat", "Gather"),
            ("CONCATENATION", "PACK", "GATHER"),
            "Computed values only, along any axis of a sample.",
        ),
    ),
    "activation": (
        Entry(
            Clip,
            ("Clip", "Relu", "Max", "Min"),
            ("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "MAXIMUM", "MINIMUM"),
            "Max and Min with constants.",
        ),
        Entry(
            Activation,
            (
                *("Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LogSigmoid", "Selu", "Sigmoid", "Silu"),
                *("Softplus", "Swish", "Tanh"),
            ),
            ("ELU", "GELU", "HARD_SWISH", "LOGISTIC", "TANH"),
            "Also where exporters write these functions as arithmetic, such as SiLU, x times its sigmoid. Celu, "
            "LogSigmoid and Selu are ELU and Softplus between two factors.",
        ),
        Entry(PRelu, ("LeakyRelu", "PRelu", "Abs"), ("LEAKY_RELU", "PRELU", "ABS"), "Slopes do not learn."),
    ),
    "normalization": (
        Entry(
            BatchNorm,
            ("BatchNormalization", "Add", "Sub", "Mul", "Div", "Neg", "Sum", "ReduceSum"),
            ("ADD", "SUB", "MUL", "DIV", "NEG", "SUM"),
            "Folded into a layer beside it, so that the device never sees it. Arithmetic with constants is one, too.",
        ),
    ),
    "movement": (
        Entry(Pad, ("Pad",), ("PAD", "PADV2"), _ZEROS),
        Entry(
            Slice,
            ("Slice", "Split", "Pad", "Gather"),
            ("SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "UNPACK", "GATHER"),
            "Forwards, not along the batch; constant indices are slices, joined.",
        ),
        Entry(
            Upsample2d,
            ("Resize", "Expand", "Add", "Sub", "Sum"),
            ("RESIZE_NEAREST_NEIGHBOR", "BROADCAST_TO"),
            "Nearest neighbour by whole factors; spreads one number per channel for a sum.",
        ),
        Entry(Flatten, ("Flatten", "Reshape", "Squeeze", "Unsqueeze"), ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")),
        Entry(
            Reshape,
            ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"),
            ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE"),
            "Transposing must leave every value where it is in memory.",
        ),
    ),
}
"""Operators by family; `mcugrad.ops.families` says what each family is."""

OPERATORS = tuple(entry for group in GROUPS.values() for entry in group)

LEFT_OUT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Has no effect once trained": (("Cast", "Dropout", "Identity"), ()),
    "Left out at the end: the largest value stays the largest, and the loss has a softmax or sigmoid of its own": (
        ("LogSoftmax", "Softmax"),
        ("LOGISTIC", "LOG_SOFTMAX", "SOFTMAX"),
    ),
    "Gives its scale and zero point to the value": (
        ("DequantizeLinear", "QuantizeLinear"),
        ("DEQUANTIZE", "QUANTIZE"),
    ),
}
"""Why operators leave no node behind: those of ONNX, those of TFLite."""
