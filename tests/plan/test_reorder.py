"""Calls in another order: each sees the bytes that it saw, and working memory is never larger."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcugrad as mg
from mcugrad.pipeline import lowered
from mcugrad.plan import best_plan, planned, verify
from mcugrad.plan.reorder import reordered
from mcugrad.program import Argument, Buffer, Call, Entry, Kernel, Program, Segment, Space
from mcugrad.run.reference import ReferenceRunner
from networks import FASHION, model, samples
from programs import program_of


def nothing() -> None:
    """What the kernels of these programs compute does not matter here."""


KERNEL = Kernel("mcg_lookup_s8", nothing)


def step(number: int, x: str, y: str) -> Call:
    """A call that reads one buffer and writes another."""
    return Call(KERNEL, (Argument(value=1), Argument(x), Argument(), Argument(y)), f"node{number}")


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A prediction, and up to 16 calls behind it; some buffers are learned."""
    sizes = draw(st.lists(st.integers(1, 200), min_size=3, max_size=9))
    spaces = [draw(st.sampled_from([Space.ARENA, Space.ARENA, Space.STATE])) for _ in sizes]
    names = [f"b{i}" for i in range(len(sizes))]
    pairs = st.permutations(names).map(lambda each: tuple(each[:2]))
    calls = [step(i, *pair) for i, pair in enumerate(draw(st.lists(pairs, min_size=2, max_size=18)))]
    split = draw(st.integers(1, len(calls) - 1))
    used = {name for call in calls for name in call.buffers}
    segments = {"forward": Segment(tuple(calls[:split])), "backward": Segment(tuple(calls[split:]))}
    read = draw(st.sampled_from(sorted(used)))
    entries = {
        "predict": Entry(("forward",), (calls[0].buffers[1],)),
        "train_step": Entry(("forward", "backward"), (read,)),
    }
    buffers = (
        Buffer(n, "int8_t", (size,), space) for n, size, space in zip(names, sizes, spaces, strict=True)
    )
    kept = (b for b in buffers if b.name in used)
    return program_of(*kept, segments=segments, entries=entries, output=calls[0].buffers[1])


def seen(program: Program) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
    """What each call finds in buffers, and what they hold in the end: who wrote it, and what that had read."""
    held = {name: hash(name) for name in program.buffers}
    found = {}
    for call in program.calls_of("train_step"):
        x, y = call.buffers
        found[call.node] = held[x], held[y]
        held[y] = hash((call.node, held[x], held[y]))
    return found, held


@given(programs())
def test_every_call_sees_what_it_saw(any_program: Program) -> None:
    other = reordered(any_program)
    assert seen(other) == seen(any_program)
    assert other.segments["forward"] == any_program.segments["forward"]
    assert sorted(c.node for c in other.calls) == sorted(c.node for c in any_program.calls)


@given(programs())
def test_no_order_takes_more(any_program: Program) -> None:
    ((other, plan),) = planned(any_program)
    verify(other, plan)
    assert plan.size <= best_plan(any_program).size
    assert other is any_program or plan.size < best_plan(any_program).size, "what takes no less stays"
    (again,) = planned(any_program)
    assert (again[0].calls, again[1].offsets) == (other.calls, plan.offsets)


def test_what_is_needed_for_long_goes_first_where_much_is_needed() -> None:
    """`b` and `c` are made before `d`, which is large, and only `c` is needed by it; so `b` is made behind it."""
    sizes = {"a": 4, "b": 80, "c": 4, "d": 100, "e": 4, "f": 4}
    pairs = [("a", "b"), ("a", "c"), ("c", "d"), ("d", "e"), ("b", "f")]
    calls = tuple(step(i, *pair) for i, pair in enumerate(pairs))
    segments = {"forward": Segment((step(9, "e", "a"),)), "backward": Segment(calls)}
    entries = {
        "predict": Entry(("forward",), ("a",)),
        "train_step": Entry(("forward", "backward"), ("e", "f")),
    }
    buffers = (Buffer(name, "int8_t", (size,), Space.ARENA) for name, size in sizes.items())
    found = program_of(*buffers, segments=segments, entries=entries, output="a")
    ((other, plan),) = planned(found)
    assert best_plan(found).size > 180
    assert plan.size < 120
    assert seen(other) == seen(found)


def test_what_takes_no_less_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = (step(0, "b0", "b1"), step(1, "b1", "b2"))
    segments = {"forward": Segment(calls)}
    buffers = (Buffer(name, "int8_t", (8,), Space.ARENA) for name in ("b0", "b1", "b2"))
    found = program_of(
        *buffers, segments=segments, entries={"predict": Entry(("forward",), ("b2",))}, output="b2"
    )
    monkeypatch.setattr("mcugrad.plan.variants.reordered", replace)  # another program, of the same calls
    assert planned(found)[0][0] is found


def test_what_is_learned_does_not_depend_on_the_order() -> None:
    """The second convolution of this network is updated behind the first: its error and input lie beside less then."""
    net = model((1, 28, 28), FASHION, name="fashion")
    x, y = samples(net, 4)
    trainer = mg.compile(net, calibration=x, rule="sr8", prefer="ram")
    compiled = trainer.build.compiled
    updates = [c.node for c in compiled.program.calls if c.kernel.name == "mcg_conv2d_update"]
    assert updates == ["conv1_update", "conv2_update"]
    other = lowered(trainer.build.graph, trainer.options)
    assert [c.node for c in other.calls if c.kernel.name == "mcg_conv2d_update"] == updates[::-1]
    plan = best_plan(other)
    assert plan.size > 1.2 * compiled.plan.size
    runners = [ReferenceRunner(each) for each in (compiled, replace(compiled, program=other, plan=plan))]
    labels = trainer.labels(y, len(y))
    for sample, label in zip(trainer.quantize(x), labels, strict=True):
        infos = [runner.step(sample, label) for runner in runners]
        assert infos[0].tobytes() == infos[1].tobytes()
    states = [runner.read(0, compiled.layout.arena_offset) for runner in runners]
    assert states[0][4:].tobytes() == states[1][4:].tobytes()
