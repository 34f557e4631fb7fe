"""What each ONNX operator becomes: one row of `RULES`, one function that says why not, one that translates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ForwardNode, Shape, Tensor
from mcugrad.importers._read import ELEMENT_LIMIT
from mcugrad.ops.batch_norm import BatchNorm
from mcugrad.ops.clip import Clip
from mcugrad.ops.conv2d import Conv2d, Pair
from mcugrad.ops.flatten import Flatten
from mcugrad.ops.linear import Linear
from mcugrad.ops.maxpool2d import MaxPool2d
from mcugrad.ops.weighted import Weighted

Padding = tuple[int, int, int, int]
WINDOW_LIMIT = 1 << 15
"""Kernel sizes, strides, paddings and dilations stay below this."""
NO_BOUND = 3e38
"""Clip bounds of this magnitude stand for none: exporters write the largest float32."""
FLOAT_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BFLOAT16)


@dataclass(frozen=True, eq=False)
class Flow:
    """The value that the next node reads.

    Attributes:
        tensor: its name in the graph.
        order: of a flattened map, where ONNX has each element: channels first there, last here. Else None.
    """

    tensor: str
    order: NDArray[np.int64] | None = None


class Builder:
    """Collects nodes and tensors.

    Attributes:
        tensors: by name.
        nodes: in order.
        notes: what the user should know, one sentence each.
    """

    def __init__(self, name: str, shape: Shape) -> None:
        self.tensors = {name: Tensor(name, shape)}
        self.nodes: list[ForwardNode] = []
        self.notes: list[str] = []
        self._counts: dict[str, int] = {}
        self._weights: dict[str, str] = {}

    def shape(self, x: Flow) -> Shape:
        """Shape of a value, without the batch."""
        return self.tensors[x.tensor].shape

    def name(self, kind: str) -> str:
        """A new node name: conv1, conv2, ..."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}{self._counts[kind]}"

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant; its name."""
        self.tensors[name] = Tensor(name, value.shape, value=np.ascontiguousarray(value, np.float32))
        return name

    def add(self, node: ForwardNode) -> Flow:
        """Add a node and its output. Raises ModelError for shapes that do not fit or are too large."""
        shape = node.shape(*(self.tensors[t].shape for t in node.inputs))
        if prod(shape) > ELEMENT_LIMIT:
            raise ModelError(
                f"an output of {prod(shape)} values; at most {ELEMENT_LIMIT} are supported",
                where=node.title,
                hint="a smaller input, or a stride before this layer",
            )
        self.nodes.append(node)
        self.tensors[node.y] = Tensor(node.y, shape)
        return Flow(node.y)

    def shared(self, weights: ir.Value, name: str) -> None:
        """Note weights that two layers share: they become two copies."""
        first = self._weights.setdefault(str(weights.name), name)
        if first != name:
            self.notes.append(
                f"{first} and {name} share weights in the file; here each has a copy and trains alone"
            )


def label(node: ir.Node) -> str:
    """What the user calls a node."""
    return node.name or next((v.name for v in node.outputs if v.name), None) or node.op_type


def floats(value: ir.Value) -> NDArray[np.float32]:
    """Contents of a constant."""
    assert value.const_value is not None
    with np.errstate(over="ignore"):
        result: NDArray[np.float32] = np.asarray(value.const_value.numpy()).astype(np.float32)
    return result


def optional(node: ir.Node, index: int) -> ir.Value | None:
    """An input that may be left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def rank(value: ir.Value | None) -> int:
    """Number of dimensions of a constant."""
    assert value is not None and value.const_value is not None
    return len(value.const_value.shape)


def computed(node: ir.Node) -> list[int]:
    """Positions of the inputs that are not constant."""
    return [i for i, v in enumerate(node.inputs) if v is not None and v.const_value is None]


# -- windows -------------------------------------------------------------------------------------------------------


def window_problem(node: ir.Node, kernel: tuple[int, ...]) -> str:
    """Why a window's attributes cannot be used; empty if they can."""
    attributes = node.attributes
    for name, default, count, least in (
        ("kernel_shape", kernel, 2, 1),
        ("strides", (1, 1), 2, 1),
        ("dilations", (1, 1), 2, 1),
        ("pads", (0, 0, 0, 0), 4, 0),
    ):
        values = tuple(attributes.get_ints(name, default))
        if len(values) != count:
            return f"{name} has {len(values)} entries, 2-D needs {count}"
        if not all(least <= v < WINDOW_LIMIT for v in values):
            return f"{name} {list(values)} is outside {least} to {WINDOW_LIMIT - 1}"
    mode = attributes.get_string("auto_pad", "NOTSET")
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        return f"auto_pad {mode} is unknown"
    return ""


