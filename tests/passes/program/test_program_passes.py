"""Passes over programs: what they change, what they leave, and that real networks come out as they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mcugrad import pipeline
from mcugrad.emit.fingerprint import fingerprint
from mcugrad.passes.program.drop_unused import drop_unused
from mcugrad.passes.program.fold_constants import fold_constants
from mcugrad.passes.program.properties import APART, SETTLED, USED
from mcugrad.passes.program.split_frozen import split_frozen
from mcugrad.passes.stage import Property, Stage, through
from mcugrad.program import Argument, Buffer, Call, Entry, Kernel, Program, Segment, Space
from mcugrad.program.execute import run
from mcugrad.program.spec import IllegalProgramError
from networks import Conv, Dense, Pool, trainer
from programs import program_of


def argmax(count: int, x: NDArray[Any], index: NDArray[Any]) -> None:
    index[0] = x[:count].argmax()


def count_up(step: NDArray[Any]) -> None:
    step[0] += 1


ARGMAX, COUNT = Kernel("mcg_argmax_s8", argmax), Kernel("mcg_next_step", count_up)


def best(x: str, index: str) -> Call:
    """The index of the largest of three."""
    return Call(ARGMAX, (Argument(value=3), Argument(x), Argument(index)), f"best_of_{x}")


def counting(step: str) -> Call:
    return Call(COUNT, (Argument(step),), f"count_{step}")


TABLE = Buffer("table", "int8_t", (3,), Space.CONST, np.asarray([1, 7, 3], np.int8))
SAMPLE = Buffer("x", "int8_t", (3,), Space.ARGUMENT)
STEP = Buffer("step", "uint32_t", (1,), Space.STATE, np.zeros(1, np.uint32))
LEARNED = Buffer("w", "int8_t", (3,), Space.STATE, np.asarray([9, 1, 1], np.int8))


def index(name: str) -> Buffer:
    return Buffer(name, "uint32_t", (1,), Space.ARENA)


def names(segment: Segment) -> list[str]:
    return [call.node for call in segment.calls]


# -- folding constants ---------------------------------------------------------------------------------------------


def folding(*calls: Call, later: tuple[Call, ...] = ()) -> Program:
    """A prediction of these calls, and a step with others behind it."""
    return program_of(
        *(TABLE, SAMPLE, STEP, LEARNED, index("a"), index("b"), index("y")),
        segments={"forward": Segment(calls), "rest": Segment(later)},
        entries={"predict": Entry(("forward",), ("y",)), "train_step": Entry(("forward", "rest"), ())},
        output="y",
    )


def test_a_call_of_constants_becomes_a_constant() -> None:
    found = fold_constants(folding(best("table", "a"), best("x", "y")))
    assert names(found.segments["forward"]) == ["best_of_x"]
    a = found.buffers["a"]
    assert (a.space, a.value is not None and a.value.tolist()) == (Space.CONST, [1])


def test_what_depends_on_a_folded_call_is_folded_as_well_in_any_segment() -> None:
    """The second table is computed in the first segment, and read in the second."""
    made = Buffer("made", "int8_t", (3,), Space.ARENA)
    copy = Kernel("mcg_argmax_s8", lambda count, x, y: y.__setitem__(slice(None), x[::-1]))
    first = Call(copy, (Argument(value=3), Argument("table"), Argument("made")), "copy")
    program = folding(first, best("x", "y"), later=(best("made", "b"),))
    found = fold_constants(replace(program, buffers={**program.buffers, "made": made}))
    assert [names(s) for s in found.segments.values()] == [["best_of_x"], []]
    assert found.buffers["b"].value is not None
    assert found.buffers["b"].value.tolist() == [1]


@pytest.mark.parametrize(
    ("calls", "later"),
    [
        ((best("x", "y"),), ()),
        ((best("w", "y"),), ()),
        ((counting("step"),), ()),
        ((best("table", "step"),), ()),
        ((best("table", "a"), counting("a")), ()),
        ((best("table", "a"),), (best("x", "a"),)),
    ],
)
def test_what_is_not_constant_stays(calls: tuple[Call, ...], later: tuple[Call, ...]) -> None:
    """The sample, what is learned, what counts; what somebody else writes as well, here or in another segment."""
    program = folding(*calls, later=later)
    found = fold_constants(program)
    assert found.segments == program.segments
    assert dict(found.buffers) == dict(program.buffers)


def test_sizes_alone_are_not_computed() -> None:
    found = fold_constants(folding(best("table", "a"), best("x", "y")), sizes_only=True)
    assert names(found.segments["forward"]) == ["best_of_x"]
    value = found.buffers["a"].value
    assert value is not None
    assert value.tolist() == [0]


# -- dropping what is not used ----------------------------------------------------------------------------------------


def test_what_nothing_touches_goes() -> None:
    program = folding(best("x", "y"), later=(counting("step"),))
    found = drop_unused(replace(program, output_scale="w"))
    assert list(found.buffers) == ["x", "step", "w", "y"]


def test_what_decides_and_what_is_read_stays() -> None:
    program = folding(best("x", "y"), later=(counting("step"),))
    program = replace(
        program,
        segments={**program.segments, "rest": replace(program.segments["rest"], when="a")},
        entries={**program.entries, "train_step": Entry(("forward", "rest"), ("b",))},
    )
    assert list(drop_unused(program).buffers) == ["x", "step", "a", "b", "y"]


# -- splitting frozen calls off ---------------------------------------------------------------------------------------


def test_calls_up_to_the_first_learned_one_are_apart() -> None:
    found = split_frozen(folding(best("x", "a"), best("table", "b"), best("w", "y"), best("x", "a")))
    assert {n: names(s) for n, s in found.segments.items()} == {
        "frozen": ["best_of_x", "best_of_table"],
        "forward": ["best_of_w", "best_of_x"],
    }
    assert found.entries["predict"].segments == found.entries["train_step"].segments == ("frozen", "forward")
    assert [b.name for b in found.left_by("frozen")] == ["a"]


def test_nothing_is_apart_where_all_learns_or_nothing_does() -> None:
    learns = folding(best("w", "a"), best("x", "y"))
    assert split_frozen(learns) is learns
    infers = folding(best("x", "y"))
    infers = replace(infers, entries={"predict": infers.entries["predict"]})
    assert split_frozen(infers) is infers


def test_a_forward_pass_that_is_all_frozen_is_no_empty_segment() -> None:
    found = split_frozen(folding(best("x", "y"), later=(counting("step"),)))
    assert list(found.segments) == ["frozen", "rest"]
    assert found.entries["train_step"].segments == ("frozen", "rest")


# -- running ---------------------------------------------------------------------------------------------------------


def test_a_segment_runs_only_where_its_condition_holds() -> None:
    program = folding(best("x", "a"), later=(counting("step"),))
    segments = {**program.segments, "rest": replace(program.segments["rest"], when="a")}
    program = replace(program, segments=segments)
    values: dict[str, Any] = {name: np.zeros(b.count, b.dtype) for name, b in program.buffers.items()}
    for sample, steps in (([5, 1, 1], 0), ([1, 5, 1], 1), ([5, 1, 1], 1), ([1, 1, 5], 2)):
        values["x"] = np.asarray(sample, np.int8)
        run(program, "predict", values)
        assert values["step"][0] <= steps
        run(program, "train_step", values)
        assert values["step"][0] == steps


# -- stages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("train", ["all", "last:1", "none"])
def test_a_network_comes_out_as_the_stages_say(train: str) -> None:
    program = trainer((1, 8, 8), (Conv(3), Pool(), Dense(4)), train=train).build.compiled.program
    for each in (SETTLED, USED, APART):
        assert list(each.broken(program)) == []
    assert ("frozen" in program.segments) == (train == "last:1")


def test_each_stage_relies_on_what_one_before_it_leaves() -> None:
    left: set[Property[Program]] = set()
    for each in pipeline.PROGRAM:
        assert left.issuperset(each.requires), each.name
        left.update(each.ensures)
    assert left == {SETTLED, USED, APART}


@pytest.mark.parametrize(
    ("property_", "program", "where"),
    [
        (SETTLED, folding(best("table", "a"), best("x", "y")), "mcg_argmax_s8 of best_of_table"),
        (USED, folding(best("x", "y"), best("w", "a"), best("table", "b")), "step"),
        (APART, folding(best("x", "y")), "mcg_argmax_s8 of best_of_x"),
    ],
)
def test_what_a_stage_does_not_leave_is_named(
    property_: Property[Program], program: Program, where: str
) -> None:
    assert list(property_.broken(program)) == [where]
    nothing = Stage[Program]("nothing", lambda form, _: form, ensures=(property_,))
    with pytest.raises(IllegalProgramError):
        through((nothing,), program, None)


# -- the fingerprint -------------------------------------------------------------------------------------------------


def test_a_state_fits_however_the_calls_are_divided() -> None:
    """The same calls in fewer segments are the same model; where one is left out at times, it is another."""
    compiled = trainer((1, 8, 8), (Conv(3), Dense(4)), train="last:1").build.compiled
    program, place = compiled.program, compiled.layout
    frozen, forward = (program.segments[name] for name in ("frozen", "forward"))
    whole = replace(forward, calls=frozen.calls + forward.calls)
    joined = replace(
        program,
        segments={n: whole if n == "forward" else s for n, s in program.segments.items() if n != "frozen"},
        entries={
            n: replace(e, segments=tuple(s for s in e.segments if s != "frozen"))
            for n, e in program.entries.items()
        },
    )
    assert fingerprint(joined, place) == compiled.fingerprint
    conditional = replace(program.segments["backward"], when="predicted")
    other = replace(program, segments={**program.segments, "backward": conditional})
    assert fingerprint(other, place) != compiled.fingerprint
    assert (
        fingerprint(replace(joined, segments=joined.segments | {"forward": forward}), place)
        != compiled.fingerprint
    )
