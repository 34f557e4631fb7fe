"""Quantize: give every tensor the int8 form in which it is computed.

1. Activations: int8 with zero point, one scale per tensor, from their range over samples, see calibrate.
2. Weights: int8, symmetric, one scale per output channel.
3. Biases stay real numbers: the device turns them into int32 accumulator units, see docs/arithmetic.md.
4. Pooling and flattening pass the scale of their input on; a tabulated function derives its own from it.

Scales that come with the file stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import layouts
from mcugrad.errors import DataError
from mcugrad.graph import ActivationScale, Graph, Operator, WeightScale
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.core.activated import Activated
from mcugrad.ops.core.weighted import Weighted
from mcugrad.passes.calibrate import Calibration, Range, activation_ranges
from mcugrad.passes.clip_saturating import clip_saturating


def check_samples(graph: Graph, samples: NDArray[Any], what: str) -> NDArray[np.float32]:
    """Samples as float32, (n, *input shape). Raises DataError for wrong shapes or types, none at all, or NaN."""
    try:
        array = np.asarray(samples)
    except ValueError:
        raise DataError(
            f"{what} holds samples of different shapes", where=what, hint="one array of equal samples"
        ) from None
    expected = graph[graph.input].shape
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{what} has dtype {array.dtype}, not numbers", where=what, hint="an array of real numbers"
        )
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"{what} is empty", where=what, hint="a few hundred typical inputs")
    array = layouts.arranged(array, expected)
    if array.shape[1:] != expected:
        raise DataError(
            f"{what} has shape {array.shape}; the model takes (n, {', '.join(map(str, expected))})",
            where=what,
            hint=layouts.hint(array.shape, expected, what),
        )
    with np.errstate(over="ignore"):
        real = array.astype(np.float32)
    if not np.isfinite(real).all():
        bad = int((~np.isfinite(real)).sum())
        raise DataError(
            f"{what} holds {bad} values that are NaN or infinite", where=what, hint="clean the samples"
        )
    return real


def quantize(
    graph: Graph,
    samples: NDArray[Any] | None,
    calibration: Calibration,
    known: Mapping[str, ActivationScale] | None = None,
) -> Graph:
    """Attach scales to every tensor that has none from the file.

    Args:
        graph: folded float graph.
        samples: calibration inputs, (n, *input shape), real units; not read if the file gives every scale.
        calibration: how to take ranges.
        known: scales that calibration gave before, of all activations whose scale comes from it, instead of samples.

    Raises:
        DataError: samples are needed but missing, empty, constant, not finite or of the wrong shape.
        ModelError: an activation is not finite.
    """
    missing = without_scale(graph)
    if known is None:
        real = _calibration_samples(graph, samples, missing) if missing else None
        graph = clip_saturating(graph)
        ranges = {} if real is None else activation_ranges(graph, real, calibration, missing)
        known = {tensor: _ranged(tensor, found) for tensor, found in ranges.items()}
    else:
        graph = clip_saturating(graph)
    if graph.input in missing:
        graph = graph.changed(graph.input, quant=known[graph.input])
    for node in graph.nodes:
        assert isinstance(node, Operator)
        if node.passes_scale:
            graph = graph.changed(node.y, quant=graph[node.inputs[0]].quant)
        elif isinstance(node, Activation):
            graph = graph.changed(node.y, quant=node.follow(graph))
        else:
            given = known[node.y] if node.y in missing else graph[node.y].quant
            assert isinstance(given, ActivationScale)
            graph = graph.changed(node.y, quant=_own_scale(node, given))
        if isinstance(node, Weighted) and graph[node.w].quant is None:
            weights = graph[node.w].value
            assert weights is not None
            graph = graph.changed(node.w, quant=WeightScale(channel_scales(weights)))
    return graph


def quantize_input(
    graph: Graph,
    samples: NDArray[Any] | None,
    calibration: Calibration,
    known: Mapping[str, ActivationScale] | None = None,
) -> Graph:
    """The same for a network whose operators all compute in float32: only what comes in is int8.

    Raises:
        DataError: samples are needed but missing, empty, constant, not finite or of the wrong shape.
        ModelError: an activation is not finite.
    """
    missing = without_scale(graph, whole=True)
    if not missing:
        return graph
    if known is None:
        ranges = activation_ranges(graph, _calibration_samples(graph, samples, missing), calibration, missing)
        known = {tensor: _ranged(tensor, found) for tensor, found in ranges.items()}
    return graph.changed(graph.input, quant=known[graph.input])


def without_scale(graph: Graph, *, whole: bool = False) -> list[str]:
    """Activations whose scale has to come from calibration: the file gives none, and it follows from no other.

    Args:
        graph: folded float graph.
        whole: whether every operator is to compute in float32, so that the input alone has one.
    """
    own = (
        n.y
        for n in graph.nodes
        if isinstance(n, Operator) and not n.passes_scale and not isinstance(n, Activation)
    )
    return [t for t in (graph.input, *([] if whole else own)) if graph[t].quant is None]


def _calibration_samples(
    graph: Graph, samples: NDArray[Any] | None, missing: list[str]
) -> NDArray[np.float32]:
    if samples is None:
        what = "an activation has" if len(missing) == 1 else f"{len(missing)} activations have"
        raise DataError(
            f"{what} no scale in the file, and there are no calibration samples",
            where=", ".join(missing),
            hint="calibration= a few hundred typical inputs",
        )
    real = check_samples(graph, samples, "calibration")
    if float(real.min()) == float(real.max()):
        raise DataError(
            f"calibration is constant: all {real.size} values are {float(real.flat[0]):g}",
            where="calibration",
            hint="a few hundred typical inputs",
        )
    return real


def _ranged(owner: str, found: Range) -> ActivationScale:
    return replace(affine(owner, found.low, found.high), whole=affine(owner, *found.whole).span)


def _own_scale(node: Operator, quant: ActivationScale) -> ActivationScale:
    if isinstance(node, Activated):
        quant = replace(quant, owner=node.y, low=node.low, high=node.high)
    return quant


def affine(owner: str, low: float, high: float) -> ActivationScale:
    """Scale and zero point for a range; zero is always representable."""
    scale, zero = affine_codes(low, high)
    return ActivationScale(scale=scale, zero=zero, owner=owner)


def affine_codes(low: float, high: float) -> tuple[float, int]:
    """Scale, a float32, and zero point of int8 codes for a range, to which 0 is added."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / 255)
    if scale < np.float32(1e-30):
        scale = np.float32(1.0)  # never active on any sample: any scale will do
    return float(scale), int(np.clip(np.floor(-128 - low / float(scale) + 0.5), -128, 127))


def symmetric(quant: ActivationScale, never_negative: bool = False) -> ActivationScale:
    """All that was seen, with the fixed zero point that a tracked scale needs: -128 above a bound of zero, else 0."""
    low, high = quant.whole or quant.span
    if quant.low == 0.0 or never_negative:
        return replace(quant, scale=float(np.float32(high / 255)), zero=-128)
    return replace(quant, scale=float(np.float32(max(-low, high) / 127)), zero=0)


def channel_scales(weights: NDArray[Any]) -> NDArray[np.float32]:
    """Largest magnitude of each output channel over 127; all-zero channels get the largest of the others."""
    peak = np.abs(weights.reshape(len(weights), -1)).max(axis=1).astype(np.float32)
    fallback = peak.max() if peak.max() > 0 else np.float32(1)
    scales: NDArray[np.float32] = np.maximum(
        np.where(peak > 0, peak, fallback) / np.float32(127), np.float32(1e-20)
    )
    return scales
