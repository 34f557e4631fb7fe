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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, ForwardNode, Graph, Node, Operator, Tensor
from mcugrad.ops.activated import Activated
from mcugrad.ops.add import Add
from mcugrad.ops.avgpool2d import AvgPool2d
from mcugrad.ops.batch_norm import BatchNorm
from mcugrad.ops.clip import Clip
from mcugrad.ops.conv2d import Conv2d
from mcugrad.ops.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.flatten import Flatten
from mcugrad.ops.grouped_conv2d import GroupedConv2d
from mcugrad.ops.maxpool2d import MaxPool2d
from mcugrad.ops.prelu import PRelu
from mcugrad.ops.reshape import Reshape
from mcugrad.ops.slice import Pad
from mcugrad.ops.weighted import Weighted
from mcugrad.passes.agree import agree, settle


def fold(graph: Graph) -> Graph:
    """Merge every BatchNorm of a float graph into a layer, and what else can be merged.

    Raises:
        ModelError: weights overflow, or activation functions one after the other leave a constant.
    """
    graph = agree(graph)
    norms = sum(isinstance(n, BatchNorm) for n in graph.nodes)
    while (folded := _once(graph)) is not None:
        graph = folded
    left = [n for n in graph.nodes if isinstance(n, BatchNorm)]
    reasons = [f"{n.source or n.name} ({_why_left(graph, n)})" for n in left]
    for node in left:
        graph = _as_layer(graph, node)
    while (folded := _once(graph)) is not None:
        graph = folded
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
    return settle(_bounded(graph)).without_unused()


def _once(graph: Graph) -> Graph | None:
    """The graph with the first node merged that can be; None if none can."""
    for node in graph.nodes:
        if isinstance(node, BatchNorm):
            norm = _norm(graph, node)
            if isinstance(before := _before(graph, node, norm), _Target):
                return _scale_output(graph, node, before)
            if isinstance(after := _after(graph, node, norm), _Target):
                return _scale_input(graph, node, after)
        elif isinstance(node, Clip):
            operator = _clipped(graph, node)
            if operator is not None:
                return _clip_output(graph, node, operator)
        elif isinstance(node, Pad):
            following = _next(graph, node)
            if isinstance(following, Conv2d | DepthwiseConv2d | GroupedConv2d) and node.keeps_channels:
                return _pad_input(graph, node, following)
    return None


def _why_left(graph: Graph, node: BatchNorm) -> str:
    norm = _norm(graph, node)
    return f"{_before(graph, node, norm)}, and {_after(graph, node, norm)}"


# -- batch-norm ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Norm:
    """y = factor * x + shift per channel, float64."""

    factor: NDArray[np.float64]
    shift: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Target(_Norm):
    """The same, as the layer that it goes into sees it."""

    layer: Weighted


def _norm(graph: Graph, node: BatchNorm) -> _Norm:
    gamma, beta, mean, variance = (
        _value(graph, t).astype(np.float64) for t in (node.gamma, node.beta, node.mean, node.variance)
    )
    with np.errstate(all="ignore"):
        factor = gamma / np.sqrt(variance + node.epsilon)
        return _Norm(factor, beta - mean * factor)


def _before(graph: Graph, node: BatchNorm, norm: _Norm) -> _Target | str:
    """The layer before, or why it cannot take the factors."""
    factor, shift = norm.factor, norm.shift
    tensor = node.x
    while (previous := graph.producer(tensor)) is not None:
        if not _alone(graph, tensor):
            return f"several nodes read what {previous.name} computes"
        if isinstance(previous, MaxPool2d) and (factor < 0).any():
            return f"a negative factor after {previous.name}"
        if isinstance(previous, Flatten):
            channels = graph[previous.x].channels
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
    if graph[previous.y].quant is not None and graph[node.y].quant is None:
        return f"{previous.name} is int8 in the file"
    return _Target(factor, shift, previous)


def _after(graph: Graph, node: BatchNorm, norm: _Norm) -> _Target | str:
    """The layer after, or why it cannot take the factors."""
    factor, shift = norm.factor, norm.shift
    if graph[node.y].quant is not None:
        return "its output is int8 in the file"
    following = _next(graph, node)
    while isinstance(following, MaxPool2d | Flatten) or _averages(following):
        if isinstance(following, MaxPool2d) and (factor < 0).any():
            return f"a negative factor before {following.name}"
        if isinstance(following, Flatten):
            pixels = graph[following.x].size // len(factor)
            factor, shift = np.tile(factor, pixels), np.tile(shift, pixels)
        assert isinstance(following, ForwardNode)
        following = _next(graph, following)
    if not isinstance(following, Weighted):
        return "no layer with weights right after it"
    if isinstance(following, ConvTranspose2d) and shift.any():
        return f"{following.name} after it is transposed"
    if any(getattr(following, "padding", ())) and shift.any():
        return f"{following.name} after it pads with zeros"
    return _Target(factor, shift, following)


