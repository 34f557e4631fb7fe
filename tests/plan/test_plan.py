"""Memory plans: greedy plans are right and tight on any program, and the verifier catches a wrong one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcugrad as mg
from mcugrad.pipeline import Build
from mcugrad.plan import Plan, PlanError, aligned, best_plan, bound, verify
from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.program import Argument, Buffer, Call, Entry, Kernel, Program, Segment, Space
from mcugrad.program.call import used_buffers
from networks import FASHION, Conv, Dense, Layer, Pool, model, samples
from programs import program_of

# --- programs of any shape ----------------------------------------------------------------------------------


def nothing() -> None:
    """What the kernels of these programs compute does not matter here."""


KERNEL = Kernel("mcg_next_step", nothing)


def touching(names: list[str]) -> Call:
    return Call(KERNEL, tuple(Argument(buffer=name) for name in names), "node")


def of_segments(
    sizes: dict[str, int], segments: dict[str, Segment], entries: dict[str, Entry], output: str
) -> Program:
    """A program over arena buffers of these sizes in bytes."""
    buffers = (Buffer(name, "int8_t", (size,), Space.ARENA) for name, size in sizes.items())
    return program_of(*buffers, segments=segments, entries=entries, output=output)


def program(sizes: list[int], calls: list[list[int]], split: int, output: int, results: list[int]) -> Program:
    """A prediction, and a step that goes on from there; each call touches the buffers it lists."""
    flat = tuple(touching([f"b{i}" for i in touched]) for touched in calls)
    used = sorted({i for touched in calls for i in touched})
    segments = {"forward": Segment(flat[:split]), "rest": Segment(flat[split:])}
    read = tuple(f"b{i}" for i in results)
    entries = {
        "predict": Entry(("forward",), (f"b{output}",) if flat else ()),
        "train_step": Entry(("forward", "rest"), read),
    }
    return of_segments({f"b{i}": sizes[i] for i in used}, segments, entries, f"b{output}")


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Up to sixteen calls over up to twelve buffers; the logits come from the forward pass."""
    sizes = draw(st.lists(st.integers(1, 300), min_size=1, max_size=12))
    touched = st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=5, unique=True)
    calls = draw(st.lists(touched, min_size=1, max_size=16))
    split = draw(st.integers(1, len(calls)))
    output = draw(st.sampled_from(calls[split - 1]))
    everything = sorted({i for call in calls for i in call})
    results = draw(st.lists(st.sampled_from(everything), max_size=2, unique=True))
    return program(sizes, calls, split, output, results)


@st.composite
def programs_of_segments(draw: st.DrawFn) -> Program:
    """Up to six segments, some of which run at times only, and entries that leave some out."""
    count = draw(st.integers(1, 8))
    sizes = {f"b{i}": draw(st.integers(1, 300)) for i in range(count)}
    some = st.lists(st.sampled_from(sorted(sizes)), min_size=1, max_size=4, unique=True)
    bodies = draw(st.lists(st.lists(some, min_size=1, max_size=4), min_size=1, max_size=6))
    ways = draw(st.lists(st.sets(st.integers(1, len(bodies))), min_size=1, max_size=3))
    first, *rest = bodies
    segments = {"s0": Segment(tuple(map(touching, first)))}
    for i, body in enumerate(rest, 1):
        when = draw(st.sampled_from(["", *sorted(sizes)]))
        segments[f"s{i}"] = Segment(tuple(map(touching, body)), when)
    ran = {f"s{i}" for way in ways for i in way} | {"s0"}
    segments = {name: segment for name, segment in segments.items() if name in ran}
    entries = {
        f"e{i}": Entry(tuple(name for name in segments if name == "s0" or int(name[1:]) in way), ())
        for i, way in enumerate(ways)
    }
    flags = {segment.when for segment in segments.values()}
    used = used_buffers(call for segment in segments.values() for call in segment.calls) | flags
    entries = {
        name: replace(entry, reads=tuple(draw(st.lists(st.sampled_from(sorted(used - {""})), max_size=2))))
        for name, entry in entries.items()
    }
    return of_segments({n: size for n, size in sizes.items() if n in used}, segments, entries, "b0")


