"""Fold: merge batch-norms, activation functions and padding into layers, exactly.

1. Layer, then BatchNorm: its factors go into weights and bias. Pooling may stand between where no factor is negative
   or it averages, Flatten where a channel has one factor.
2. BatchNorm, then Conv2d without zero padding or Linear: into that layer, where rule 1 does not fit. A BatchNorm
   that shifts nothing goes into a padded convolution, too. Pooling and Flatten may stand between as in rule 1; behind
   Flatten every element may have its own factor.
3. Layer, Add, Mul, Concat or AvgPool2d, then Clip: the operator's bounds. What only moves values may stand between:
   clipping does not change which value is largest, and what lies in the padding never is.
   A Clip that a file has in another scale than its input stays where it is.
4. Clip, then Clip: the bounds of both.
5. Pad of height and width, then Conv2d: its padding.
6. A BatchNorm that remains becomes a depthwise 1x1 convolution.

Nothing is merged past a value that several nodes read. Where a file gives a value a scale, the last one holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, Graph, Node, Operator, Tensor
from mcugrad.graph.draft import Draft
from mcugrad.numerics import ordered_sum
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.convolution.convolution import Sliding
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.core.activated import Activated
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.joining.add import Add
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.movement.reshape import Reshape
from mcugrad.ops.movement.slice import Pad
from mcugrad.ops.normalization.batch_norm import BatchNorm
from mcugrad.ops.pooling.avgpool2d import AvgPool2d
from mcugrad.ops.pooling.maxpool2d import MaxPool2d
from mcugrad.passes.propagate_scales import propagate_scales, settle

MERGED = (BatchNorm, Clip, Pad)
"""What goes into other nodes where it can."""


def fold(graph: Graph) -> Graph:
    """Merge every BatchNorm of a float graph into a layer, and what else can be merged.

    Raises:
        ModelError: weights overflow, or activation functions one after the other leave a constant.
    """
    draft = Draft(propagate_scales(graph))
    norms = sum(isinstance(n, BatchNorm) for n in draft)
    _merge(draft)
    left = [n for n in draft if isinstance(n, BatchNorm)]
    reasons = [f"{n.source or n.name} ({_why_left(draft, n)})" for n in left]
    if left:
        draft = Draft(_as_layers(draft.graph(), left))
        _merge(draft)
    graph = draft.graph()
    if norms > len(left):
        what = "1 normalization" if norms - len(left) == 1 else f"{norms - len(left)} normalizations"
        graph = graph.noted(f"{what} folded into the weights of the layers beside")
    if left:
        what = (
            "1 normalization becomes a layer"
            if len(left) == 1
            else f"{len(left)} normalizations become layers"
        )
        graph = graph.noted(f"{what} of its own: {', '.join(reasons)}")
    return settle(_bounded(graph))


def _merge(draft: Draft) -> None:
    """Merge the first node that can be, until none can. After a merge, only nodes that look at it are tried again."""
    pending = [(draft.place(n), n.name) for n in draft if isinstance(n, MERGED)]
    waiting = {name for _, name in pending}
    while pending:
        _, name = heappop(pending)
        waiting.remove(name)
        node = draft.node(name)
        into = None if node is None else _merged(draft, node)
        for other in _around(draft, into) if into else ():
            if other.name not in waiting:
                waiting.add(other.name)
                heappush(pending, (draft.place(other), other.name))


def _merged(draft: Draft, node: Node) -> str | None:
    """Merge a node if possible; name of the node that it went into."""
    if isinstance(node, BatchNorm):
        norm = _norm(draft, node)
        if isinstance(before := _before(draft, node, norm), _ForLayer):
            return _scale_output(draft, node, before)
        if isinstance(after := _after(draft, node, norm), _ForLayer):
            return _scale_input(draft, node, after)
    elif isinstance(node, Clip):
        operator = _clipped(draft, node)
        if operator is not None:
            return _clip_output(draft, node, operator)
    elif isinstance(node, Pad):
        following = _next(draft, node)
        if isinstance(following, Conv2d | DepthwiseConv2d | GroupedConv2d) and node.keeps_channels:
            return _pad_input(draft, node, following)
    return None


def _around(draft: Draft, name: str) -> list[Node]:
    """Nodes to be merged that a node can be seen from: nothing but what they look past lies between."""
    start = draft.node(name)
    assert start is not None
    found = {name: start}
    for backwards in (True, False):
        pending = [start]
        while pending:
            node = pending.pop()
            if backwards:
                makers = (draft.producer(t) for t in node.inputs)
                near = [n for n in makers if n is not None]
            else:
                near = [n for t in node.outputs for n in draft.readers(t)]
            for other in near:
                if other.name not in found and (isinstance(other, MERGED) or _is_looked_past(other)):
                    found[other.name] = other
                    if _is_looked_past(other):
                        pending.append(other)
    return [n for n in found.values() if isinstance(n, MERGED)]


def _is_looked_past(node: Node) -> bool:
    return isinstance(node, AvgPool2d) or (isinstance(node, Operator) and node.passes_scale)


def _why_left(draft: Draft, node: BatchNorm) -> str:
    norm = _norm(draft, node)
    return f"{_before(draft, node, norm)}, and {_after(draft, node, norm)}"


# -- batch-norm ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Norm:
    """y = factor * x + shift per channel, float64."""

    factor: NDArray[np.float64]
    shift: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _ForLayer(_Norm):
    """The same, as the layer that it goes into sees it."""

    layer: Weighted


def _norm(graph: Draft | Graph, node: BatchNorm) -> _Norm:
    gamma, beta, mean, variance = (
        _value(graph, t).astype(np.float64) for t in (node.gamma, node.beta, node.mean, node.variance)
    )
    with np.errstate(all="ignore"):
        factor = gamma / np.sqrt(variance + node.epsilon)
        return _Norm(factor, beta - mean * factor)


def _before(draft: Draft, node: BatchNorm, norm: _Norm) -> _ForLayer | str:
    """The layer before, or why it cannot take the factors."""
    factor, shift = norm.factor, norm.shift
    tensor = node.x
    while (previous := draft.producer(tensor)) is not None:
        if not _alone(draft, tensor):
            return f"several nodes read what {previous.name} computes"
        if isinstance(previous, MaxPool2d) and (factor < 0).any():
            return f"a negative factor after {previous.name}"
        if isinstance(previous, Flatten):
            channels = draft[previous.x].channels
            factors, shifts = factor.reshape(-1, channels), shift.reshape(-1, channels)
            if (factors != factors[0]).any() or (shifts != shifts[0]).any():
                return f"several factors per channel after {previous.name}"
            factor, shift = factors[0], shifts[0]
        elif not isinstance(previous, MaxPool2d) and not _averages(previous):
            break
        tensor = previous.x  # type: ignore[attr-defined]
    if not isinstance(previous, Weighted):
        return "no layer with weights before it"
    if previous.low is not None or previous.high is not None:
        return f"an activation function between {previous.name} and it"
    if draft[previous.y].quant is not None and draft[node.y].quant is None:
        return f"{previous.name} is int8 in the file"
    return _ForLayer(factor, shift, previous)


def _after(draft: Draft, node: BatchNorm, norm: _Norm) -> _ForLayer | str:
    """The layer after, or why it cannot take the factors."""
    factor, shift = norm.factor, norm.shift
    if draft[node.y].quant is not None:
        return "its output is int8 in the file"
    following = _next(draft, node)
    while isinstance(following, MaxPool2d | Flatten) or _averages(following):
        if isinstance(following, MaxPool2d) and (factor < 0).any():
            return f"a negative factor before {following.name}"
        if isinstance(following, Flatten):
            pixels = draft[following.x].size // len(factor)
            factor, shift = np.tile(factor, pixels), np.tile(shift, pixels)
        assert isinstance(following, Operator)
        following = _next(draft, following)
    if not isinstance(following, Weighted):
        return "no layer with weights right after it"
    if isinstance(following, ConvTranspose2d) and shift.any():
        return f"{following.name} after it is transposed"
    if isinstance(following, Sliding) and any(following.padding) and shift.any():
        return f"{following.name} after it pads with zeros"
    return _ForLayer(factor, shift, following)


def _averages(node: Node | None) -> bool:
    """Whether a node averages, and nothing else."""
    plain = isinstance(node, AvgPool2d) and not (node.count_padding and any(node.padding))
    return plain and node.low is node.high is None  # type: ignore[union-attr]


def _scale_output(draft: Draft, node: BatchNorm, to: _ForLayer) -> str:
    w, b = (_value(draft, t).astype(np.float64) for t in (to.layer.w, to.layer.b))
    with np.errstate(all="ignore"):
        w = w * to.factor.reshape(-1, *[1] * (w.ndim - 1))
        b = b * to.factor + to.shift
    _move_scale(draft, to.layer.y, node.y)
    _set_weights(draft, node, to.layer, w, b)
    draft.bypass(node, node.x)
    return to.layer.name


def _scale_input(draft: Draft, node: BatchNorm, to: _ForLayer) -> str:
    w, b = (_value(draft, t).astype(np.float64) for t in (to.layer.w, to.layer.b))
    read = np.arange(w.shape[-1])[None].repeat(
        len(w), axis=0
    )  # input channels that each output channel reads
    groups = len(to.factor) // w.shape[-1]
    if groups > 1:
        read += (np.arange(len(w)) * groups // len(w) * w.shape[-1])[:, None]
    with np.errstate(all="ignore"):
        sums = ordered_sum(w.reshape(len(w), -1, w.shape[-1]), axis=1)
        b = b + ordered_sum(sums * to.shift[read], axis=1)
        w = w * to.factor[read].reshape(len(w), *[1] * (w.ndim - 2), -1)
    _set_weights(draft, node, to.layer, w, b)
    draft.bypass(node, node.x)
    return to.layer.name


def _set_weights(draft: Draft, node: Node, layer: Weighted, w: NDArray[Any], b: NDArray[Any]) -> None:
    new, bias = _finite(node, layer, w, b)
    draft.change(layer.b, value=bias)
    if not np.array_equal(new, _value(draft, layer.w)):
        draft.change(layer.w, value=new, quant=None)


def _finite(
    node: Node, layer: Weighted, w: NDArray[Any], b: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and biases of a layer as float32. Raises ModelError where they are beyond it."""
    with np.errstate(over="ignore"):
        new, bias = w.astype(np.float32), b.astype(np.float32)
    if not (np.isfinite(new).all() and np.isfinite(bias).all()):
        raise ModelError(
            f"folding into {layer.name} gives weights that are not finite",
            where=node.title,
            hint="check the batch-norm's statistics for huge values and tiny variances",
        )
    return new, bias


