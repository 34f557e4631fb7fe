"""Freeze: mark what trains. Everything else stays as it was delivered, in flash.

Layers in int8 learn by an update rule, and scales behind them follow; layers in float32 have neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcugrad.errors import UsageError
from mcugrad.graph import ActivationScale, Graph, Operator, Precision, WeightScale
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.activation_s8 import ActivationS8
from mcugrad.ops.core.weighted import Weighted
from mcugrad.passes.quantize import affine_codes, symmetric
from mcugrad.training.rules import Updates

Train = str | Sequence[str]
"""`all`, `none`, `last:N`, `bias`, or names of layers."""


def freeze(graph: Graph, train: Train, updates: Updates) -> Graph:
    """Mark weights and biases as trainable, and let scales from the first trained layer on follow their range.

    Raises:
        UsageError: `train` names nothing, an unknown layer, or more layers than there are; an update of no layer.
    """
    layers = [n for n in graph.nodes if isinstance(n, Weighted)]
    updates.check_names(n.name for n in layers)
    chosen = {n.name for n in select(layers, train)}
    for layer in layers:
        if layer.name in chosen:
            update = updates.of(layer.name) if layer.precision is Precision.INT8 else None
            graph = graph.changed(layer.b, trainable=True, update=update)
            if train != "bias":
                graph = graph.changed(layer.w, trainable=True, update=update)
                if update is not None and update.rule == "standardized":
                    graph = graph.changed(layer.w, quant=_one_range(graph, layer.w))
    return _track(graph, chosen)


def select(layers: Sequence[Weighted], train: Train) -> Sequence[Weighted]:
    """The layers that `train` names."""
    names = [n.name for n in layers]
    known = ", ".join(names)
    if not isinstance(train, str):
        try:
            wanted = list(train)
        except TypeError:
            raise UsageError(
                f"train={train!r} is neither a text nor a list of layers",
                where="train",
                hint=f"all, last:N, bias, none, or names of layers: {known}",
            ) from None
        unknown = [w for w in wanted if w not in names]
        if not wanted or unknown:
            what = (
                f"train= names no layer of this model: {', '.join(map(repr, unknown))}"
                if unknown
                else "train=[] leaves nothing to train"
            )
            raise UsageError(what, where="train", hint=f"layers with weights are {known}")
        return [n for n in layers if n.name in wanted]
    if not layers and train != "none":
        raise UsageError("the model has no layer with weights, so there is nothing to train", where="train")
    if train == "none":
        return []
    if train in ("all", "bias"):
        return layers
    kind, _, count = train.partition(":")
    if kind == "last" and count.isdecimal() and 1 <= int(count) <= len(layers):
        return layers[-int(count) :]
    if kind == "last":
        raise UsageError(
            f"train={train!r}: N must be from 1 to {len(layers)}, the number of layers with weights",
            where="train",
            hint=f"last:{len(layers)} or all; layers are {known}",
        )
    if all(part in names for part in train.split(",")):
        return [n for n in layers if n.name in train.split(",")]
    raise UsageError(
        f"train={train!r} names nothing in this model",
        where="train",
        hint=f"all, last:N, bias, none, or names of layers: {known}",
    )


def _one_range(graph: Graph, weights: str) -> WeightScale:
    """One affine range, that of all channels together."""
    value = graph[weights].value
    assert value is not None
    scale, zero = affine_codes(float(value.min()), float(value.max()))
    return WeightScale(np.full(len(value), scale, np.float32), zero)


def _track(graph: Graph, trained: set[str]) -> Graph:
    moving: set[str] = set()
    for node in graph.nodes:
        assert isinstance(node, Operator)
        y = node.y
        if node.name not in trained and not moving.intersection(node.inputs):
            continue
        moving.add(y)
        if node.precision is not Precision.INT8:
            continue
        quant = graph[node.inputs[0] if node.passes_scale else y].quant
        assert isinstance(quant, ActivationScale)
        if node.passes_scale:
            graph = graph.changed(y, quant=node.passed(quant))
        elif isinstance(node, Activation):
            graph = graph.changed(y, quant=ActivationS8(of=node).follow(graph, tracked=True), tracked=True)
        else:
            never_negative = node.keeps_sign and all(_starts_at_zero(graph, t) for t in node.inputs)
            graph = graph.changed(y, quant=symmetric(quant, never_negative), tracked=True)
    return graph


def _starts_at_zero(graph: Graph, tensor: str) -> bool:
    """Whether an activation has no code for a negative number."""
    quant = graph[tensor].quant
    return isinstance(quant, ActivationScale) and quant.zero == -128
