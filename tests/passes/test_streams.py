"""Random streams: who draws has numbers of its own, and nothing else in a model changes what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import arithmetic as ar
from mcugrad import pipeline
from mcugrad.graph import Graph, Tensor
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import State, differences
from networks import PARTIAL_NET as NET
from networks import Layer, Pool, model, samples
from thoroughness import turns

NOTHING = Pool((1, 1), (1, 1))
"""An operator that changes no value."""
PADDED = (NOTHING, *NET[:2], NOTHING, NET[2], NOTHING, NOTHING, *NET[3:])

OPTIONS: dict[str, dict[str, Any]] = {
    "in place": {"rule": "sr10"},
    "with planes": {"rule": mg.Update("sr8", momentum=0.9, batch=2, weight_decay=2.0)},
    "enlarged": {"rule": "sr8", "sparse": mg.Sparse(0.5, policy="sampled")},
    "both": {"rule": "sr12", "sparse": mg.Sparse(0.25)},
    "last": {"rule": "sr12", "train": "last:3"},
    "float": {"precision": "float32", "sparse": mg.Sparse(0.5, policy="split")},
}


def compiled(layers: tuple[Layer, ...], options: dict[str, Any]) -> tuple[mg.Trainer, Any, Any]:
    net = model((2, 9, 13), layers)
    x, y = samples(net, 8)
    return mg.compile(net, calibration=x, calibration_method="minmax", **options), x, y


def trained(layers: tuple[Layer, ...], options: dict[str, Any]) -> State:
    """What eight steps leave behind."""
    trainer, x, y = compiled(layers, options)
    runner = ReferenceRunner(trainer.build.compiled)
    order, rates = np.arange(len(x), dtype=np.uint32), np.full(len(x), 0.05, np.float32)
    runner.train(trainer.quantize(x), trainer.labels(y, len(y)), order, rates)
    return runner.state()


@cache
def plain(kind: str) -> tuple[mg.Trainer, State]:
    """The network as it is, and what eight steps leave behind."""
    return compiled(NET, OPTIONS[kind])[0], trained(NET, OPTIONS[kind])


def crowded(graph: Graph) -> Graph:
    """The same graph with tensors that nobody reads, one before and one after all others."""
    before, after = (Tensor(name, (3,), value=np.ones(3, np.float32)) for name in ("before", "after"))
    return replace(graph, tensors={before.name: before, **graph.tensors, after.name: after})


@pytest.mark.parametrize(("kind", "stage"), turns(OPTIONS, ("quantize", "freeze", "backward", "prune")))
def test_a_tensor_more_changes_nothing(kind: str, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a pass after this one had added some."""
    usual = plain(kind)[0].build.compiled
    done: Callable[..., Graph] = getattr(pipeline, stage)
    monkeypatch.setattr(pipeline, stage, lambda *given, **named: crowded(done(*given, **named)))
    found = compiled(NET, OPTIONS[kind])[0].build.compiled
    assert found.program.segments == usual.program.segments
    assert found.fingerprint == usual.fingerprint


@pytest.mark.parametrize("kind", OPTIONS)
def test_an_operator_that_changes_no_value_changes_no_trained_byte(kind: str) -> None:
    trainer, usual = plain(kind)
    padded, start = trained(PADDED, OPTIONS[kind]), ReferenceRunner(trainer.build.compiled).state()
    shared = [name for name in usual if name in padded]
    assert any(name.startswith("conv") for name in shared) or kind == "last"
    assert differences({n: usual[n] for n in shared}, {n: padded[n] for n in shared}) == []
    assert differences(usual, start), "nothing was learned"


DRAWS = {"mcg_apply_update": (ar.STREAM_APPLY, ar.STREAM_KEEP), "mcg_decay_weights": (ar.STREAM_DECAY,)}
"""What kernels that know their purpose add to the number of their layer."""


@pytest.mark.parametrize("kind", OPTIONS)
def test_no_two_draw_from_one_stream(kind: str) -> None:
    program = plain(kind)[0].build.compiled.program
    found: list[int] = []
    for call in program.calls:
        for argument, param in zip(call.arguments, call.kernel.params, strict=True):
            if param.name == "tensor":
                assert argument.value is not None
                found += [argument.value + purpose for purpose in DRAWS.get(call.kernel.name, (0,))]
            elif param.name == "stream":
                assert argument.value == ar.STREAM_SAMPLES
    assert found
    assert len(set(found)) == len(found)
    assert min(found) >= ar.LAYER_STREAMS


def test_streams_without_a_layer_are_apart() -> None:
    """Seeds are 0 wherever nobody chose one: what has one number draws the same."""
    own = [ar.STREAM_SAMPLES, ar.STREAM_PLACE, ar.STREAM_OWN, ar.STREAM_DRAW]
    own += [ar.STREAM_SHIFT, ar.STREAM_LEVELS, ar.STREAM_NOISE]
    assert len(set(own)) == len(own)
    assert max(own) < ar.LAYER_STREAMS
    purposes = [value for name, value in vars(ar).items() if name.startswith("STREAM_")]
    assert max(purposes) < ar.LAYER_STREAMS
