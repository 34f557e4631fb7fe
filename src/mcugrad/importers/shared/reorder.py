"""Vectors that become maps with channels first: the layer that computes them puts its outputs in our order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mcugrad.graph import Operator, Shape, WeightScale
from mcugrad.importers.shared.flow import Flow, GraphBuilder
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.activation.prelu import PRelu
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.movement.reshape import Reshape
from mcugrad.ops.normalization.batch_norm import BatchNorm


def reordered(
    to: GraphBuilder, x: Flow, old: NDArray[np.int64], shape: Shape, new: NDArray[np.int64]
) -> bool:
    """Change the order in which a map lies in memory, where nothing else can notice.

    Args:
        to: holds the layers.
        x: the map.
        old: where the file has each of its elements.
        shape: that it is to have.
        new: where the file is then to have each element.

    Returns:
        Whether it was possible: a fully connected layer computes it, and only what acts on each element, and a
        Reshape, is in between.
    """
    constants: list[str] = []
    shaped: list[str] = []
    reshapes = 0
    tensor = x.tensor
    while True:
        node = next((n for n in to.nodes if n.y == tensor), None)
        if node is None or not to.read_once(tensor):
            return False
        is_map = len(to.tensors[tensor].shape) == 3
        if is_map and not reshapes:
            shaped.append(tensor)
        reshapes += isinstance(node, Reshape)
        if isinstance(node, Linear):
            constants += [node.w, node.b]
            break
        if isinstance(node, BatchNorm) and not is_map:
            constants += [node.gamma, node.beta, node.mean, node.variance]
        elif not _keeps_places(node):
            return False
        tensor = node.inputs[0]
    _permute(to, constants, np.argsort(old)[new])
    for name in shaped:
        to.tensors[name] = replace(to.tensors[name], shape=shape)
    to.nodes[:] = [replace(n, to=shape) if isinstance(n, Reshape) and n.y in shaped else n for n in to.nodes]
    return True


def _keeps_places(node: Operator) -> bool:
    """Whether a node does the same to each element, wherever it lies, or only changes the shape."""
    return isinstance(node, Activation | Clip | Reshape) or (isinstance(node, PRelu) and len(node.slope) == 1)


def _permute(to: GraphBuilder, constants: list[str], rows: NDArray[np.int64]) -> None:
    for name in constants:
        t = to.tensors[name]
        assert t.value is not None
        quant = t.quant
        if isinstance(quant, WeightScale):
            quant = WeightScale(quant.scales[rows])
        to.tensors[name] = replace(t, value=np.ascontiguousarray(t.value[rows]), quant=quant)
