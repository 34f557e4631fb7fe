"""The passes from a folded network to one with forms, as the pipeline runs them."""

from __future__ import annotations

from typing import Any

from mcugrad.graph import Graph
from mcugrad.passes.assign_precision import Wanted, assign_precision
from mcugrad.passes.calibrate import Calibration
from mcugrad.passes.clip_saturating import clip_saturating
from mcugrad.passes.freeze import Train
from mcugrad.passes.quantize import calibrated, quantize


def quantized(
    graph: Graph,
    samples: Any,
    calibration: Calibration = Calibration(),  # noqa: B008  (frozen)
    precision: Wanted = "int8",
    train: Train = "all",
) -> Graph:
    """The graph with scales; `samples` may be None where the file gives all of them."""
    prepared = clip_saturating(assign_precision(graph, precision, train))
    return quantize(prepared, calibrated(prepared, samples, calibration))
