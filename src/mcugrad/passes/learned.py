"""Learned: what a graph that trained says of itself when it only infers: nothing trains, and scales are those learned.

It is not lowered in this form. A layer that trains is computed in another order than one that never did, so what
trained is lowered as such, with what it learned as constants: then its outputs stay the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from mcugrad.graph import ActivationScale, Graph, Tensor, WeightScale


def learned(graph: Graph, state: Mapping[str, NDArray[Any]]) -> Graph:
    """The graph of a model for inference only.

    Args:
        graph: with trainable tensors marked, without its backward pass.
        state: learned arrays by buffer name.
    """
    return graph.with_tensors(*(_settled(t, state) for t in graph.tensors.values()))


def _settled(tensor: Tensor, state: Mapping[str, NDArray[Any]]) -> Tensor:
    quant = tensor.quant
    if isinstance(quant, ActivationScale) and (scale := state.get(f"{quant.owner}_scale")) is not None:
        quant = replace(quant, scale=float(scale[0]))
    if isinstance(quant, WeightScale) and (scales := state.get(f"{tensor.name}_scale")) is not None:
        zero = state.get(f"{tensor.name}_zero")
        quant = WeightScale(scales, None if zero is None else int(zero[0]))
    return replace(tensor, quant=quant, trainable=False, update=None, tracked=False)