def _as_layers(graph: Graph, norms: list[BatchNorm]) -> Graph:
    """BatchNorms as depthwise 1x1 convolutions; a vector becomes a map of one pixel for it."""
    chains: dict[str, list[Operator]] = {}
    tensors: list[Tensor] = []
    for node in norms:
        chain, new = _as_layer(graph, node)
        chains[node.name] = chain
        tensors += new
    nodes = [m for n in graph.nodes for m in chains.get(n.name, [n])]
    return graph.with_nodes(nodes).with_tensors(*tensors)


def _as_layer(graph: Graph, node: BatchNorm) -> tuple[list[Operator], list[Tensor]]:
    """Nodes that stand for a BatchNorm, and tensors that are new or changed."""
    norm = _norm(graph, node)
    channels, shape = len(norm.factor), graph[node.x].shape
    layer = DepthwiseConv2d(
        name=node.name, source=node.source, x=node.x, w=f"{node.name}_w", b=f"{node.name}_b", y=node.y
    )
    w, b = _finite(node, layer, norm.factor.reshape(-1, 1, 1, 1), norm.shift)
    tensors = [Tensor(layer.w, w.shape, value=w), Tensor(layer.b, b.shape, value=b)]
    if len(shape) > 1:
        return [layer], tensors
    into, out = f"{node.name}_map", f"{node.name}_pixel"
    size = (1, 1, channels)
    given = graph[node.y].quant
    moved = replace(given, owner=out) if isinstance(given, ActivationScale) else None
    tensors += [Tensor(into, size), Tensor(out, size, quant=moved), replace(graph[node.y], quant=None)]
    return [
        Reshape(name=f"{node.name}_reshape", x=node.x, y=into, to=size),
        replace(layer, x=into, y=out),
        Flatten(name=f"{node.name}_flatten", x=out, y=node.y),
    ], tensors


