"""Arrays that share bytes: plans get smaller by it, stay right, and what is computed is what it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcugrad as mg
from mcugrad import toolchain
from mcugrad.ops.pooling.window import PoolWindow, is_ahead
from mcugrad.plan import Plan, PlanError, aligned, best_plan, bound, verify
from mcugrad.plan.lifetimes import lifetimes
from mcugrad.plan.sharing import sharing
from mcugrad.program import Argument, Buffer, Call, Entry, Kernel, Program, Segment, Shared, Space
from mcugrad.run.host import HostTwin
from mcugrad.run.life import Life
from mcugrad.run.reference import ReferenceRunner
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Pool, model, samples
from programs import program_of
from shape_nets import depthwise_row, squeeze_and_excitation
from thoroughness import LONG, turns

# --- programs of any shape ----------------------------------------------------------------------------------


def nothing() -> None:
    """What the kernels of these programs compute does not matter here."""


APART = Kernel("mcg_lookup_s8", nothing)
OVER = Kernel("mcg_lookup_s8", nothing, may_share=(Shared("x", "y"),))
AHEAD = Kernel("mcg_lookup_s8", nothing, may_share=(Shared("x", "y", lead=lambda _: 8),))


def step(x: str, y: str, kernel: Kernel = OVER) -> Call:
    """A call that reads one buffer and writes another."""
    return Call(kernel, (Argument(value=1), Argument(x), Argument(), Argument(y)), "node")


def chain(sizes: dict[str, int], calls: list[Call], reads: tuple[str, ...], *other: list[Call]) -> Program:
    """A program of arena buffers; further entries go other ways at the same times."""
    buffers = [Buffer(name, "int8_t", (size,), Space.ARENA) for name, size in sizes.items()]
    segments = {f"way{i}": Segment(tuple(way)) for i, way in enumerate([calls, *other])}
    entries = {name.replace("way", "entry"): Entry((name,), reads) for name in segments}
    return program_of(*buffers, segments=segments, entries=entries, output=reads[0])


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Up to twelve steps from a buffer to another, some of which may be over it."""
    sizes = draw(st.lists(st.integers(1, 200), min_size=2, max_size=9))
    names = [f"b{i}" for i in range(len(sizes))]
    calls = [
        step(x, y, draw(st.sampled_from([OVER, OVER, AHEAD, AHEAD, APART])))
        for x, y in draw(
            st.lists(st.permutations(names).map(lambda each: tuple(each[:2])), min_size=1, max_size=12)
        )
    ]
    split = draw(st.integers(1, len(calls)))
    used = {name for call in calls for name in call.buffers}
    read = draw(st.lists(st.sampled_from(sorted(used)), min_size=1, max_size=2, unique=True))
    ways = [calls] if draw(st.booleans()) else [calls[:split], calls[split:]] if calls[split:] else [calls]
    return chain(
        {n: size for n, size in zip(names, sizes, strict=True) if n in used}, ways[0], tuple(read), *ways[1:]
    )


@given(programs())
def test_plans_that_share_are_right_and_no_larger(any_program: Program) -> None:
    plan = best_plan(any_program)
    verify(any_program, plan)
    segments = {
        name: Segment(tuple(replace(call, kernel=APART) for call in segment.calls), segment.when)
        for name, segment in any_program.segments.items()
    }
    alone = best_plan(replace(any_program, segments=segments))
    assert plan.size <= alone.size
    assert max(plan.live) <= plan.size
    if len(any_program.entries) == 1:
        assert plan.live == taken(any_program, plan)
    assert bound(any_program) <= plan.size
    pairs = sharing(any_program, lifetimes(any_program))
    allowed = {each for call in any_program.calls for each in call.shared}
    assert all((each.old, new, each.lead) in allowed for new in pairs for each in pairs[new])