def window_fields(node: ir.Node, x: Shape, kernel: tuple[int, ...]) -> dict[str, Any]:
    """Stride, padding and dilation of a window over a map."""
    stride = pair(node.attributes.get_ints("strides", (1, 1)))
    dilation = pair(node.attributes.get_ints("dilations", (1, 1)))
    top, left, bottom, right = node.attributes.get_ints("pads", (0, 0, 0, 0))
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    if mode != "NOTSET":
        top = left = bottom = right = 0
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        (top, bottom), (left, right) = (
            same(x[i], stride[i], dilation[i] * (kernel[i] - 1) + 1, mode == "SAME_UPPER") for i in (0, 1)
        )
    return {"stride": stride, "padding": (top, left, bottom, right), "dilation": dilation}


def same(size: int, stride: int, reach: int, upper: bool) -> Pair:
    """Padding (before, after) that makes ceil(size / stride) outputs; an odd one goes to the end for `upper`."""
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    less = total // 2
    return (less, total - less) if upper else (total - less, less)


def pair(values: Any) -> Pair:
    """Two integers."""
    first, second = values
    return int(first), int(second)


def need_map(to: Builder, node: ir.Node, x: Flow) -> Shape:
    """Shape of a map. Raises ModelError for a vector."""
    shape = to.shape(x)
    if len(shape) != 3:
        raise ModelError(
            f"{node.op_type} needs a map; its input is a vector of {shape[0]} values",
            where=f"{label(node)}  {node.op_type}",
            hint="export the network with a (batch, channels, height, width) input",
        )
    return shape


def conv_problem(node: ir.Node) -> str:
    """Why not."""
    weights = node.inputs[1]
    if rank(weights) != 4:
        return f"{rank(weights) - 2}-D convolution; only 2-D is supported"
    assert weights is not None and weights.const_value is not None
    shape = tuple(int(n) for n in weights.const_value.shape)  # type: ignore[arg-type]
    group = node.attributes.get_int("group", 1)
    if group != 1:
        return f"group is {group}; only 1 is supported"
    kernel = tuple(node.attributes.get_ints("kernel_shape", shape[2:]))
    if kernel != shape[2:]:
        return f"kernel_shape {list(kernel)} differs from the weights {list(shape)}"
    return window_problem(node, kernel)