def _averages(node: Node | None) -> bool:
    """Whether a node averages, and nothing else."""
    plain = isinstance(node, AvgPool2d) and not (node.count_padding and any(node.padding))
    return plain and node.low is node.high is None  # type: ignore[union-attr]


def _scale_output(graph: Graph, node: BatchNorm, to: _Target) -> Graph:
    w, b = (_value(graph, t).astype(np.float64) for t in (to.layer.w, to.layer.b))
    with np.errstate(all="ignore"):
        w = w * to.factor.reshape(-1, *[1] * (w.ndim - 1))
        b = b * to.factor + to.shift
    graph = _with_scale(graph, to.layer.y, node.y)
    return _without(_with_weights(graph, node, to.layer, w, b), node)


def _scale_input(graph: Graph, node: BatchNorm, to: _Target) -> Graph:
    w, b = (_value(graph, t).astype(np.float64) for t in (to.layer.w, to.layer.b))
    read = np.arange(w.shape[-1])[None].repeat(
        len(w), axis=0
    )  # input channels that each output channel reads
    groups = len(to.factor) // w.shape[-1]
    if groups > 1:
        read += (np.arange(len(w)) * groups // len(w) * w.shape[-1])[:, None]
    with np.errstate(all="ignore"):
        b = b + (w.reshape(len(w), -1, w.shape[-1]).sum(axis=1) * to.shift[read]).sum(axis=1)
        w = w * to.factor[read].reshape(len(w), *[1] * (w.ndim - 2), -1)
    return _without(_with_weights(graph, node, to.layer, w, b), node)


def _with_weights(graph: Graph, node: Node, layer: Weighted, w: NDArray[Any], b: NDArray[Any]) -> Graph:
    with np.errstate(over="ignore"):
        new, b = w.astype(np.float32), b.astype(np.float32)
    if not (np.isfinite(new).all() and np.isfinite(b).all()):
        raise ModelError(
            f"folding into {layer.name} gives weights that are not finite",
            where=node.title,
            hint="check the batch-norm's statistics for huge values and tiny variances",
        )
    graph = graph.changed(layer.b, value=b)
    if np.array_equal(new, _value(graph, layer.w)):
        return graph
    return graph.changed(layer.w, value=new, quant=None)


def _as_layer(graph: Graph, node: BatchNorm) -> Graph:
    """A BatchNorm as a depthwise 1x1 convolution; a vector becomes a map of one pixel for it."""
    norm = _norm(graph, node)
    channels, shape = len(norm.factor), graph[node.x].shape
    w, b = (
        Tensor(f"{node.name}_{kind}", value.shape, value=value)
        for kind, value in (
            ("w", np.ones((channels, 1, 1, 1), np.float32)),
            ("b", np.zeros(channels, np.float32)),
        )
    )
    layer = DepthwiseConv2d(name=node.name, source=node.source, x=node.x, w=w.name, b=b.name, y=node.y)
    chain: list[Operator] = [layer]
    graph = graph.with_tensors(w, b)
    if len(shape) == 1:
        into, out = f"{node.name}_map", f"{node.name}_pixel"
        size = (1, 1, channels)
        chain = [
            Reshape(name=f"{node.name}_reshape", x=node.x, y=into, to=size),
            replace(layer, x=into, y=out),
            Flatten(name=f"{node.name}_flatten", x=out, y=node.y),
        ]
        given = graph[node.y].quant
        moved = replace(given, owner=out) if isinstance(given, ActivationScale) else None
        graph = graph.with_tensors(Tensor(into, size), Tensor(out, size, quant=moved))
        graph = graph.changed(node.y, quant=None)
    graph = _with_weights(graph, node, layer, norm.factor.reshape(-1, 1, 1, 1), norm.shift)
    nodes = [m for n in graph.nodes for m in (chain if n is node else [n])]
    return graph.with_nodes(nodes)


# -- activation functions ------------------------------------------------------------------------------------------


def _clipped(graph: Graph, node: Clip) -> Activated | None:
    """The operator that takes the bounds; None if none can, or none may."""
    tensor = node.x
    if node.kept:
        return None
    while (previous := graph.producer(tensor)) is not None and _alone(graph, tensor):
        if isinstance(previous, Activated):
            fits = node.low is not None or node.high is not None or graph[node.y].quant is None
            return previous if fits and _covers(graph, previous, node) else None
        if not isinstance(previous, Operator) or not previous.passes_scale or isinstance(previous, PRelu):
            return None
        if isinstance(previous, Pad) and not ((node.low or 0) <= 0 <= (node.high or 0)):
            return None
        tensor = previous.inputs[0]
    return None


def _covers(graph: Graph, first: Activated, then: Clip) -> bool:
    """Whether the scale that a file gives to the first value holds all that the scale of the second one does."""
    outer, inner = graph[first.y].quant, graph[then.y].quant
    if not isinstance(outer, ActivationScale) or not isinstance(inner, ActivationScale):
        return True
    (low, high), (inner_low, inner_high) = outer.span, inner.span
    inner_low = inner_low if then.low is None else max(inner_low, then.low)
    inner_high = inner_high if then.high is None else min(inner_high, then.high)
    return low <= inner_low + outer.scale and high >= inner_high - outer.scale


def _clip_output(graph: Graph, node: Clip, operator: Activated) -> Graph:
    low, high = _both(operator.low, operator.high, node)
    if low is not None and high is not None and low >= high:
        raise ModelError(
            f"activation functions one after the other leave the constant {low:g}",
            where=node.title,
            hint="check their bounds",
        )
    bounded = replace(operator, low=low, high=high)
    graph = _with_scale(graph, operator.y, node.y)
    return _without(graph.with_nodes(bounded if n is operator else n for n in graph.nodes), node)


def _both(low: float | None, high: float | None, then: Clip) -> tuple[float | None, float | None]:
    """Bounds of clip(clip(x, low, high), then.low, then.high)."""
    ends = np.asarray([-np.inf if low is None else low, np.inf if high is None else high])
    first, second = (float(v) for v in then.forward(ends))
    return first if np.isfinite(first) else None, second if np.isfinite(second) else None


def _bounded(graph: Graph) -> Graph:
    """Layers and sums whose scale in the file has no code for a negative number end in a ReLU, and are told so."""
    for node in graph.nodes:
        quant = graph[node.outputs[0]].quant
        if not isinstance(node, Weighted | Add) or not isinstance(quant, ActivationScale):
            continue
        if quant.zero == -128 and node.low is None:
            bounded = replace(node, low=0.0)
            graph = graph.with_nodes(bounded if n is node else n for n in graph.nodes)
    return graph


# -- padding -------------------------------------------------------------------------------------------------------


def _pad_input(graph: Graph, node: Pad, layer: Conv2d | DepthwiseConv2d | GroupedConv2d) -> Graph:
    top, left, bottom, right = layer.padding
    padding = (
        top + node.before[0],
        left + node.before[1],
        bottom + node.after[0],
        right + node.after[1],
    )
    padded = replace(layer, padding=padding)
    return _without(graph.with_nodes(padded if n is layer else n for n in graph.nodes), node)


# -- the graph -----------------------------------------------------------------------------------------------------


def _value(graph: Graph, tensor: str) -> NDArray[Any]:
    value = graph[tensor].value
    assert value is not None, tensor
    return value


def _alone(graph: Graph, tensor: str) -> bool:
    """Whether one node reads a tensor, once, and it is not the output."""
    return sum(n.inputs.count(tensor) for n in graph.nodes) == 1 and tensor != graph.output


def _next(graph: Graph, node: ForwardNode) -> Node | None:
    """The one node that reads what a node computes; None if several do or none."""
    return graph.consumers(node.y)[0] if _alone(graph, node.y) else None


def _with_scale(graph: Graph, tensor: str, of: str) -> Graph:
    """The graph with a tensor in the scale that the file gives to another, if it gives one."""
    quant = graph[of].quant
    return (
        graph.changed(tensor, quant=replace(quant, owner=tensor))
        if isinstance(quant, ActivationScale)
        else graph
    )


def _without(graph: Graph, node: BatchNorm | Clip | Pad) -> Graph:
    """The graph in which what read the node's output reads its input."""
    kept = [n.renamed({node.y: node.x}) for n in graph.nodes if n is not node]
    graph = replace(graph, nodes=tuple(kept), output=node.x if graph.output == node.y else graph.output)
    return _reshaped(graph)


def _reshaped(graph: Graph) -> Graph:
    """The graph with the shapes that its nodes give, and without what nothing touches."""
    for n in graph.nodes:
        if isinstance(n, ForwardNode):
            graph = graph.changed(n.y, shape=n.shape(*(graph[t].shape for t in n.inputs)))
    return graph.without_unused()