def taken(any_program: Program, plan: Plan) -> tuple[int, ...]:
    """Bytes that somebody has at each call, counted one by one."""
    owned = np.zeros((any_program.length, plan.size), bool)
    for life in lifetimes(any_program):
        at = plan.offsets[life.name]
        owned[life.first : life.last + 1, at : at + aligned(life.size)] = True
    return tuple(int(count) for count in owned.sum(axis=1))


@given(programs(), st.data())
def test_the_verifier_plays_what_the_bytes_would_be(any_program: Program, draw: st.DataObject) -> None:
    """Whatever the plan: it is refused if and only if a step reads a byte that is not what was last written there."""
    names = list(any_program.buffers)
    offsets = {name: draw.draw(st.sampled_from([0, 0, 4, 40, 200, 400])) for name in names}
    size = max(offsets[n] + aligned(any_program.buffers[n].size) for n in names)
    try:
        verify(any_program, Plan(offsets, size, ()))
    except PlanError:
        return
    for entry in any_program.entries:
        assert played(any_program, entry, offsets, size) == played(any_program, entry, None, 0)


def played(any_program: Program, entry: str, offsets: dict[str, int] | None, size: int) -> list[bytes]:
    """What is read after an entry, buffers in their places or apart: each step makes other bytes of those it reads."""
    arena = np.zeros(size, np.uint8)
    place = {
        name: np.zeros(b.size, np.uint8) if offsets is None else arena[offsets[name] : offsets[name] + b.size]
        for name, b in any_program.buffers.items()
    }
    known: set[str] = set()
    found = []
    calls = [c for name in any_program.entries[entry].segments for c in any_program.segments[name].calls]
    for number, call in enumerate(calls, 1):
        x, y = (place[name] for name in call.buffers)
        if call.buffers[0] not in known:
            x[:] = number  # somebody has to write it first
        known.update(call.buffers)
        if call.kernel is not APART:
            for i in range(y.size):  # element by element, as such kernels do
                y[i] = 7 * (int(x[i]) if i < x.size else 0) + number & 255
        else:
            y[:] = number  # it may write before it has read
            found.append(x.tobytes())
    return [*found, *(place[name].tobytes() for name in any_program.entries[entry].reads if name in known)]


def test_what_may_lie_there_lies_there() -> None:
    """b1 is smaller than b2, which would take its place first: it follows b0 at once."""
    found = chain({"b0": 100, "b1": 20, "b2": 40}, [step("b0", "b1"), step("b1", "b2", APART)], ("b2",))
    plan = best_plan(found)
    verify(found, plan)
    assert (dict(plan.offsets), plan.size, plan.live) == ({"b0": 0, "b1": 0, "b2": 20}, 100, (100, 60))


def test_what_has_to_begin_before_it_does() -> None:
    """b1 begins 8 bytes before b0, which is no longer needed when b2 comes."""
    calls = [step("b0", "b1", AHEAD), step("b1", "b2", APART)]
    found = chain({"b0": 100, "b1": 100, "b2": 20}, calls, ("b2",))
    plan = best_plan(found)
    verify(found, plan)
    assert plan.offsets["b0"] == plan.offsets["b1"] + 8
    assert (plan.size, bound(found), plan.live) == (120, 120, (108, 120))


def test_a_row_of_buffers_lies_over_each_other() -> None:
    names = [f"b{i}" for i in range(5)]
    calls = [
        step(*pair, kernel)
        for *pair, kernel in zip(names, names[1:], [AHEAD, OVER, AHEAD, OVER], strict=False)
    ]
    found = chain(dict.fromkeys(names, 40), calls, ("b4",))
    plan = best_plan(found)
    verify(found, plan)
    assert [plan.offsets[name] for name in names] == [16, 8, 8, 0, 0]
    assert (plan.size, plan.live) == (56, (48, 40, 48, 40))


def test_what_is_as_large_lies_there() -> None:
    found = chain({"b0": 8, "b1": 8, "b2": 8}, [step("b0", "b1"), step("b1", "b2")], ("b2",))
    assert (dict(best_plan(found).offsets), best_plan(found).size) == (
        {"b0": 0, "b1": 0, "b2": 0},
        8,
    )