def live_bytes(any_program: Program, index: int) -> int:
    """Bytes needed during one call, from the definition."""
    calls = [set(call.buffers) for call in any_program.calls]
    calls[any_program.end("predict") - 1].add(any_program.output)
    calls[-1].update(any_program.results)
    before, after = set().union(*calls[: index + 1]), set().union(*calls[index:])
    return sum(aligned(any_program.buffers[name].size) for name in before & after)


def overlap(one: Lifetime, other: Lifetime) -> bool:
    """Whether both are needed in some call, so that they must not share bytes."""
    return one.first <= other.last and other.first <= one.last


@given(st.one_of(programs(), programs_of_segments()))
def test_greedy_plans_are_right(any_program: Program) -> None:
    plan = best_plan(any_program)
    verify(any_program, plan)
    assert set(plan.offsets) == set(any_program.buffers)
    assert plan.size % 4 == 0
    assert plan.size == max(
        offset + aligned(any_program.buffers[name].size) for name, offset in plan.offsets.items()
    )
    lives = lifetimes(any_program)
    for i, one in enumerate(lives):
        for other in lives[:i]:
            if overlap(one, other):
                a, b = plan.offsets[one.name], plan.offsets[other.name]
                assert a + one.size <= b or b + other.size <= a


@given(st.one_of(programs(), programs_of_segments()))
def test_plans_are_near_what_no_plan_can_do_without(any_program: Program) -> None:
    """Of 4,000 programs, 40 got more than that, 15 % at most; some of them cannot do with less."""
    plan, least = best_plan(any_program), bound(any_program)
    assert max((*plan.live, 0)) <= least <= plan.size <= 1.25 * least


def test_where_the_usual_orders_leave_a_gap_another_is_found() -> None:
    """Largest first, those that are large and long first, and longest first take 128 B."""
    calls = [[0, 2, 3], [3], [1, 2], [0, 1, 4]]
    tight = program([40, 28, 24, 32, 36, 24], calls, 4, 0, [])
    plan = best_plan(tight)
    verify(tight, plan)
    assert (plan.size, bound(tight)) == (104, 104)


@given(programs())
def test_no_plan_is_below_its_peak_or_above_the_sum(any_program: Program) -> None:
    plan = best_plan(any_program)
    assert max(plan.live) == plan.live[plan.peak] <= plan.size
    assert plan.size <= sum(aligned(b.size) for b in any_program.buffers.values())


@given(programs())
def test_live_bytes_are_those_between_first_and_last_use(any_program: Program) -> None:
    plan = best_plan(any_program)
    # The logits' reader stands behind the forward pass: where training follows, they are still there at its first call.
    if not any_program.segments["rest"].calls:
        assert list(plan.live) == [live_bytes(any_program, i) for i in range(len(any_program.calls))]
    else:
        assert all(live >= live_bytes(any_program, i) for i, live in enumerate(plan.live))


@given(programs(), st.randoms(use_true_random=False))
def test_the_same_program_gets_the_same_plan(any_program: Program, random: object) -> None:
    names = list(any_program.buffers)
    random.shuffle(names)  # type: ignore[attr-defined]
    shuffled = replace(any_program, buffers={name: any_program.buffers[name] for name in names})
    assert best_plan(shuffled).offsets == best_plan(any_program).offsets


def test_a_gap_that_fits_exactly_is_used() -> None:
    tight = program([8, 8, 8], [[0, 1], [1, 2]], 2, 2, [])
    plan = best_plan(tight)
    assert (dict(plan.offsets), plan.size) == ({"b0": 0, "b1": 8, "b2": 0}, 16)


def test_lifetimes_are_from_the_first_to_the_last_reader() -> None:
    """The caller reads the logits where training begins, and results one past the end."""
    found = lifetimes(program([4, 5, 6, 7], [[0], [1], [2], [3]], 2, 1, [2]))
    assert found == (
        Lifetime("b0", 4, 0, 0),
        Lifetime("b1", 5, 1, 2),
        Lifetime("b2", 6, 2, 4),
        Lifetime("b3", 7, 3, 3),
    )


def test_nothing_needs_nothing() -> None:
    plan = best_plan(program([], [], 0, 0, []))
    assert (dict(plan.offsets), plan.size, plan.live, plan.peak) == ({}, 0, (), 0)


# --- the verifier -------------------------------------------------------------------------------------------


