"""The passes from a folded network to one with forms, as the pipeline runs them, and its reference."""

from __future__ import annotations

from typing import Any

from mcugrad.emit import Origin
from mcugrad.graph import Graph
from mcugrad.graph.spec import check
from mcugrad.passes.assign_precision import Wanted, assign_precision
from mcugrad.passes.calibrate import Calibration
from mcugrad.passes.clip_saturating import clip_saturating
from mcugrad.passes.freeze import Train
from mcugrad.passes.lower import lower
from mcugrad.passes.quantize import calibrated, quantize
from mcugrad.plan import best_plan
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Compiled


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


def reference(graph: Graph) -> ReferenceRunner:
    """What a network does whose file gives all scales; nothing in it is frozen or learns."""
    program = lower(check(quantized(graph, None)), seed=0, rate=0.01)
    nowhere = Origin("", "", "", "", (), graph[graph.input].shape, 1.0, 0, 1.0, 0)  # only text says more
    return ReferenceRunner(Compiled(program, best_plan(program), nowhere))