def test_what_is_read_later_is_not_written_over() -> None:
    found = chain({"b0": 8, "b1": 8}, [step("b0", "b1")], ("b1", "b0"))
    assert sharing(found, lifetimes(found)) == {}
    assert best_plan(found).size == 16
    with pytest.raises(PlanError, match=r"the caller, after entry0, touches b0, but b1"):
        verify(found, Plan({"b0": 0, "b1": 0}, 8, ()))


@pytest.mark.parametrize(
    ("kernel", "offsets"),
    [(APART, (0, 0)), (OVER, (0, 4)), (OVER, (4, 0)), (AHEAD, (4, 0)), (AHEAD, (0, 0))],
    ids=["other", "behind", "before", "not far enough", "not before"],
)
def test_the_verifier_refuses_what_the_kernel_does_not_allow(
    kernel: Kernel, offsets: tuple[int, int]
) -> None:
    found = chain({"b0": 8, "b1": 8}, [step("b0", "b1", kernel)], ("b1",))
    verify(chain({"b0": 8, "b1": 8}, [step("b0", "b1")], ("b1",)), Plan({"b0": 0, "b1": 0}, 8, ()))
    with pytest.raises(PlanError, match="has overwritten a part of it"):
        verify(found, Plan(dict(zip(("b0", "b1"), offsets, strict=True)), 12, ()))


def test_a_segment_that_stands_in_has_to_allow_it_too() -> None:
    """Both ways happen at the same time; the second touches both and does not."""
    ways = [step("b0", "b1")], [step("b0", "b1", APART)]
    found = chain({"b0": 8, "b1": 8}, ways[0], ("b1",), ways[1])
    assert sharing(found, lifetimes(found)) == {}
    verify(found, best_plan(found))
    with pytest.raises(PlanError, match=r"call 0 of entry1"):
        verify(found, Plan({"b0": 0, "b1": 0}, 8, ()))


