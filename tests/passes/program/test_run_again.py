"""Calls that run again instead of what they made being kept: less memory, and the same learned bytes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcugrad as mg
from command_line import Cli
from mcugrad.errors import FitError, UsageError
from mcugrad.passes.program.run_again import chances, run_again
from mcugrad.pipeline import lowered
from mcugrad.plan import best_plan, bound, recomputed, step_instructions, verify
from mcugrad.plan.lifetimes import lifetimes
from mcugrad.plan.plan import RunsAgain
from mcugrad.program import Argument, Buffer, Call, Entry, Kernel, Program, Segment, Space
from mcugrad.program.spec import check
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.trainer import Trainer
from mcugrad.ways import Footprints
from networks import Conv, Dense, Layer, Pool, model, samples
from programs import program_of

CORE = "cortex-m4f"
DEEP: tuple[Layer, ...] = (*(Conv(8, (1, 1), act="HardSwish") for _ in range(4)), Pool(), Dense(4))
SHAPE = (4, 12, 12)


def compiled(**options: object) -> Trainer:
    net = model(SHAPE, DEEP, name="deep")
    return mg.compile(net, calibration=samples(net, 8)[0], rule="sr8", **options)  # type: ignore[arg-type]


# --- programs written by hand -----------------------------------------------------------------------------------------


def nothing() -> None:
    """What the kernels of these programs compute does not matter here."""


KERNEL = Kernel("mcg_lookup_s8", nothing)


def step(x: str, y: str) -> Call:
    """A call that reads one buffer and writes another."""
    return Call(KERNEL, (Argument(value=1), Argument(x), Argument(), Argument(y)), f"{x}_to_{y}")


SIZES = {"a": 40, "b": 40, "c": 8, "d": 8, "e": 100, "f": 8, "g": 8}
FORWARD = (step("x", "a"), step("a", "b"), step("b", "c"))
BACKWARD = (step("c", "d"), step("d", "e"), step("e", "f"), step("b", "g"))


def written(
    backward: tuple[Call, ...] = BACKWARD,
    forward: tuple[Call, ...] = FORWARD,
    reads: tuple[str, ...] = ("f", "g"),
    **spaces: Space,
) -> Program:
    """`b` is made of `a`, which is gone, and kept over `e`, which is large, for the last call."""
    buffers = [Buffer("x", "int8_t", (4,), spaces.get("x", Space.ARGUMENT))]
    buffers += [Buffer(n, "int8_t", (s,), spaces.get(n, Space.ARENA)) for n, s in SIZES.items()]
    segments = {"forward": Segment(forward), "backward": Segment(backward)}
    entries = {
        "predict": Entry(("forward",), ("c",)),
        "train_step": Entry(("forward", "backward"), reads),
    }
    return program_of(*buffers, segments=segments, entries=entries, output="c")


def fullest(program: Program) -> int:
    return best_plan(program).peak


def test_what_is_kept_is_made_again_with_what_it_is_made_of() -> None:
    program = written()
    (again,) = [each for each in chances(program, fullest(program)) if each.wanted == "b"]
    assert [call.node for call in again.calls] == ["x_to_a", "a_to_b"]
    assert (again.gone, again.at) == (2, 6)
    other = run_again(program, again)
    nodes = [(call.node, call.buffers) for call in other.segments["backward"].calls]
    assert nodes[-3:] == [
        ("x_to_a", ("x", "a_again")),
        ("a_to_b", ("a_again", "b_again")),
        ("b_to_g", ("b_again", "g")),
    ]
    assert other.segments["forward"] == program.segments["forward"]
    assert bound(other) < bound(program)
    verify(other, best_plan(other))


@pytest.mark.parametrize(
    ("why", "program"),
    [
        ("its input is learned in between", written((*BACKWARD[:2], step("d", "x"), *BACKWARD[2:]), x=Space.STATE)),
        ("another call writes it, too", written((*BACKWARD[:2], step("e", "b"), *BACKWARD[2:]))),
        ("what it is made of is written again", written((*BACKWARD[:2], step("e", "a"), *BACKWARD[2:]))),
        ("whoever ran the step reads it", written(reads=("b", "f", "g"))),
        ("it is learned", written(b=Space.STATE)),
    ],
)  # fmt: skip
def test_what_could_be_other_bytes_is_kept(why: str, program: Program) -> None:
    assert "b" not in [each.wanted for each in chances(program, 4)], why


def test_frozen_calls_do_not_run_again() -> None:
    program = written()
    parts = {"frozen": Segment(FORWARD[:2]), "forward": Segment(FORWARD[2:])}
    entries = {
        name: replace(entry, segments=("frozen", *entry.segments)) for name, entry in program.entries.items()
    }
    split = replace(program, segments={**parts, "backward": program.segments["backward"]}, entries=entries)
    assert not list(chances(split, 4))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Up to ten calls forwards and ten backwards, over buffers of which some are learned."""
    names = [f"b{i}" for i in range(draw(st.integers(3, 8)))]
    spaces = [draw(st.sampled_from([Space.ARENA, Space.ARENA, Space.ARENA, Space.STATE])) for _ in names]
    pairs = st.permutations([*names, "x"]).filter(lambda each: each[1] != "x").map(lambda each: each[:2])
    forward, backward = (draw(st.lists(pairs, min_size=1, max_size=10)) for _ in range(2))
    calls = [replace(step(x, y), node=f"node{number}") for number, (x, y) in enumerate([*forward, *backward])]
    segments = {
        "forward": Segment(tuple(calls[: len(forward)])),
        "backward": Segment(tuple(calls[len(forward) :])),
    }
    used = {name for call in calls for name in call.buffers} | {"x"}
    read = draw(st.sampled_from(sorted(used - {"x"})))
    entries = {
        "predict": Entry(("forward",), (forward[-1][1],)),
        "train_step": Entry(("forward", "backward"), (read,)),
    }
    buffers = [Buffer("x", "int8_t", (4,), Space.ARGUMENT)]
    buffers += [Buffer(n, "int8_t", (8,), s) for n, s in zip(names, spaces, strict=True) if n in used]
    return program_of(*buffers, segments=segments, entries=entries, output=forward[-1][1])


