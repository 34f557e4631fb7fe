"""Quantize: give every tensor the form in which it is computed; the precision of its node has been decided before.

1. Activations in int8: with zero point, one scale per tensor, from their range over samples, see calibrate.
2. Weights in int8: symmetric, one scale per output channel.
3. Biases stay real numbers: the device turns them into int32 accumulator units, see docs/arithmetic.md.
4. Pooling and flattening pass the scale of their input on; a tabulated function derives its own from it.
5. What is computed in float32 is stored as it is.

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
from mcugrad.given import demand_finite
from mcugrad.graph import ActivationScale, Graph, Operator
from mcugrad.ops.core.computation import computation
from mcugrad.ops.core.weighted import Weighted
from mcugrad.passes.calibrate import Calibration, Range, activation_ranges


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
    demand_finite(real, what)
    return real


def calibrated(
    graph: Graph, samples: NDArray[Any] | None, calibration: Calibration
) -> dict[str, ActivationScale]:
    """Scales that come from samples, by tensor: those of `without_scale`.

    Args:
        graph: with a precision for each operator, saturating functions clipped.
        samples: calibration inputs, (n, *input shape), real units; not read if the file gives every scale.
        calibration: how to take ranges.

    Raises:
        DataError: samples are needed but missing, empty, constant, not finite or of the wrong shape.
        ModelError: an activation is not finite.
    """
    missing = without_scale(graph)
    if not missing:
        return {}
    ranges = activation_ranges(graph, _calibration_samples(graph, samples, missing), calibration, missing)
    return {tensor: _ranged(tensor, found) for tensor, found in ranges.items()}


def quantize(graph: Graph, scales: Mapping[str, ActivationScale]) -> Graph:
    """Give every tensor its form: int8 with a scale where the node computes in int8, else what its precision says.

    Args:
        graph: with a precision for each operator, saturating functions clipped.
        scales: of all activations that have none from the file and need one; of others, too, which are not looked at.
    """
    if graph[graph.input].quant is None:
        graph = graph.changed(graph.input, quant=scales[graph.input])
    for node in graph.nodes:
        assert isinstance(node, Operator)
        how, given = computation(node), graph[node.y].quant or scales.get(node.y)
        assert isinstance(given, ActivationScale | None)
        graph = graph.changed(node.y, quant=how.form(graph, given))
        if isinstance(node, Weighted):
            graph = graph.changed(node.w, quant=how.weight_form(graph[node.w]))
    return graph


def without_scale(graph: Graph) -> list[str]:
    """Activations whose scale has to come from calibration: int8, the file gives none, and it follows from no other.

    Args:
        graph: with a precision for each operator.
    """
    own = (n.y for n in graph.nodes if isinstance(n, Operator) and computation(n).needs_range)
    return [t for t in (graph.input, *own) if graph[t].quant is None]


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
