"""Stages: what they leave behind is what those after them rely on, and a pass that breaks a rule is found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcugrad import pipeline
from mcugrad.errors import DefectError
from mcugrad.graph import Graph
from mcugrad.graph.spec import IllegalGraphError
from mcugrad.passes import stage
from mcugrad.passes.stage import COMPLETE, FOLDED, NEEDED, QUANTIZED, Stage, through
from mcugrad.plan import Plan
from mcugrad.program import Program
from mcugrad.program.spec import IllegalProgramError
from networks import Conv, Dense, model, trainer

NET = model((1, 8, 8), (Conv(3), Dense(4)))
WAY = (*pipeline.PREPARE, *pipeline.MARK, *pipeline.TRAIN, *pipeline.FINISH)


def test_each_stage_relies_on_what_one_before_it_leaves() -> None:
    """The network as it is loaded is folded; everything else is said by a stage."""
    left = {FOLDED}
    for each in WAY:
        assert left.issuperset(each.requires), each.name
        left.update(each.ensures)
    assert {COMPLETE, NEEDED} <= left


def test_a_float_graph_is_not_frozen() -> None:
    with pytest.raises(
        IllegalGraphError, match=r"before freezing, .*\n  every operator says what it computes in: conv1"
    ):
        through(pipeline.MARK[1:], NET.graph, None)


def test_what_a_stage_does_not_leave_is_named() -> None:
    broken = Stage("nothing", lambda graph, wanted: graph, ensures=(QUANTIZED,))
    with pytest.raises(
        IllegalGraphError, match=r"(?s)after nothing, .*\n  every activation has the form .*: conv1_y"
    ):
        through((broken,), NET.graph, None)


def test_a_pass_that_breaks_a_rule_is_named() -> None:
    def twice(graph: Graph, wanted: Any) -> Graph:
        return graph.with_nodes((*graph.nodes, graph.nodes[-1]))

    with pytest.raises(IllegalGraphError, match="nodes have different names"):
        through((Stage("doubling", twice),), NET.graph, None)


def complete(**options: Any) -> Graph:
    return trainer((1, 8, 8), (Conv(3), Dense(4)), **options).build.graph


def test_an_update_that_is_lost_is_missed() -> None:
    graph = complete()
    assert not list(COMPLETE.broken(graph))
    for lost in (
        node for node in graph.nodes if "conv1_w" in node.inputs and getattr(node, "CHANGES_STATE", False)
    ):
        graph = graph.with_nodes(node for node in graph.nodes if node is not lost)
    assert list(COMPLETE.broken(graph)) == ["conv1_w", "conv1_b"]


def test_what_nothing_needs_is_found() -> None:
    graph = complete(train="last:1")
    assert not list(NEEDED.broken(graph))
    last = graph.nodes[0]
    spare = replace(last, name="spare", y="spare_y")
    assert list(NEEDED.broken(graph.with_nodes((spare, *graph.nodes)))) == ["spare"]


def test_checks_end_with_their_block() -> None:
    assert stage._checks
    with stage.checked():
        pass
    assert stage._checks


def test_what_a_plan_leaves_is_verified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Behind the last stage: no firmware is made from a plan that overlaps, nor from a program that breaks a rule."""
    spent = pipeline.spent

    def overlapping(*given: Any) -> tuple[Program, Plan]:
        program, plan = spent(*given)
        return program, replace(plan, offsets=dict.fromkeys(plan.offsets, 0))

    def idle(*given: Any) -> tuple[Program, Plan]:
        program, plan = spent(*given)
        return replace(program, entries={"train_step": program.entries["train_step"]}), plan

    monkeypatch.chdir(tmp_path)  # there is a file to report
    monkeypatch.setattr(pipeline, "spent", overlapping)
    with pytest.raises(DefectError, match="has overwritten a part of it"):
        complete()
    monkeypatch.setattr(pipeline, "spent", idle)
    with pytest.raises(IllegalProgramError, match="there is a prediction"):
        complete()
