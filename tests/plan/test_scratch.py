"""Scratch: calls get what is free, and more where that is wanted, little of it unless somebody says how much."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcugrad as mg
from mcugrad import targets
from mcugrad.emit.fingerprint import fingerprint
from mcugrad.errors import FitError, UsageError
from mcugrad.ops.linear.linear_s8 import LINEAR_S8, LinearStruct
from mcugrad.options import Budget
from mcugrad.plan import Curve, Plan, Point, aligned, best_plan, offers, verify
from mcugrad.plan.lifetimes import lifetimes
from mcugrad.program import Argument, Buffer, Call, Entry, Program, Segment, Space
from mcugrad.program.kernel import ROOM, SCRATCH
from mcugrad.run.emulated import EmulatedDevice
from networks import Dense, model, samples

CORE = "cortex-m4f"
PARAMS = [param.name for param in LINEAR_S8.params]


def layer(inputs: int, out: int, x: str, y: str) -> Call:
    """A fully connected layer without scratch; what else it takes does not matter here."""
    given = {
        "g": Argument(struct=LinearStruct(inputs, out, inputs, 0, 0)),
        "x": Argument(buffer=x),
        "y": Argument(buffer=y),
        ROOM: Argument(value=0),
    }
    return Call(LINEAR_S8, tuple(given.get(name, Argument()) for name in PARAMS), f"{x}_to_{y}")


def program_of(segments: dict[str, Segment], entries: dict[str, Entry]) -> Program:
    """A program of layers, with the buffers that they touch."""
    sizes: dict[str, int] = {}
    for call in (call for segment in segments.values() for call in segment.calls):
        assert isinstance(call.struct, LinearStruct)
        for name, size in ((call.buffers[0], call.struct.inputs), (call.buffers[-1], call.struct.out)):
            sizes[name] = size
    return Program(
        name="layers",
        buffers={name: Buffer(name, "int8_t", (size,), Space.ARENA) for name, size in sizes.items()},
        segments=segments,
        entries=entries,
        input="x",
        input_zero=0,
        output="b0",
        watched=False,
        output_scale="",
        output_zero=0,
        values=None,
        update_rate=1.0,
        classes=2,
    )


def crowded(*calls: Call) -> Program:
    """A prediction after which every buffer is read, so that nothing is free."""
    buffers = tuple(name for call in calls for name in call.buffers)
    return program_of({"forward": Segment(calls)}, {"predict": Entry(("forward",), buffers)})


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Layers one after the other, and others that read any activation before, in two entries."""
    sizes = draw(st.lists(st.sampled_from([3, 10, 64, 130, 300, 520]), min_size=2, max_size=8))
    calls = [layer(sizes[i], sizes[i + 1], f"b{i}", f"b{i + 1}") for i in range(len(sizes) - 1)]
    for place in draw(st.lists(st.integers(0, len(calls)), max_size=3)):
        source, target = (draw(st.integers(0, len(sizes) - 1)) for _ in range(2))
        calls.insert(place, layer(sizes[source], sizes[target], f"b{source}", f"b{target}"))
    split = draw(st.integers(1, len(calls)))
    segments = {"forward": Segment(tuple(calls[:split])), "rest": Segment(tuple(calls[split:]))}
    segments = {name: segment for name, segment in segments.items() if segment.calls}
    entries = {"predict": Entry(("forward",), ()), "train_step": Entry(tuple(segments), ())}
    return program_of(segments, entries)


def rooms(program: Program) -> list[int]:
    """Bytes that each call has."""
    return [int(call.arguments[PARAMS.index(ROOM)].value or 0) for call in program.calls]


def best(call: Call) -> int:
    """The size with which a call takes the fewest instructions."""
    assert LINEAR_S8.scratch is not None
    sizes = LINEAR_S8.scratch.sizes(call.struct)
    return min(sizes, key=lambda room: (LINEAR_S8.instructions(CORE, call.struct, room), room))


def taken(program: Program, plan: Plan, more: float) -> tuple[Program, Plan]:
    """What is fastest of arenas that are so much larger than the smallest."""
    found = offers(program, plan, CORE)
    return found.taken([point for point in found.points if point.size <= plan.size + more][-1])


@given(programs(), st.sampled_from([0, 64, 1000, 3000, inf]))
def test_plans_with_scratch_are_right(program: Program, more: float) -> None:
    plan = best_plan(program)
    found, grown = taken(program, plan, more)
    verify(found, grown)
    assert plan.size <= grown.size <= plan.size + more
    assert plan.offsets.keys() <= grown.offsets.keys()
    for before, after in zip(program.calls, found.calls, strict=True):
        for name, one, other in zip(PARAMS, before.arguments, after.arguments, strict=True):
            assert name in (ROOM, SCRATCH) or one == other
    for call, room in zip(found.calls, rooms(found), strict=True):
        scratch = call.arguments[PARAMS.index(SCRATCH)]
        assert bool(scratch.buffer) == bool(room)
        assert not room or found.buffers[scratch.buffer].size == room


