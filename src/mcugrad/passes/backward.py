"""Backward: derive the backward pass as ordinary nodes of the same graph.

1. The learning rate of the step comes first. The loss turns logits and label into the output error, or logits and a
   distribution of classes; what is known about how training goes follows it.
2. Layer by layer, last first, each operator's gradient rule adds what carries the error back and what updates.
3. A layer that is updated in part receives the error of the channels that take part.
4. Where several consumers send errors to one activation, they are added two by two, in the order of 2.
5. Scales of tracked activations follow at the end of the step, when nothing reads them any more, and then the
   tables that depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.builders.gradient import GradientBuilder
from mcugrad.errors import UsageError
from mcugrad.graph import ActivationScale, Graph, Node, Operator, Precision
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.activation_s8 import ActivationS8, RefreshTable
from mcugrad.ops.core.computation import computation
from mcugrad.ops.core.gradients_f32 import ErrorSumF32
from mcugrad.ops.core.gradients_s8 import ErrorSumS8
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.life.life import BeginStep, Watch
from mcugrad.ops.loss.binary_cross_entropy import BinaryCrossEntropy
from mcugrad.ops.loss.regression import RegressionLoss
from mcugrad.ops.loss.soft_cross_entropy import SoftCrossEntropy
from mcugrad.ops.loss.softmax_cross_entropy import SoftmaxCrossEntropy
from mcugrad.ops.selection.select_f32 import SelectWeighedF32
from mcugrad.ops.selection.select_nodes import (
    Counts,
    LossRatio,
    SelectDrawn,
    SelectFixed,
    SelectLargest,
    SelectSamples,
)
from mcugrad.ops.tracking.ranges_s8 import TrackScale
from mcugrad.ops.tracking.step import NextStep
from mcugrad.training.losses import LabelKind, Loss
from mcugrad.training.rules.update import MOST_BATCH
from mcugrad.training.sparse import ONE, Choice, Fate, Sparse, policies, share_of_samples

SUMS: dict[Precision, Callable[..., Node]] = {Precision.INT8: ErrorSumS8, Precision.FLOAT32: ErrorSumF32}
"""What adds two errors."""


def backward(
    graph: Graph, loss: Loss, label_scale: ActivationScale | None = None, sparse: Choice | None = None
) -> Graph:
    """Append the backward pass. A graph in which nothing is trainable comes back as it is.

    Args:
        graph: quantized, with trainable tensors marked.
        loss: what training makes smaller.
        label_scale: quantization of the label, for losses that take values.
        sparse: which channels take part; None for all.

    Raises:
        UsageError: `sparse` does not fit the layers that train.
    """
    if not any(t.trainable for t in graph.tensors.values()):
        return graph
    to = GradientBuilder(graph)
    error = to.error_of(graph.output)
    assert error is not None
    output = graph.producer(graph.output)
    assert isinstance(output, Operator)
    assert output.precision is not None
    outputs: dict[str, Any] = {"logits": output.y, "precision": output.precision}
    to.add(BeginStep(name="begin_step"))
    selection = _selection(graph, sparse)
    has_ratio = any(isinstance(p, Sparse) and p.follows_loss for p in selection.policies.values())
    to.add(_loss_node(loss, output, error, label_scale))
    if loss.label_kind is LabelKind.CLASS:
        to.add(SoftCrossEntropy(name="soft_loss", e=error, has_ratio=has_ratio, **outputs))
    to.add(Watch(name="watch", label_kind=loss.label_kind, **outputs))
    if has_ratio:
        to.add(LossRatio(name="loss_ratio"))
    if (share := share_of_samples(sparse)) < ONE:
        rate = selection.whole / selection.structures if selection.structures else 1.0  # biases alone
        to.add(SelectSamples(name="select_samples", share=share, batch=_batch(graph), whole=rate))
    for node in reversed(graph.nodes):
        assert isinstance(node, Operator)
        error = total_error(to, node)
        if error is not None:
            computation(node).gradient(to, _kept(to, node, error, selection))
    _follow(to, graph)
    to.add(NextStep(name="next_step"))
    return to.finish()


@dataclass(frozen=True)
class _Selection:
    """What is updated in part.

    Attributes:
        policies: by name, of the layers that are.
        structures: channels of all layers that train.
        whole: those that take part in any case.
    """

    policies: Mapping[str, Fate]
    structures: int
    whole: int


def _selection(graph: Graph, sparse: Choice | None) -> _Selection:
    layers: dict[str, NDArray[Any]] = {}
    for node in graph.nodes:
        if isinstance(node, Weighted) and graph[node.w].trainable:
            value = graph[node.w].value
            assert value is not None
            layers[node.name] = value
    found = policies(sparse, layers, _output_layers(graph, graph.output))
    whole = {name: len(value) for name, value in layers.items()}
    whole |= {name: 0 if isinstance(p, Sparse) else len(p) for name, p in found.items()}
    return _Selection(found, sum(map(len, layers.values())), sum(whole.values()))


def _output_layers(graph: Graph, tensor: str) -> list[str]:
    """Names of the layers with weights that no other stands behind on the way to the outputs."""
    found: list[str] = []
    seen, pending = {tensor}, [tensor]
    while pending:
        node = graph.producer(pending.pop())
        if node is None:
            continue
        if isinstance(node, Weighted):
            found.append(node.name)
            continue
        new = [x for x in dict.fromkeys(node.inputs) if x not in seen]
        seen.update(new)
        pending += reversed(new)
    return found


def _kept(to: GradientBuilder, node: Operator, e: str, selection: _Selection) -> str:
    """The error that a layer sends back, of the channels that take part; what it is updated from is noted."""
    layer = node.name
    policy = selection.policies.get(layer)
    if policy is None:
        return e
    precision = node.precision
    assert precision is not None
    is_real = precision is Precision.FLOAT32
    name, channels = f"{layer}_select", to.graph[e].channels
    if not isinstance(policy, Sparse):
        kept = to.kept(e, len(policy), rescaled=False)
        rate = selection.whole / selection.structures
        to.add(SelectFixed(name=name, e=e, kept=kept, channels=policy, share=rate, precision=precision))
        to.updates_from[layer] = kept
        to.fixed.add(layer)
        return e
    first = not any(isinstance(n, SelectLargest | SelectDrawn) for n in to.nodes)
    counts = Counts(selection.structures, selection.whole if first else None)
    kept = to.kept(e, policy.most(channels), rescaled=policy.enlarges)
    what: dict[str, Any] = {"e": e, "layer": layer, "policy": policy, "precision": precision}
    if policy.policy == "topk":
        to.add(SelectLargest(name=name, kept=kept, counts=counts, **what))
        return kept
    if policy.policy == "split":
        handed = to.kept(e, policy.largest(channels), rescaled=False, what="handed")
        to.add(SelectLargest(name=f"{layer}_hand", kept=handed, counts=None, **what))
        to.add(SelectDrawn(name=name, kept=kept, counts=counts, is_scaled=is_real, **what))
        to.updates_from[layer] = kept
        return handed
    to.add(SelectDrawn(name=name, kept=kept, counts=counts, is_scaled=policy.enlarges, **what))
    if policy.policy == "single" and is_real:
        weighed = to.kept(kept, policy.most(channels), rescaled=False, what="weighed")
        to.before_updates[layer] = SelectWeighedF32(name=f"{layer}_weigh", e=kept, weighed=weighed)
        to.updates_from[layer] = weighed
    return kept


def _batch(graph: Graph) -> int:
    """Samples after which every layer has changed. Raises UsageError for more than a batch may have."""
    batches = {t.update.batch for t in graph.tensors.values() if t.trainable and t.update is not None}
    together = lcm(*batches)
    if together > MOST_BATCH:
        raise UsageError(
            f"batches of {' and '.join(map(str, sorted(batches)))} end together after {together:,} samples, which "
            f"would be taken or left out as one; {MOST_BATCH:,} are the most",
            where="sparse",
            hint="batches of which one divides the other, or no share of the samples",
        )
    return together


def enlarged(graph: Graph) -> tuple[int, set[str]]:
    """Of layers whose errors are enlarged by 1 / odds when they are handed down: how many are in a row, and by whom.

    Args:
        graph: with its backward pass.
    """
    chosen = {n.layer: n.policy for n in graph.nodes if isinstance(n, SelectDrawn) and n.policy.enlarges}
    behind: dict[str, int] = {}
    for node in graph.nodes:
        if isinstance(node, Operator):
            before = max((behind.get(tensor, 0) for tensor in node.inputs), default=0)
            behind[node.y] = before + (node.name in chosen)
    return max(behind.values(), default=0), {str(policy.policy) for policy in chosen.values()}


def _follow(to: GradientBuilder, graph: Graph) -> None:
    """Scales first, for tables are made from them; tables in order, for one may depend on another."""
    tables = [n for n in graph.nodes if isinstance(n, Activation) and n.precision is Precision.INT8]
    stepped = {graph[n.x].quant.owner for n in tables}  # type: ignore[union-attr]
    for name, tensor in graph.tensors.items():
        if tensor.tracked and not isinstance(graph.producer(name), Activation):
            to.add(TrackScale(name=f"{name}_track", y=name, steps=name in stepped))
    for node in tables:
        if graph[node.y].tracked:
            to.add(
                RefreshTable(name=f"{node.name}_refresh", forward=ActivationS8(of=node), x=node.x, y=node.y)
            )


def total_error(to: GradientBuilder, node: Operator) -> str | None:
    """The error of what a node computes from all its consumers; None if none sent any."""
    tensor = node.y
    parts = to.parts(tensor)
    if not parts:
        return None
    total = parts[0]
    for count, part in enumerate(parts[1:], 2):
        merged = to.sum_of(tensor, count)
        assert node.precision is not None
        to.add(SUMS[node.precision](name=f"{merged}_sum", a=total, b=part, e=merged))
        total = merged
    return total


def _linear(loss: Loss) -> float:
    """Where a loss on values turns linear."""
    return {"mse": np.inf, "mae": 0.0}.get(loss.name, loss.delta)


def _loss_node(loss: Loss, output: Operator, e: str, label_scale: ActivationScale | None) -> Node:
    """The node of a loss, of what the last operator computes."""
    assert output.precision is not None
    shared: dict[str, Any] = {"name": "loss", "y": output.y, "e": e, "precision": output.precision}
    if loss.name == "cross_entropy":
        return SoftmaxCrossEntropy(**shared, smoothing=loss.label_smoothing, class_weights=loss.class_weights)
    if loss.name == "binary_cross_entropy":
        return BinaryCrossEntropy(**shared)
    assert label_scale is not None
    return RegressionLoss(
        **shared, linear=_linear(loss), label_scale=label_scale.scale, label_zero=label_scale.zero
    )
