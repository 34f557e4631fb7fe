"""Fold: merge batch-norms and activation functions into layers, exactly.

1. Conv2d or Linear, then BatchNorm: its factors go into weights and bias. MaxPool2d may stand between where no
   factor is negative, Flatten where a channel has one factor.
2. BatchNorm, then Conv2d without zero padding or Linear: into that layer, where rule 1 does not fit. A BatchNorm
   that shifts nothing goes into a padded convolution, too. MaxPool2d and Flatten may stand between as in rule 1;
   behind Flatten every element may have its own factor.
3. Conv2d or Linear, then Clip: the layer's bounds. MaxPool2d and Flatten may stand between: clipping does not change
   which value is largest, and what lies in the padding never is.
4. Clip, then Clip: the bounds of both.

What remains are Conv2d, Linear, MaxPool2d and Flatten.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ForwardNode, Graph, Node
from mcugrad.ops.batch_norm import BatchNorm
from mcugrad.ops.clip import Clip
from mcugrad.ops.conv2d import Conv2d
from mcugrad.ops.flatten import Flatten
from mcugrad.ops.maxpool2d import MaxPool2d
from mcugrad.ops.weighted import Weighted


def fold(graph: Graph) -> Graph:
    """Merge every BatchNorm and Clip of a float graph into a layer.

    Raises:
        ModelError: some cannot be merged without changing results (all are listed), or weights overflow.
    """
    norms = sum(isinstance(n, BatchNorm) for n in graph.nodes)
    while (folded := _once(graph)) is not None:
        graph = folded
    reasons = [reason for node in graph.nodes if (reason := _why_left(graph, node))]
    if reasons:
        raise ModelError(
            f"{len(reasons)} {'node' if len(reasons) == 1 else 'nodes'} cannot be folded into a layer",
            where=";  ".join(reasons),
            hint="BatchNorm between a layer and its activation function, activation functions after layers only",
        )
    if norms:
        what = "1 normalization" if norms == 1 else f"{norms} normalizations"
        graph = graph.noted(f"{what} folded into the weights of the layers beside")
    return graph.without_unused()


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
            layer = _clipped(graph, node)
            if isinstance(layer, Weighted):
                return _clip_output(graph, node, layer)
    return None


def _why_left(graph: Graph, node: Node) -> str:
    if isinstance(node, BatchNorm):
        norm = _norm(graph, node)
        return f"{node.title}: {_before(graph, node, norm)}, and {_after(graph, node, norm)}"
    if isinstance(node, Clip) and _clipped(graph, node) is None:
        return f"{node.title}: no layer with weights before it"
    return ""


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
    previous = graph.producer(node.x)
    while isinstance(previous, MaxPool2d | Flatten):
        if isinstance(previous, MaxPool2d) and (factor < 0).any():
            return f"a negative factor after {previous.name}"
        if isinstance(previous, Flatten):
            channels = graph[previous.x].channels
            factors, shifts = factor.reshape(-1, channels), shift.reshape(-1, channels)
            if (factors != factors[0]).any() or (shifts != shifts[0]).any():
                return f"several factors per channel after {previous.name}"
            factor, shift = factors[0], shifts[0]
        previous = graph.producer(previous.x)
    if not isinstance(previous, Weighted):
        return "no layer with weights before it"
    if previous.low is not None or previous.high is not None:
        return f"an activation function between {previous.name} and it"
    return _Target(factor, shift, previous)


def _after(graph: Graph, node: BatchNorm, norm: _Norm) -> _Target | str:
    """The layer after, or why it cannot take the factors."""
    factor, shift = norm.factor, norm.shift
    following = _next(graph, node)
    while isinstance(following, MaxPool2d | Flatten):
        if isinstance(following, MaxPool2d) and (factor < 0).any():
            return f"a negative factor before {following.name}"
        if isinstance(following, Flatten):
            pixels = graph[following.x].size // len(factor)
            factor, shift = np.tile(factor, pixels), np.tile(shift, pixels)
        following = _next(graph, following)
    if not isinstance(following, Weighted):
        return "no layer with weights right after it"
    if isinstance(following, Conv2d) and any(following.padding) and shift.any():
        return f"{following.name} after it pads with zeros"
    return _Target(factor, shift, following)


def _scale_output(graph: Graph, node: BatchNorm, to: _Target) -> Graph:
    w, b = (_value(graph, t).astype(np.float64) for t in (to.layer.w, to.layer.b))
    with np.errstate(all="ignore"):
        w = w * to.factor.reshape(-1, *[1] * (w.ndim - 1))
        b = b * to.factor + to.shift
    return _without(_with_weights(graph, node, to.layer, w, b), node)


def _scale_input(graph: Graph, node: BatchNorm, to: _Target) -> Graph:
    w, b = (_value(graph, t).astype(np.float64) for t in (to.layer.w, to.layer.b))
    with np.errstate(all="ignore"):
        b = b + w.reshape(len(w), -1, w.shape[-1]).sum(axis=1) @ to.shift
        w = w * to.factor
    return _without(_with_weights(graph, node, to.layer, w, b), node)


def _with_weights(graph: Graph, node: Node, layer: Weighted, w: NDArray[Any], b: NDArray[Any]) -> Graph:
    with np.errstate(over="ignore"):
        w, b = w.astype(np.float32), b.astype(np.float32)
    if not (np.isfinite(w).all() and np.isfinite(b).all()):
        raise ModelError(
            f"folding into {layer.name} gives weights that are not finite",
            where=node.title,
            hint="check the batch-norm's statistics for huge values and tiny variances",
        )
    return graph.changed(layer.w, value=w).changed(layer.b, value=b)


# -- activation functions ------------------------------------------------------------------------------------------


def _clipped(graph: Graph, node: Clip) -> Weighted | BatchNorm | None:
    """The layer that takes the bounds; the BatchNorm in between if one is left; None at the input."""
    previous = graph.producer(node.x)
    while isinstance(previous, MaxPool2d | Flatten | Clip):
        previous = graph.producer(previous.x)
    return previous if isinstance(previous, Weighted | BatchNorm) else None


def _clip_output(graph: Graph, node: Clip, layer: Weighted) -> Graph:
    low, high = _both(layer.low, layer.high, node)
    if low is not None and high is not None and low >= high:
        raise ModelError(
            f"activation functions one after the other leave the constant {low:g}",
            where=node.title,
            hint="check their bounds",
        )
    bounded = replace(layer, low=low, high=high)
    return _without(graph.with_nodes(bounded if n is layer else n for n in graph.nodes), node)


def _both(low: float | None, high: float | None, then: Clip) -> tuple[float | None, float | None]:
    """Bounds of clip(clip(x, low, high), then.low, then.high)."""
    ends = np.asarray([-np.inf if low is None else low, np.inf if high is None else high])
    first, second = (float(v) for v in then.forward(ends))
    return first if np.isfinite(first) else None, second if np.isfinite(second) else None


# -- the chain -----------------------------------------------------------------------------------------------------


def _value(graph: Graph, tensor: str) -> NDArray[Any]:
    value = graph[tensor].value
    assert value is not None, tensor
    return value


def _next(graph: Graph, node: ForwardNode) -> Node | None:
    """The one node that reads what a node computes; None at the output."""
    return next(iter(graph.consumers(node.y)), None)


def _without(graph: Graph, node: BatchNorm | Clip) -> Graph:
    """The graph in which what read the node's output reads its input."""
    kept = (n.renamed({node.y: node.x}) for n in graph.nodes if n is not node)
    return replace(graph, nodes=tuple(kept), output=node.x if graph.output == node.y else graph.output)