def conv(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Weights from (out, in, k_h, k_w) to (out, k_h, k_w, in)."""
    shape = need_map(to, node, x)
    name = to.name("conv")
    w, bias = node.inputs[1], optional(node, 2)
    assert w is not None
    to.shared(w, name)
    value = floats(w).transpose(0, 2, 3, 1)
    b = floats(bias) if bias is not None else np.zeros(len(value), np.float32)
    return to.add(
        Conv2d(
            name=name,
            source=label(node),
            x=x.tensor,
            y=f"{name}_y",
            w=to.constant(f"{name}_w", value),
            b=to.constant(f"{name}_b", b),
            **window_fields(node, shape, value.shape[1:3]),
        )
    )


def pool_problem(node: ir.Node) -> str:
    """Why not."""
    kernel = tuple(node.attributes.get_ints("kernel_shape", ()))
    if len(kernel) != 2:
        return f"{len(kernel)}-D pooling; only 2-D is supported"
    return window_problem(node, kernel)


def pool(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """ceil_mode becomes padding at the bottom and on the right, which never wins."""
    shape = need_map(to, node, x)
    name = to.name("pool")
    kernel = pair(node.attributes.get_ints("kernel_shape", ()))
    fields = window_fields(node, shape, kernel)
    if (
        node.attributes.get_int("ceil_mode", 0)
        and node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
    ):
        fields["padding"] = rounded_up(shape, kernel, **fields)
    result = MaxPool2d(name=name, source=label(node), x=x.tensor, y=f"{name}_y", kernel=kernel, **fields)
    flow = to.add(result)
    for axis in (0, 1):
        start = np.arange(to.shape(flow)[axis]) * result.stride[axis] - result.padding[axis]
        step = result.dilation[axis]
        first = np.maximum(-(start // step), 0)  # the first tap at or after row 0
        last = np.minimum((shape[axis] - 1 - start) // step, kernel[axis] - 1)
        empty = int((first > last).sum())
        if empty:
            raise ModelError(
                f"{empty} of {len(start)} pooling windows lie in the padding altogether, where no value is largest",
                where=result.title,
                hint="less padding or dilation",
            )
    return flow


def rounded_up(x: Shape, kernel: Pair, *, stride: Pair, padding: Padding, dilation: Pair) -> Padding:
    """Padding that gives with rounding down what `padding` gives with ceil_mode: no window starts past the end."""
    after = []
    for i in (0, 1):
        reach = dilation[i] * (kernel[i] - 1) + 1
        room = max(x[i] + padding[i] + padding[i + 2] - reach, 0)
        last = -(-room // stride[i])
        if last * stride[i] >= x[i] + padding[i]:
            last -= 1
        after.append(max(padding[i + 2], last * stride[i] + reach - x[i] - padding[i]))
    return padding[0], padding[1], after[0], after[1]


def global_pool(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """The whole map is one window."""
    height, width, _ = need_map(to, node, x)
    name = to.name("pool")
    return to.add(MaxPool2d(name=name, source=label(node), x=x.tensor, y=f"{name}_y", kernel=(height, width)))


# -- vectors -------------------------------------------------------------------------------------------------------


def gemm_problem(node: ir.Node) -> str:
    """Why not."""
    if node.attributes.get_int("transA", 0):
        return "transA is set: the batch would become features"
    return (
        "" if rank(node.inputs[1]) == 2 else f"weights have {rank(node.inputs[1])} dimensions, 2 are needed"
    )


def gemm(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """y = alpha x B + beta C."""
    b, c = node.inputs[1], optional(node, 2)
    assert b is not None
    w = floats(b) * np.float32(node.attributes.get_float("alpha", 1.0))
    if not node.attributes.get_int("transB", 0):
        w = w.T
    bias = np.zeros(len(w), np.float32)
    if c is not None:
        bias = per_channel(node, floats(c) * np.float32(node.attributes.get_float("beta", 1.0)), (len(w),))
    return linear(to, node, x, w, bias)


def matmul_problem(node: ir.Node) -> str:
    """Why not."""
    if computed(node) != [0]:
        return "weights stand on the left"
    return (
        "" if rank(node.inputs[1]) == 2 else f"weights have {rank(node.inputs[1])} dimensions, 2 are needed"
    )


def matmul(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """y = x B."""
    b = node.inputs[1]
    assert b is not None
    w = floats(b).T
    return linear(to, node, x, w, np.zeros(len(w), np.float32))


def linear(to: Builder, node: ir.Node, x: Flow, w: NDArray[Any], bias: NDArray[Any]) -> Flow:
    """A fully connected layer; columns follow the order of a flattened map."""
    name = to.name("fc")
    assert node.inputs[1] is not None
    to.shared(node.inputs[1], name)
    if x.order is not None and w.shape[1] == len(x.order):
        w = w[:, x.order]
    return to.add(
        Linear(
            name=name,
            source=label(node),
            x=x.tensor,
            y=f"{name}_y",
            w=to.constant(f"{name}_w", w),
            b=to.constant(f"{name}_b", bias),
        )
    )


# -- shapes --------------------------------------------------------------------------------------------------------


def reshape(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Flattening or nothing."""
    shape = to.shape(x)
    old = (1, shape[2], shape[0], shape[1]) if len(shape) == 3 else (1, *shape)
    new = target_shape(node, old)
    if new == old:
        return x
    if new != (1, prod(shape)):
        raise ModelError(
            f"{node.op_type} from {old} to {new}; only (1, {prod(shape)}), all but the batch, is supported",
            where=f"{label(node)}  {node.op_type}",
            hint="torch.flatten(x, 1) before the first fully connected layer",
        )
    name = to.name("flatten")
    height, width, channels = shape
    order = np.arange(prod(shape)).reshape(channels, height, width).transpose(1, 2, 0).reshape(-1)
    flow = to.add(Flatten(name=name, source=label(node), x=x.tensor, y=f"{name}_y"))
    return replace(flow, order=None if (order == np.arange(len(order))).all() else order)


def target_shape(node: ir.Node, old: tuple[int, ...]) -> tuple[int, ...]:
    """Shape that Flatten, Reshape or Squeeze gives, batch first."""
    if node.op_type == "Flatten":
        axis = node.attributes.get_int("axis", 1)
        axis += len(old) if axis < 0 else 0
        return prod(old[:axis]), prod(old[axis:])
    argument = optional(node, 1)
    values = [] if argument is None else [int(v) for v in integers(argument)]
    if node.op_type == "Squeeze":
        axes = {v % len(old) for v in values} or {i for i, n in enumerate(old) if n == 1}
        return tuple(n for i, n in enumerate(old) if i not in axes)
    if not node.attributes.get_int("allowzero", 0):
        values = [old[i] if v == 0 and i < len(old) else v for i, v in enumerate(values)]
    if values.count(-1) == 1:
        rest = prod(v for v in values if v != -1)
        values[values.index(-1)] = prod(old) // rest if rest > 0 else -1
    return tuple(values)


def integers(value: ir.Value) -> NDArray[Any]:
    """Contents of an integer constant."""
    assert value.const_value is not None
    return np.asarray(value.const_value.numpy()).reshape(-1)


# -- element by element --------------------------------------------------------------------------------------------


def per_channel(node: ir.Node, value: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """A constant that broadcasts against a value, as one number per channel in ONNX order."""
    channels = shape[-1]
    axis = 3 if len(shape) == 1 else 1  # where ONNX has the channels, counted in four dimensions
    full = value.reshape((1,) * (4 - value.ndim) + value.shape) if value.ndim <= 4 else value
    if full.ndim != 4 or any(n != 1 and not (i == axis and n == channels) for i, n in enumerate(full.shape)):
        raise ModelError(
            f"{node.op_type} of a {shape} value and a {value.shape} constant; one number per channel is supported",
            where=f"{label(node)}  {node.op_type}",
            hint=f"a constant of {channels} values, or of 1",
        )
    return np.broadcast_to(full.reshape(-1), (channels,))


def clip_problem(node: ir.Node) -> str:
    """Why not."""
    low, high = bounds(node)
    if low is not None and high is not None and low >= high:
        return f"bounds {low:g} and {high:g} leave a constant"
    return "a bound is NaN" if any(v is not None and np.isnan(v) for v in (low, high)) else ""


def bounds(node: ir.Node) -> tuple[float | None, float | None]:
    """Lower and upper bound of Clip; None for none."""
    found: list[float | None] = []
    for index in (1, 2):
        value = optional(node, index)
        bound = None if value is None else float(floats(value).reshape(-1)[0])
        found.append(None if bound is not None and abs(bound) >= NO_BOUND else bound)
    return found[0], found[1]


def clip(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Relu is Clip from 0."""
    low, high = (0.0, None) if node.op_type == "Relu" else bounds(node)
    if low is None and high is None:
        return x
    name = to.name(node.op_type.lower())
    return replace(
        to.add(Clip(name=name, source=label(node), x=x.tensor, y=f"{name}_y", low=low, high=high)),
        order=x.order,
    )


def batch_norm_problem(node: ir.Node) -> str:
    """Why not."""
    if node.attributes.get_int("training_mode", 0):
        return "training_mode is set; export after net.eval()"
    variance = node.inputs[4]
    assert variance is not None
    smallest = float(floats(variance).min(initial=np.inf)) + node.attributes.get_float("epsilon", 1e-5)
    return f"variance + epsilon is {smallest:g}, not positive" if smallest <= 0 else ""


def batch_norm(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Statistics follow the order of a flattened map."""
    values = [floats(v) for v in node.inputs[1:] if v is not None]
    return normalize(to, node, x, values, node.attributes.get_float("epsilon", 1e-5))


def affine(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """x + c, x - c, c - x, x * c and x / c: into the bias just before, else a batch-norm without statistics."""
    side = computed(node)[0]
    constant = node.inputs[1 - side]
    assert constant is not None
    c = per_channel(node, floats(constant), to.shape(x))
    one, zero = np.ones_like(c), np.zeros_like(c)
    with np.errstate(divide="ignore", over="ignore"):
        factor, offset = {
            "Add": (one, c),
            "Sub": (one, -c) if side == 0 else (-one, c),
            "Mul": (c, zero),
            "Div": (one / c, zero),
        }[node.op_type]
    if not np.isfinite(factor).all():
        raise ModelError(
            "division by zero", where=f"{label(node)}  {node.op_type}", hint="check the constant"
        )
    last = to.nodes[-1] if to.nodes else None
    if isinstance(last, Weighted) and last.y == x.tensor and node.op_type in ("Add", "Sub") and side == 0:
        bias = to.tensors[last.b].value
        assert bias is not None
        to.constant(last.b, bias + offset)
        return x
    return normalize(to, node, x, [factor, offset, zero, one], 0.0)


def affine_problem(node: ir.Node) -> str:
    """Why not."""
    return "divides by a computed value" if node.op_type == "Div" and computed(node) == [1] else ""


def normalize(to: Builder, node: ir.Node, x: Flow, values: list[NDArray[Any]], epsilon: float) -> Flow:
    """A batch-norm with the given gamma, beta, mean and variance, in ONNX order."""
    name = to.name("bn")
    if x.order is not None:
        values = [v[x.order] if v.shape == x.order.shape else v for v in values]
    gamma, beta, mean, variance = (
        to.constant(f"{name}_{kind}", v)
        for kind, v in zip(("gamma", "beta", "mean", "variance"), values, strict=True)
    )
    result = BatchNorm(
        name=name,
        source=label(node),
        x=x.tensor,
        y=f"{name}_y",
        gamma=gamma,
        beta=beta,
        mean=mean,
        variance=variance,
        epsilon=float(epsilon),
    )
    return replace(to.add(result), order=x.order)


# -- what may be left out ------------------------------------------------------------------------------------------


def cast_problem(node: ir.Node) -> str:
    """Why not."""
    kind = ir.DataType(node.attributes.get_int("to", 0))
    return "" if kind in FLOAT_TYPES else f"casts to {kind.name.lower()}"


def dropout_problem(node: ir.Node) -> str:
    """Why not."""
    mode = optional(node, 2)
    active = mode is not None and mode.const_value is not None and bool(mode.const_value.numpy().any())
    return "training_mode is set; export after net.eval()" if active else ""


def skip(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Nothing to do."""
    return x


def softmax(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """Training adds its own, and the largest logit is the most probable class."""
    shape = to.shape(x)
    axis = node.attributes.get_int("axis", -1)
    if len(shape) != 1 or axis not in (1, -1):
        raise ModelError(
            f"{node.op_type} over axis {axis} of a {shape} value; class scores are one vector",
            where=f"{label(node)}  {node.op_type}",
            hint="flatten before it, and axis=1",
        )
    to.notes.append(
        f"{node.op_type} at the end left out: the outputs are logits, and the loss brings its own softmax"
    )
    return x


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
    """

    problem: Callable[[ir.Node], str]
    translate: Callable[[Builder, ir.Node, Flow], Flow]
    data: bool = False
    both: bool = False


AFFINE = Rule(affine_problem, affine, data=True, both=True)
DROPPED = ("Identity", "Cast", "Dropout", "Flatten", "Reshape", "Squeeze")
"""May follow a softmax that is left out, since they change no value."""
RULES = {
    "Add": AFFINE,
    "BatchNormalization": Rule(batch_norm_problem, batch_norm, data=True),
    "Cast": Rule(cast_problem, skip),
    "Clip": Rule(clip_problem, clip),
    "Conv": Rule(conv_problem, conv, data=True),
    "Div": AFFINE,
    "Dropout": Rule(dropout_problem, skip),
    "Flatten": Rule(fine, reshape),
    "Gemm": Rule(gemm_problem, gemm, data=True),
    "GlobalMaxPool": Rule(fine, global_pool),
    "Identity": Rule(fine, skip),
    "LogSoftmax": Rule(fine, softmax),
    "MatMul": Rule(matmul_problem, matmul, data=True, both=True),
    "MaxPool": Rule(pool_problem, pool),
    "Mul": AFFINE,
    "Relu": Rule(fine, clip),
    "Reshape": Rule(fine, reshape),
    "Softmax": Rule(fine, softmax),
    "Squeeze": Rule(fine, reshape),
    "Sub": AFFINE,
}