@given(programs())
def test_every_point_is_what_its_calls_take(program: Program) -> None:
    """Larger arenas take fewer instructions, and what is said of each is what its calls add up to."""
    plan = best_plan(program)
    found = offers(program, plan, CORE)
    assert found.points[0].size == plan.size
    for one, other in pairwise(found.points):
        assert one.size < other.size
        assert one.instructions > other.instructions
    for point in found.points:
        made, grown = found.taken(point)
        verify(made, grown)
        assert grown.size == point.size
        cost = sum(
            LINEAR_S8.instructions(CORE, call.struct, room)
            for call, room in zip(made.calls, rooms(made), strict=True)
        )
        assert cost == pytest.approx(point.instructions, abs=0.01 * len(made.calls))


@given(programs())
def test_what_is_free_is_taken(program: Program) -> None:
    """A call goes without only where the free bytes do not lie side by side, or there are too few."""
    plan = best_plan(program)
    found, grown = taken(program, plan, 0)
    assert grown.size == plan.size
    for time, (call, room) in enumerate(zip(found.calls, rooms(found), strict=True)):
        lives = [life for life in lifetimes(program) if life.first <= time <= life.last]
        used = np.zeros(plan.size, bool)
        for life in lives:
            used[grown.offsets[life.name] : grown.offsets[life.name] + aligned(life.size)] = True
        edges = np.flatnonzero(np.diff(np.concatenate([[1], used, [1]])))
        gap = max((edges[1::2] - edges[::2]).tolist(), default=0)
        assert room in (0, best(call))
        assert bool(room) == (0 < aligned(best(call)) <= gap)


@given(programs())
def test_without_a_limit_every_call_is_as_fast_as_can_be(program: Program) -> None:
    found, _ = taken(program, best_plan(program), inf)
    assert rooms(found) == [best(call) for call in program.calls]


def test_the_call_that_needs_least_for_it_grows_first() -> None:
    """256 inputs to 256 outputs have all that helps with 512 bytes, 520 inputs to 4 with 1,040."""
    program = crowded(layer(256, 256, "b0", "b1"), layer(520, 4, "b2", "b3"))
    plan = best_plan(program)
    assert rooms(taken(program, plan, 0)[0])[1] == 0
    assert rooms(taken(program, plan, 600)[0]) == [512, 0]
    assert rooms(taken(program, plan, 1100)[0]) == [512, 1040]


def test_free_bytes_lie_side_by_side_where_they_can() -> None:
    """The smallest plan puts the largest buffer first; b2, which lives longest, would then lie amid what is free."""
    calls = (
        layer(8, 300, "b0", "b2"),
        layer(8, 1564, "b0", "b1"),
        layer(1564, 8, "b1", "b3"),
        layer(520, 8, "b4", "b5"),
    )
    program = program_of(
        {"forward": Segment((*calls, layer(300, 8, "b2", "b6")))}, {"predict": Entry(("forward",), ())}
    )
    plan = best_plan(program)
    assert plan.offsets["b2"] == 1564
    found, grown = taken(program, plan, 0)
    verify(found, grown)
    assert grown.size == plan.size
    assert grown.offsets["b2"] != 1564
    assert rooms(found)[3] == best(calls[3]) == 1040


def test_a_core_that_uses_none_gets_none() -> None:
    program = crowded(layer(600, 600, "b0", "b1"))
    for core, room in (("cortex-m3", 0), (CORE, 1200)):
        found = offers(program, best_plan(program), core)
        assert rooms(found.taken(found.points[-1])[0]) == [room]


def test_ranges_do_not_decide_about_memory() -> None:
    """What is said of sizes before there are samples is what is made of it."""
    plain = crowded(layer(256, 256, "b0", "b1"))
    ranged = crowded(replace(plain.calls[0], arguments=tuple(map(with_ranges, plain.calls[0].arguments))))
    assert plain.calls[0].struct != ranged.calls[0].struct
    points = [offers(program, best_plan(program), CORE).points for program in (plain, ranged)]
    assert points[0] == points[1]


def with_ranges(argument: Argument) -> Argument:
    """The constants of a layer whose zero points are not 0."""
    if not isinstance(argument.struct, LinearStruct):
        return argument
    return replace(argument, struct=replace(argument.struct, x_zero=-3, y_zero=-128))


# --- how much of it -----------------------------------------------------------------------------------------

POINTS = (Point(1000, 9e6), Point(1500, 8.5e6), Point(3000, 6e6), Point(6000, 4e6), Point(20000, 3.96e6))