# -- activation functions ------------------------------------------------------------------------------------------


def _clipped(draft: Draft, node: Clip) -> Operator | None:
    """The activated operator that takes the bounds; None if none can, or none may."""
    tensor = node.x
    if node.kept:
        return None
    while (previous := draft.producer(tensor)) is not None and _alone(draft, tensor):
        if isinstance(previous, Operator) and isinstance(previous, Activated):
            fits = node.low is not None or node.high is not None or draft[node.y].quant is None
            return previous if fits and _covers(draft, previous, node) else None
        if not isinstance(previous, Operator) or not previous.moves_values:
            return None
        if isinstance(previous, Pad) and not ((node.low or 0) <= 0 <= (node.high or 0)):
            return None
        tensor = previous.inputs[0]
    return None


def _covers(draft: Draft, first: Operator, then: Clip) -> bool:
    """Whether the scale that a file gives to the first value holds all that the scale of the second one does."""
    outer, inner = draft[first.y].quant, draft[then.y].quant
    if not isinstance(outer, ActivationScale) or not isinstance(inner, ActivationScale):
        return True
    (low, high), (inner_low, inner_high) = outer.span, inner.span
    inner_low = inner_low if then.low is None else max(inner_low, then.low)
    inner_high = inner_high if then.high is None else min(inner_high, then.high)
    return low <= inner_low + outer.scale and high >= inner_high - outer.scale