def seen(program: Program) -> tuple[dict[str, object], dict[str, object]]:
    """What each call reads when it first runs, and what is learned or read in the end: who wrote it, from what."""
    held: dict[str, object] = {name: name for name in program.buffers}
    found: dict[str, object] = {}
    for call in program.calls_of("train_step"):
        x, y = call.buffers
        found.setdefault(call.node, held[x])
        before = held[y] if program.buffers[y].space is Space.STATE else None
        held[y] = hash((call.node, held[x], before))
    ends = {b.name for b in program.in_space(Space.STATE)} | set(program.entries["train_step"].reads)
    return found, {name: held[name] for name in sorted(ends)}


@given(programs())
def test_every_call_sees_what_it_saw(any_program: Program) -> None:
    for time in range(any_program.length):
        for again in chances(any_program, time):
            other = run_again(any_program, again)
            assert seen(other) == seen(any_program)
            verify(other, best_plan(other))
            assert other.calls_of("predict") == any_program.calls_of("predict")


# --- networks ---------------------------------------------------------------------------------------------------------


def test_less_memory_and_the_same_learned_bytes() -> None:
    kept, again = compiled(prefer="ram"), compiled(prefer="ram", recompute=True)
    plain, less = kept.build.compiled, again.build.compiled
    check(less.program)
    core = kept.options.budget.core
    more = step_instructions(less.program, core) - step_instructions(plain.program, core)
    assert less.plan.again is not None
    assert less.plan.again.more == pytest.approx(more)
    assert less.plan.again.part > 0
    assert less.plan.size < 0.85 * plain.plan.size
    assert less.plan.again.calls > 0
    assert less.fingerprint == plain.fingerprint
    x, y = samples(kept.model, 12)
    x, labels = kept.quantize(x), kept.labels(y, len(y))
    runners = [ReferenceRunner(plain), ReferenceRunner(less), HostTwin(plain), HostTwin(less)]
    for sample, label in zip(x, labels, strict=True):
        told = {runner.step(sample, label).tobytes() for runner in runners}
        assert len(told) == 1
    ends = {runner.read(0, plain.layout.arena_offset).tobytes() for runner in runners}
    assert len(ends) == 1
    assert plain.layout.arena_offset == less.layout.arena_offset