@pytest.mark.parametrize(
    ("budget", "need", "size"),
    [
        (Budget("ram"), 10_000, 1000),
        (Budget("speed"), 10_000, 20000),
        (Budget("speed", 12_000), 10_000, 3000),
        (Budget("speed", 9_000), 10_000, 1000),
        (
            Budget(),
            10_000,
            3000,
        ),  # 20 % more for 33 % less; 5,000 B are more than 4,096 and than a 16th of all
        (Budget(), 100_000, 6000),  # 5 % more for 56 % less
        (Budget(), 400_000, 6000),  # 5 % more for 1 % less does not pay
        (Budget(), 40_000_000, 20000),  # 0.04 % more for 1 % less does
        (Budget("balanced", 14_000), 10_000, 3000),  # half of what is left
        (Budget("balanced", 13_999), 10_000, 1500),
        (Budget("balanced", 10_999), 10_000, 1000),
        (Budget("balanced", 9_000), 10_000, 1000),  # fits no more than it did
        (Budget(), 1_000, 1000),  # three times as much for a third less does not pay
    ],
)
def test_a_budget_takes_what_it_says(budget: Budget, need: int, size: int) -> None:
    assert budget.choose(Curve(POINTS, POINTS[0].size), need).size == size


def test_by_default_a_byte_has_to_pay() -> None:
    """6 % fewer instructions are not worth 10 % more memory."""
    assert Budget().choose(Curve((Point(1000, 100.0), Point(2000, 94.0)), 1000), 10_000).size == 1000
    assert Budget().choose(Curve((Point(1000, 100.0), Point(2000, 90.0)), 1000), 10_000).size == 2000


# --- of a network -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide() -> mg.Model:
    return model((400,), (Dense(100, "relu"), Dense(90, "relu"), Dense(3)), name="wide")


def compiled(net: mg.Model, **options: object) -> mg.Trainer:
    return mg.compile(net, calibration=samples(net, 8)[0], rule="sr8", **options)  # type: ignore[arg-type]


def test_scratch_changes_neither_state_nor_outputs(wide: mg.Model) -> None:
    """Speed takes more RAM and other C; fingerprint, learned bytes and answers stay."""
    small, usual, fast = (compiled(wide, prefer=prefer) for prefer in ("ram", "balanced", "speed"))
    x, y = samples(wide, 20)
    assert fast.build.ram > small.build.ram
    assert fast.build.ram >= usual.build.ram >= small.build.ram
    marks, answers = set(), []
    for trainer in (small, usual, fast):
        marks.add(fingerprint(trainer.build.compiled.program, trainer.build.compiled.layout))
        trainer.fit(x, y, epochs=1, rate=0.01)
        answers.append((trainer.predict(x), trainer.state))
    assert len(marks) == 1
    for outputs, state in answers[1:]:
        assert np.array_equal(answers[0][0], outputs)
        assert all(value.tobytes() == state[name].tobytes() for name, value in answers[0][1].items())


@pytest.mark.mcu
def test_scratch_saves_instructions_on_cores_that_use_it(wide: mg.Model) -> None:
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    x, y = samples(wide, 3)
    small, fast = (compiled(wide, target=CORE, prefer=prefer) for prefer in ("ram", "speed"))
    costs = []
    for trainer in (small, fast):
        device = EmulatedDevice(trainer.build.compiled, targets.load(CORE))
        device.predict(trainer.quantize(x[:1]))
        costs.append(device.device.last_instructions)
    assert costs[1] < costs[0]
    assert fast.build.ram > small.build.ram
    fast.verify(x, y, on="emulator")


def test_cores_that_use_none_get_the_same_program(wide: mg.Model) -> None:
    small, fast = (
        compiled(wide, target="cortex-m3", prefer=prefer).build.compiled for prefer in ("ram", "speed")
    )
    assert fast.program.segments == small.program.segments
    assert fast.plan == small.plan


def test_no_more_ram_than_was_given(wide: mg.Model) -> None:
    small = compiled(wide, prefer="ram").build.footprint.need
    for more in (0, 100, 500, 900):
        for prefer in ("balanced", "speed"):
            assert compiled(wide, prefer=prefer, ram=small + more).build.footprint.need <= small + more
    with pytest.raises(FitError, match=rf"of RAM; ram={small - 1} allows .* \(1 B short\)") as error:
        compiled(wide, prefer="speed", ram=small - 1)
    assert error.value.hint.startswith(f"ram={small} or more;  ")
    with pytest.raises(FitError, match=r"of RAM; ram=4K allows 4.0 KiB"):
        compiled(wide, prefer="speed", ram="4K")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"prefer": "size"}, "prefer='size' is no way to spend memory"),
        ({"prefer": "ram", "ram": 100_000}, "ram= says how much all may take; with prefer='ram'"),
        ({"ram": "1M", "target": "nrf52840"}, "ram=1M is more than the 256.0 KiB that nrf52840 has"),
        ({"prefer": "speed", "ram": 0.5}, "ram=0.5 is no number of bytes"),
        ({"prefer": "speed", "ram": "64Q"}, "ram=.64Q. is no number of bytes"),
    ],
)
def test_what_makes_no_sense_is_refused(wide: mg.Model, options: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        compiled(wide, **options)
