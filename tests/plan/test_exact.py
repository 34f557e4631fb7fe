"""Plans by a solver: right, no larger than greedy ones, and as small as can be where it says so."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import accumulate, combinations, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plan import program, programs_of_segments
from test_sharing import programs

import mcugrad as mg
from mcugrad.errors import UsageError
from mcugrad.pipeline import lowered
from mcugrad.plan import Least, Plan, aligned, best_plan, bound, exact_plan, planned, verify
from mcugrad.plan.exact import place_exactly
from mcugrad.plan.lifetimes import lifetimes
from mcugrad.plan.sharing import sharing
from mcugrad.program import Buffer, Program, Space
from mcugrad.run.reference import ReferenceRunner
from mcugrad.trainer import Trainer
from mcugrad.zoo import nets
from networks import Dense, model, samples
from thoroughness import LONG

TIGHT = [40, 28, 24, 32, 36, 24], [[0, 2, 3], [3], [1, 2], [0, 1, 4]], 4, 0, []
"""A program of `test_plan`, for which the usual orders take 128 B, and another 104."""
needs_solver = pytest.mark.skipif(find_spec("ortools") is None, reason="pip install 'mcugrad[plan]'")


def shrunk(found: Program, words: int) -> Program:
    """The same program over buffers of a few words, so that all places can be tried."""
    sizes = {name: 4 * (1 + buffer.size % words) for name, buffer in found.buffers.items()}
    buffers = {name: Buffer(name, "int8_t", (size,), Space.ARENA) for name, size in sizes.items()}
    return replace(found, buffers=buffers)


def fits(found: Program, size: int) -> bool:
    """Whether any places within so many bytes will do, by trying all of them."""
    lives = lifetimes(found)
    pairs = sharing(found, lives)
    leads = {(new, each.old): each.lead for new, shares in pairs.items() for each in shares}

    def apart(offsets: dict[str, int]) -> bool:
        for one, other in combinations(lives, 2):
            if one.first > other.last or other.first > one.last:
                continue
            a, b = offsets[one.name], offsets[other.name]
            if a + aligned(one.size) <= b or b + aligned(other.size) <= a:
                continue
            over = leads.get((one.name, other.name)), leads.get((other.name, one.name))
            if not (over[0] == b - a and over[0] is not None) and not (
                over[1] == a - b and over[1] is not None
            ):
                return False
        return True

    ways = [range(0, size - aligned(life.size) + 1, 4) for life in lives]
    names = [life.name for life in lives]
    return any(apart(dict(zip(names, places, strict=True))) for places in product(*ways))


def from_the_worst(found: Program) -> tuple[Plan, bool]:
    """What the solver makes of a plan in which nothing shares a byte, and whether that is proven."""
    lives = lifetimes(found)
    pairs = sharing(found, lives)
    ends = [*accumulate((aligned(life.size) for life in lives), initial=0)]
    stacked = dict(zip((life.name for life in lives), ends, strict=False))
    offsets, proven = place_exactly(lives, pairs, stacked, ends[-1], bound(found))
    return Plan(offsets, max(offsets[life.name] + aligned(life.size) for life in lives), ()), proven


@needs_solver
@given(st.one_of(programs(), programs_of_segments()))
@settings(deadline=None, max_examples=60 if LONG else 30)
def test_plans_are_right_and_no_larger_than_greedy_ones(any_program: Program) -> None:
    plan, proven = from_the_worst(any_program)
    verify(any_program, plan)
    assert proven
    assert bound(any_program) <= plan.size <= best_plan(any_program).size
    again, _ = from_the_worst(any_program)
    assert (again.offsets, again.size) == (plan.offsets, plan.size)


@needs_solver
@given(st.one_of(programs(), programs_of_segments()))
@settings(deadline=None, max_examples=60)
def test_none_of_all_plans_is_smaller_where_it_says_so(any_program: Program) -> None:
    small = shrunk(any_program, 3)
    if len(small.buffers) > 5:
        return
    plan, proven = from_the_worst(small)
    verify(small, plan)
    assert proven
    assert not fits(small, plan.size - 4)


@needs_solver
def test_what_greedy_plans_miss_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcugrad.plan.plan.TRIES", 0)
    tight = program(*TIGHT)
    plan = exact_plan(tight, best_plan(tight))
    verify(tight, plan)
    assert (best_plan(tight).size, plan.size) == (128, 104)
    assert plan.least == Least(104, 104, True)


@needs_solver
def test_a_gap_that_no_plan_can_close_is_proven() -> None:
    """At no call more than 24 B are needed, and there is no plan of 24 B: sizes, first and last calls of buffers."""
    lives = [
        (8, 2, 3),
        (8, 4, 4),
        (12, 5, 7),
        (8, 2, 5),
        (4, 3, 5),
        (8, 1, 2),
        (12, 7, 7),
        (8, 6, 6),
        (4, 1, 1),
    ]
    lives += [(8, 0, 0), (12, 0, 1)]
    calls = [[i for i, (_, first, last) in enumerate(lives) if first <= t <= last] for t in range(8)]
    found = program([size for size, _, _ in lives], calls, len(calls), calls[-1][0], [])
    plan = exact_plan(found, best_plan(found))
    verify(found, plan)
    assert plan.least == Least(28, 24, True)
    assert plan.least.text == "28 B at the least, 17 % above what is needed at once; proven least"
    assert best_plan(found).least == Least(best_plan(found).size, 24, False)


@needs_solver
def test_lenet_takes_less_and_learns_the_same(tmp_path: Path) -> None:
    """All layers training, maps whole, a greedy plan takes 0.5 % more than is needed at once, an exact one nothing."""
    net = mg.load(nets.write("lenet", tmp_path / "lenet.onnx"))
    x, y = samples(net, 4)
    trainer = mg.compile(net, calibration=x, rule="sr8", prefer="ram", plan="exact")
    compiled = trainer.build.compiled
    program, greedy = planned(lowered(trainer.build.graph, trainer.options))[-1]
    exact = exact_plan(program, greedy)
    verify(program, exact)
    assert exact.least == Least(bound(program), bound(program), True)
    assert exact.size < greedy.size
    runners = [ReferenceRunner(each) for each in (compiled, replace(compiled, program=program, plan=exact))]
    for sample, label in zip(trainer.quantize(x[:1]), trainer.labels(y[:1], 1), strict=True):
        told = [runner.step(sample, label).tobytes() for runner in runners]
        assert told[0] == told[1]
    states = [runner.read(0, compiled.layout.arena_offset).tobytes() for runner in runners]
    assert states[0] == states[1]
    trainer.save(tmp_path / "lenet.mcgstate")
    again = Trainer.load(tmp_path / "lenet.mcgstate")
    assert again.build.compiled.plan.offsets == compiled.plan.offsets


def test_without_the_solver_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ortools", "ortools.sat", "ortools.sat.python"):
        monkeypatch.setitem(sys.modules, name, None)
    tight = program(*TIGHT)
    with pytest.raises(UsageError, match=r"plan='exact' needs the solver CP-SAT.*\n.*\n.*mcugrad\[plan\]"):
        planned(tight, "exact")
    assert planned(tight)[0][1].least == Least(104, 104, True)


def test_there_are_two_ways_to_plan() -> None:
    net = model((4,), (Dense(2),), name="tiny")
    with pytest.raises(UsageError, match="plan='best' is no way to look for places"):
        mg.compile(net, calibration=samples(net, 4)[0], plan="best")  # type: ignore[arg-type]


def test_how_near_a_plan_is_to_the_least() -> None:
    assert Least(1005, 1000, False).text == "1,005 B at the least, 0.5 % above what is needed at once"
    assert Least(1000, 1000, True).text == "1,000 B at the least, all of it needed at once"