def test_each_step_takes_less_and_more_instructions() -> None:
    trainer = compiled()
    program = lowered(trainer.build.graph, trainer.options)
    found = recomputed(program, CORE)
    assert len(found) > 2
    for before, after in pairwise(found):
        assert bound(after.program) == after.bound < before.bound
        assert after.again.calls > before.again.calls
        assert after.instructions >= before.instructions
        verify(after.program, best_plan(after.program))
    assert found[0].program is program
    assert recomputed(program, CORE)[-1].program.calls == found[-1].program.calls


def test_what_does_not_fit_otherwise_fits() -> None:
    need = compiled(prefer="ram").build.footprint.need
    with pytest.raises(FitError):
        compiled(ram=need - 200, prefer="speed")
    made = compiled(ram=need - 200, prefer="speed", recompute=True)
    assert made.build.footprint.need <= need - 200
    assert made.build.compiled.plan.again is not None
    least = compiled(prefer="ram", recompute=True).build
    assert least.footprint.need < made.build.footprint.need
    free = compiled(prefer="speed", recompute=True).build.compiled.plan.again
    assert free is None or free.more <= 0, "all of it fits: at most what has no price runs again"


def test_where_nothing_trains_nothing_runs_again() -> None:
    with pytest.raises(UsageError, match="nothing trains, so that nothing is kept for a backward pass"):
        compiled(train="none", recompute=True)
    with pytest.raises(UsageError, match="recompute='yes' is neither yes nor no"):
        compiled(recompute="yes")


def test_what_it_costs_is_said() -> None:
    assert RunsAgain(1, 1234.4, 0.021).text == (
        "1 call runs again in a training step, which takes 1,234 instructions more (2.1 %), estimated"
    )
    assert RunsAgain(3, 0.0, 0.0).text == (
        "3 calls run again in a training step, which takes more instructions, which no price tells"
    )
    assert RunsAgain(3, -1234.4, -0.021).cost == "1,234 instructions less (2.1 %), estimated"


def test_lifetimes_end_where_the_forward_pass_ends() -> None:
    program = written()
    (again,) = [each for each in chances(program, 4) if each.wanted == "b"]
    lives = {life.name: life for life in lifetimes(run_again(program, again))}
    assert (lives["b"].last, lives["b_again"].first) == (2, 7)


def test_stored_samples_are_what_they_were() -> None:
    kept, again = (
        compiled(prefer="ram", train="last:4", replay_of="latents", recompute=recompute).build.compiled
        for recompute in (False, True)
    )
    assert again.program.segments["frozen"] == kept.program.segments["frozen"]
    assert [b.name for b in again.program.latents] == [b.name for b in kept.program.latents]
    assert again.plan.again is not None


def test_sizes_are_said_before_there_is_a_build(tmp_path: Path) -> None:
    made = compiled(recompute=True)
    sizes = Footprints(made.model, made.build.scales, made.options)
    assert sizes.of("all", made.options.updates).ram == made.ram
    assert sizes.least("all", made.options.updates).ram == compiled(recompute=True, prefer="ram").ram
    made.save(tmp_path / "deep.mcgstate")
    assert (
        Trainer.load(tmp_path / "deep.mcgstate").build.compiled.fingerprint == made.build.compiled.fingerprint
    )


def test_it_is_said_on_the_command_line(cli: Cli) -> None:
    words = (
        "compile",
        "digits_cnn",
        "--data",
        "digits",
        "--no-measure",
        "--recompute",
        "--prefer",
        "ram",
        "--json",
    )
    facts = cli(*words).facts
    assert facts["runs_again"] is None or facts["runs_again"]["calls"] > 0
    refused = cli(*words[:-1], "--train", "none")
    assert refused.code == 2
    assert "or no --recompute" in refused.err