@given(programs(), st.data())
def test_the_verifier_catches_an_overlap(any_program: Program, draw: st.DataObject) -> None:
    """Move one buffer onto another that lives at the same time."""
    plan, lives = best_plan(any_program), lifetimes(any_program)
    pairs = [
        (a, b)
        for a in lives
        for b in lives
        if a is not b and overlap(a, b) and used_together(any_program, a, b)
    ]
    if not pairs:
        return
    mover, victim = draw.draw(st.sampled_from(pairs))
    place = plan.offsets[victim.name] + draw.draw(st.integers(0, (victim.size - 1) // 4)) * 4
    moved = {**plan.offsets, mover.name: place}
    with pytest.raises(PlanError, match="has overwritten a part of"):
        verify(any_program, Plan(moved, max(plan.size, place + aligned(mover.size)), plan.live))


def used_together(any_program: Program, one: Lifetime, other: Lifetime) -> bool:
    """Whether one is first touched while the other is still to be read, so that sharing bytes destroys something."""
    first, second = sorted((one, other), key=lambda life: life.first)
    last = max(i for i, call in enumerate(any_program.calls) if first.name in call.buffers)
    if first.name == any_program.output:
        last = max(last, any_program.end("predict") - 1)
    if first.name in any_program.results:
        last = len(any_program.calls)
    return second.first <= last


@given(programs(), st.data())
def test_the_verifier_catches_misalignment(any_program: Program, draw: st.DataObject) -> None:
    plan = best_plan(any_program)
    name = draw.draw(st.sampled_from(sorted(plan.offsets)))
    off = plan.offsets[name] + draw.draw(st.integers(1, 3))
    with pytest.raises(PlanError, match=f"{name} at {off} .* misaligned"):
        verify(any_program, Plan({**plan.offsets, name: off}, plan.size + 400, plan.live))


@given(programs(), st.data())
def test_the_verifier_catches_what_lies_outside(any_program: Program, draw: st.DataObject) -> None:
    plan = best_plan(any_program)
    name = draw.draw(st.sampled_from(sorted(plan.offsets)))
    outside = draw.draw(
        st.sampled_from([-4, plan.size - aligned(any_program.buffers[name].size) + 4, plan.size + 64])
    )
    with pytest.raises(PlanError, match=f"{name} at {outside} .* is outside"):
        verify(any_program, Plan({**plan.offsets, name: outside}, plan.size, plan.live))


def test_logits_survive_the_forward_pass() -> None:
    """The caller reads the logits after prediction, though no later call does."""
    late = program([8, 8, 8], [[0], [0, 1], [2]], 2, 1, [2])
    verify(late, Plan({"b0": 0, "b1": 8, "b2": 0}, 16, ()))
    with pytest.raises(PlanError, match=r"call 1 of predict, .* touches b0, but b1"):
        verify(late, Plan({"b0": 0, "b1": 4, "b2": 0}, 16, ()))
    early = program([8, 8], [[0], [1]], 2, 0, [])
    with pytest.raises(PlanError, match=r"the caller, after predict, touches b0, but b1"):
        verify(early, Plan({"b0": 0, "b1": 0}, 8, ()))


def test_results_survive_the_step() -> None:
    step = program([4, 4], [[0], [1]], 1, 0, [0])
    verify(step, best_plan(step))
    with pytest.raises(PlanError, match=r"the caller, after train_step, touches b0, but b1"):
        verify(step, Plan({"b0": 0, "b1": 0}, 4, ()))


def alternatives(when: str = "") -> Program:
    """Two entries that begin and end in the same way; the last segment may be left out."""
    segments = {
        "first": Segment((touching(["b0"]),)),
        "one": Segment((touching(["b1"]),)),
        "other": Segment((touching(["b1"]), touching(["b2", "b3"]))),
        "last": Segment((touching(["b1"]),), when),
    }
    entries = {
        "short": Entry(("first", "one", "last"), ()),
        "long": Entry(("first", "other", "last"), ()),
    }
    return of_segments({f"b{i}": 4 for i in range(4)}, segments, entries, "b0")


def test_segments_that_stand_in_for_each_other_happen_at_the_same_time() -> None:
    found = alternatives()
    assert dict(found.begins) == {"first": 0, "one": 1, "other": 1, "last": 3}
    assert (found.length, found.end("short"), found.at(1)) == (4, 4, found.segments["one"].calls[0])
    assert found.at(2) is found.segments["other"].calls[1]
    with pytest.raises(IndexError, match="no call of random happens at 4 of 4"):
        found.at(4)


def test_what_the_longer_of_two_overwrites_is_not_read_behind_it() -> None:
    """b1 is read by what follows both; numbered from its own beginning, `last` would come before b2's call."""
    found = alternatives()
    verify(found, best_plan(found))
    verify(found, Plan({"b0": 0, "b1": 4, "b2": 0, "b3": 8}, 12, ()))
    with pytest.raises(PlanError, match=r"call 3 of long, .* touches b1, but b2"):
        verify(found, Plan({"b0": 0, "b1": 4, "b2": 4, "b3": 8}, 12, ()))


def test_every_entry_is_played() -> None:
    with pytest.raises(PlanError, match=r"call 2 of long, .* touches b2, but b3"):
        verify(alternatives(), Plan({"b0": 0, "b1": 4, "b2": 8, "b3": 8}, 12, ()))


def test_what_decides_whether_a_segment_runs_is_still_there() -> None:
    found = alternatives("b0")
    assert lifetimes(found)[0] == Lifetime("b0", 4, 0, 2)
    verify(found, best_plan(found))
    with pytest.raises(PlanError, match=r"whether last runs touches b0, but b1"):
        verify(found, Plan({"b0": 0, "b1": 0, "b2": 4, "b3": 8}, 12, ()))


@given(programs_of_segments(), st.data())
def test_what_holds_with_all_segments_holds_without_some(any_program: Program, draw: st.DataObject) -> None:
    """So that the verifier need not play every combination: whatever overlaps, one that is left out hides nothing."""
    sizes = {name: aligned(b.size) for name, b in any_program.buffers.items()}
    offsets = {name: draw.draw(st.integers(0, 75)) * 4 for name in sizes}
    plan = Plan(offsets, max(offsets[name] + size for name, size in sizes.items()), ())
    try:
        verify(any_program, plan)
    except PlanError:
        return
    for name, entry in any_program.entries.items():
        for segments in any_program.runs_of(name):
            verify(replace(any_program, entries={name: replace(entry, segments=segments)}), plan)


# --- programs of real networks ------------------------------------------------------------------------------

NETWORKS: dict[str, tuple[tuple[int, ...], tuple[Layer, ...]]] = {
    "fashion": ((1, 28, 28), FASHION),
    "pooled": ((3, 15, 11), (Conv(7), Pool(), Conv(9, (2, 2), act="relu6"), Dense(5, "relu"), Dense(4))),
    "dense": ((33,), (Dense(17, "relu"), Dense(9, "relu"), Dense(3))),
}


def compiled(name: str, **options: str) -> Build:
    shape, layers = NETWORKS[name]
    net = model(shape, layers, name=name)
    return mg.compile(net, calibration=samples(net, 16)[0], **options).build


@pytest.mark.parametrize("train", ["all", "last:1", "bias", "none"])
@pytest.mark.parametrize("name", NETWORKS)
def test_real_plans_are_close_to_the_least(name: str, train: str) -> None:
    build = compiled(name, train=train)
    plan = build.compiled.plan
    verify(build.compiled.program, plan)
    least = max(plan.live)
    assert plan.size <= 1.1 * least + 16, f"{plan.size} B where {least} B are needed at once"


def test_training_less_needs_less() -> None:
    sizes = [compiled("fashion", train=train).ram for train in ("all", "last:2", "last:1", "none")]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_training_by_sr8_needs_no_gradient_buffer() -> None:
    """RAM is one byte for each weight and at most 10 KiB besides."""
    build = compiled("fashion", rule="sr8", prefer="ram")
    weights = sum(b.count for b in build.compiled.layout.params if b.ctype == "int8_t")
    assert weights == 105_744
    assert build.compiled.layout.size - weights <= 10_240


def test_the_struct_is_laid_out_without_gaps() -> None:
    layout = compiled("pooled", rule="sr16").compiled.layout
    end = 4
    for buffer in layout.params:
        assert layout.offsets[buffer.name] == end
        assert end % min(buffer.itemsize, 4) == 0
        end += buffer.size
    assert layout.arena_offset == aligned(end)
    assert max(layout.offsets.values()) < layout.size
