"""Layers that are one in the file, used several times: what is said where they learn, each by itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mcugrad.graph import Graph
from mcugrad.ops.core.weighted import Weighted

LISTED = 6
"""Layers that are named one by one."""


def drifting(layers: Sequence[Weighted], graph: Graph, *, weights: bool) -> list[str]:
    """Says of layers with the same weights in the file that they do not stay alike, where one of them trains.

    Args:
        layers: of the network, first to last.
        graph: with what trains marked.
        weights: whether weights train, not only biases.
    """
    sizes = {n.name: graph[n.w].size for n in layers}
    trained = {n.name for n in layers if graph[n.b].trainable}
    return [_said(names, sizes, trained, weights) for names in graph.alike if trained.intersection(names)]


def _said(names: Sequence[str], sizes: dict[str, int], trained: Collection[str], weights: bool) -> str:
    moving = [name for name in names if name in trained]
    still = [name for name in names if name not in trained]
    who = _joined(moving) if still else "each"
    verb = "each train" if still and len(moving) > 1 else "trains"
    own = "a copy of its own" if weights else "a bias of its own"
    rest = (
        f", and {_joined(still)} {'stay as they are' if len(still) > 1 else 'stays as it is'}"
        if still
        else ""
    )
    return (
        f"{_joined(names)} have the same {sizes[names[0]]:,} weights in the file, as one layer that is used "
        f"{len(names)} times has; here {who} {verb} {own}{rest}, so that they drift apart; "
        f"{_remedy(names, list(sizes))}"
    )


def _remedy(names: Sequence[str], layers: Sequence[str]) -> str:
    behind = len(layers) - 1 - max(map(layers.index, names))
    others = [name for name in layers if name not in names]
    if not others:
        return "there is no other layer that could train"
    return f"to keep them alike, leave them frozen: train={f'last:{behind}' if behind else others!r}"


def _joined(names: Sequence[str]) -> str:
    if len(names) > LISTED:
        return f"{', '.join(names[:LISTED])} and {len(names) - LISTED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