def _clip_output(draft: Draft, node: Clip, operator: Operator) -> str:
    assert isinstance(operator, Activated)
    low, high = _both(operator.low, operator.high, node)
    if low is not None and high is not None and low >= high:
        raise ModelError(
            f"activation functions one after the other leave the constant {low:g}",
            where=node.title,
            hint="check their bounds",
        )
    draft.put(replace(operator, low=low, high=high))
    _move_scale(draft, operator.y, node.y)
    draft.bypass(node, node.x)
    return operator.name


def _both(low: float | None, high: float | None, then: Clip) -> tuple[float | None, float | None]:
    """Bounds of clip(clip(x, low, high), then.low, then.high)."""
    ends = np.asarray([-np.inf if low is None else low, np.inf if high is None else high])
    first, second = (float(v) for v in then.forward(ends))
    return first if np.isfinite(first) else None, second if np.isfinite(second) else None


def _bounded(graph: Graph) -> Graph:
    """Layers and sums whose scale in the file has no code for a negative number end in a ReLU, and are told so."""

    def bounded(node: Node) -> Node:
        quant = graph[node.outputs[0]].quant
        if not isinstance(node, Weighted | Add) or not isinstance(quant, ActivationScale):
            return node
        return replace(node, low=0.0) if quant.zero == -128 and node.low is None else node

    return graph.with_nodes(map(bounded, graph.nodes))


# -- padding -------------------------------------------------------------------------------------------------------


def _pad_input(draft: Draft, node: Pad, layer: Conv2d | DepthwiseConv2d | GroupedConv2d) -> str:
    top, left, bottom, right = layer.padding
    padding = (
        top + node.before[0],
        left + node.before[1],
        bottom + node.after[0],
        right + node.after[1],
    )
    draft.put(replace(layer, padding=padding))
    draft.bypass(node, node.x)
    return layer.name


# -- the graph -----------------------------------------------------------------------------------------------------


def _value(graph: Draft | Graph, tensor: str) -> NDArray[Any]:
    value = graph[tensor].value
    assert value is not None, tensor
    return value


def _alone(draft: Draft, tensor: str) -> bool:
    """Whether one node reads a tensor, once, and it is not the output."""
    return len(draft.readers(tensor)) == 1 and tensor != draft.output


def _next(draft: Draft, node: Operator) -> Node | None:
    """The one node that reads what a node computes; None if several do or none."""
    return draft.readers(node.y)[0] if _alone(draft, node.y) else None


def _move_scale(draft: Draft, tensor: str, of: str) -> None:
    """Give a tensor the scale that the file gives to another, if it gives one."""
    quant = draft[of].quant
    if isinstance(quant, ActivationScale):
        draft.change(tensor, quant=replace(quant, owner=tensor))