@given(
    *(st.integers(1, 6) for _ in range(2)),
    *(st.integers(1, 3) for _ in range(6)),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_outputs_come_before_what_is_still_read(
    out_h: int,
    out_w: int,
    k_h: int,
    k_w: int,
    stride_h: int,
    stride_w: int,
    across: int,
    down: int,
    top: int,
    left: int,
) -> None:
    """By the definition: window after window, none of its places has been written."""
    size = ((out_h - 1) * stride_h + (k_h - 1) * down + 1, (out_w - 1) * stride_w + (k_w - 1) * across + 1)
    in_h, in_w = max(size[0] - top, 1), max(size[1] - left, 1)
    g = PoolWindow(in_h, in_w, 1, out_h, out_w, k_h, k_w, stride_h, stride_w, top, left, down, across)
    written: set[int] = set()
    right = True
    for oy in range(out_h):
        for ox in range(out_w):
            rows = [oy * stride_h - top + k * down for k in range(k_h)]
            columns = [ox * stride_w - left + k * across for k in range(k_w)]
            read = {y * in_w + x for y in rows if 0 <= y < in_h for x in columns if 0 <= x < in_w}
            right = right and not read & written
            written.add(oy * out_w + ox)
    assert not is_ahead(g) or right
    if top == left == 0:
        assert is_ahead(g)


# --- networks -----------------------------------------------------------------------------------------------

NETS: dict[str, tuple[tuple[int, ...], tuple[Any, ...], dict[str, Any]]] = {
    "functions": (
        (2, 12, 12),
        (Conv(8, act="HardSwish"), Conv(4, act="Tanh"), Dense(3)),
        {"train": "last:1"},
    ),
    "pool": ((1, 14, 14), (Conv(6, act="relu"), Pool(), Conv(12, act="relu"), Dense(3)), {"train": "last:1"}),
    "inference": (
        (1, 14, 14),
        (Conv(6, act="relu"), Pool(), Conv(12, act="HardSwish"), Dense(3)),
        {"train": "none"},
    ),
    "float32": (
        (2, 12, 12),
        (Conv(8, act="HardSwish"), Pool(), Dense(3)),
        {"precision": "float32", "train": "last:1"},
    ),
    "mixed": (
        (2, 12, 12),
        (Conv(8, act="HardSwish"), Conv(4, act="Tanh"), Dense(3)),
        {"precision": "mixed", "train": "last:2"},
    ),
    "values": (
        (40,),
        (Dense(8), Dense(200)),
        {"precision": "float32", "loss": "mse", "typical_labels": np.linspace(-1, 1, 9)},
    ),
}


OTHER: dict[str, tuple[Callable[[], mg.Model], dict[str, Any]]] = {
    "product": (squeeze_and_excitation, {"train": "last:1"}),
    "depthwise": (depthwise_row, {"train": "last:1"}),
    "depthwise, float32": (depthwise_row, {"train": "last:1", "precision": "float32"}),
}


@cache
def made(name: str) -> Trainer:
    if name in OTHER:
        make, options = OTHER[name]
        net = make()
        x = np.random.default_rng(1).normal(size=(32, *net.input_shape)).astype(np.float32)
        return mg.compile(net, calibration=x, **options)
    shape, layers, options = NETS[name]
    net = model(shape, layers, name=name)
    return mg.compile(net, calibration=samples(net, 32)[0], **options)


def over(trainer: Trainer) -> list[tuple[str, str]]:
    """Buffers that are written over others in its plan."""
    compiled = trainer.build.compiled
    program, offsets = compiled.program, compiled.plan.offsets
    pairs = {pair for call in program.calls for pair in call.shared}
    return sorted(
        (old, new)
        for old, new, lead in pairs
        if old in offsets and new in offsets and offsets[old] == offsets[new] + lead
    )


@pytest.mark.parametrize(("name", "compiler"), turns([*NETS, *OTHER], ["zig", "gcc"]))
def test_it_computes_the_same_in_an_arena_of_rubbish(name: str, compiler: str) -> None:
    """The twin finds other bytes in its working memory before each call; the reference has an array for each buffer."""
    if compiler not in toolchain.host_compilers():
        pytest.skip(f"{compiler} is not installed")
    trainer = made(name)
    compiled = trainer.build.compiled
    assert over(trainer), "nothing shares, so nothing is tried"
    twin, reference = HostTwin(compiled, compiler=compiler), ReferenceRunner(compiled)
    random = np.random.default_rng(2)
    x = random.integers(-128, 128, (6, compiled.program.buffers[compiled.program.input].count)).astype(
        np.int8
    )
    runners: tuple[Life, ...] = (twin, reference)
    for sample in x:
        poison(twin, random)
        np.testing.assert_array_equal(*(runner.predict(sample[None]) for runner in runners))
        if compiled.program.trains:
            label = trainer.labels(
                random.uniform(-1, 1, (1, compiled.program.classes)) if name == "values" else [1], 1
            )
            poison(twin, random)
            infos = [runner.step(sample, label[0] if label.ndim > 1 else label) for runner in runners]
            assert infos[0].tobytes() == infos[1].tobytes()
    place = compiled.layout.arena_offset
    np.testing.assert_array_equal(*(runner.read(0, place) for runner in runners))


def poison(twin: HostTwin, random: np.random.Generator) -> None:
    """Other bytes in the working memory."""
    layout = twin._compiled.layout
    twin.write(
        layout.arena_offset, random.integers(0, 256, layout.size - layout.arena_offset).astype(np.uint8)
    )


@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core"),
    turns(
        ["mixed", "pool", "depthwise", *(["functions"] if LONG else [])],
        ["cortex-m0plus", "cortex-m4f", "cortex-m4f"],
    ),
)
def test_cores_learn_the_same(name: str, core: str) -> None:
    """Cores with bodies of their own where these work in place; the functions are those of `mixed`, too."""
    trainer = made(name)
    x, y = samples(trainer.model, 3)
    trainer.verify(x, y % 3, on=["reference", core], rate=0.01)
