"""The table of what a legal program is: compiled networks obey it, and each rule catches its bug."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.program import Argument, Buffer, Call, Entry, Kernel, Program, Segment, Shared, Space
from mcugrad.program.program import RowsInFlash
from mcugrad.program.spec import MEANING, STRUCTURE, IllegalProgramError, check, violations
from networks import Conv, Dense, Layer, Pool, model, samples

NET: tuple[Layer, ...] = (Conv(4), Pool(), Dense(6, "relu"), Dense(3))
SAMPLES = mg.Sparse(0.5, 1.0, samples=0.5)


def compiled(layers: tuple[Layer, ...] = NET, **options: Any) -> Program:
    net = model((1, 8, 8), layers)
    return mg.compile(net, calibration=samples(net, 16)[0], **options).build.compiled.program


@pytest.fixture(scope="module")
def legal() -> Program:
    """With a segment of every kind: frozen calls, both losses, a backward pass that is left out at times."""
    return check(compiled(train="last:2", sparse=SAMPLES))


OPTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "bias": {"train": "bias"},
    "none": {"train": "none"},
    "float32": {"precision": "float32", "sparse": SAMPLES},
    "mixed": {"precision": "mixed", "train": "last:2"},
    "plane": {"rule": mg.Update("sr12", momentum=0.9, batch=4, clip=1.0, weight_decay=1e-4)},
    "bits": {"loss": "binary_cross_entropy"},
    "latents": {"train": "last:2", "replay_of": "latents"},
    "values": {
        "loss": "huber",
        "typical_labels": np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32),
    },
    "fixed": {"sparse": mg.Static({"conv1": 0.5, "fc1": (1, 2)})},
    "weighed": {
        "sparse": mg.Sparse(0.3, policy="split"),
        "loss": mg.Loss(label_smoothing=0.1, class_weights=(1.0, 2.0, 3.0)),
    },
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_compiled_networks_are_legal(kind: str) -> None:
    check(compiled(**OPTIONS[kind]))


@pytest.mark.parametrize("act", ["relu6", "Tanh", "HardSwish"])
def test_both_losses_find_what_they_read(act: str) -> None:
    """The bounds of the output's activation function are derived where they are first asked for."""
    layers = (Conv(4, act=act), Dense(3, act))
    for options in ({}, {"precision": "float32"}, {"train": "last:1"}, {"train": "bias"}):
        check(compiled(layers, **options))


# -- each rule -----------------------------------------------------------------------------------------------------


def buffer(p: Program, name: str, **changes: Any) -> Program:
    """The program with fields of one buffer changed."""
    return replace(p, buffers={**p.buffers, name: replace(p.buffers[name], **changes)})


def more(p: Program, new: Buffer) -> Program:
    """The program with one buffer more."""
    return replace(p, buffers={**p.buffers, new.name: new})


def segment(p: Program, name: str, **changes: Any) -> Program:
    """The program with fields of one segment changed."""
    return replace(p, segments={**p.segments, name: replace(p.segments[name], **changes)})


def entry(p: Program, name: str, **changes: Any) -> Program:
    """The program with fields of one entry changed."""
    return replace(p, entries={**p.entries, name: replace(p.entries[name], **changes)})


def renamed(p: Program, old: str, new: str) -> Program:
    """The program with another name for a segment."""
    segments = {new if name == old else name: s for name, s in p.segments.items()}
    entries = {
        name: replace(e, segments=tuple(new if s == old else s for s in e.segments))
        for name, e in p.entries.items()
    }
    return replace(p, segments=segments, entries=entries)


def passing(p: Program, kernel: str, param: str, argument: Argument) -> Program:
    """The program in which every call of a kernel passes something else for one parameter."""

    def changed(call: Call) -> Call:
        if call.kernel.name != kernel:
            return call
        pairs = zip(call.arguments, call.kernel.params, strict=True)
        return replace(call, arguments=tuple(argument if q.name == param else a for a, q in pairs))

    assert any(call.kernel.name == kernel for call in p.calls), kernel
    return replace(
        p,
        segments={n: replace(s, calls=tuple(map(changed, s.calls))) for n, s in p.segments.items()},
    )


def instead(p: Program, where: str, number: int, **changes: Any) -> Program:
    """The program with one call changed."""
    calls = list(p.segments[where].calls)
    calls[number] = replace(calls[number], **changes)
    return segment(p, where, calls=tuple(calls))


def without(p: Program, where: str, kernel: str) -> Program:
    """The program without the calls of a kernel in one segment."""
    return segment(p, where, calls=tuple(c for c in p.segments[where].calls if c.kernel.name != kernel))


def tracking(p: Program) -> Call:
    """A call that reads what the backward pass writes, and nothing else does."""
    return next(c for c in p.segments["backward"].calls if c.kernel.name == "mcg_track_error")


def shares(call: Call, read: str, written: str) -> Kernel:
    """The kernel of a call with two of its parameters that may be the same bytes."""
    return replace(call.kernel, may_share=(Shared(read, written),))


ONE = np.ones(1, np.float32)
LOST = Kernel("mcg_lost", lambda: None)
BREAK: dict[str, tuple[str, Callable[[Program], Program]]] = {
    "a model's name is empty": ("C identifiers", lambda p: replace(p, name="")),
    "a segment's name is none": ("C identifiers", lambda p: renamed(p, "begin", "first part")),
    "a constant is named like a segment": (
        "no constant has the name",
        lambda p: more(p, Buffer("begin", "float", (1,), Space.CONST, ONE)),
    ),
    "a constant is named like an entry's function": (
        "no constant has the name",
        lambda p: more(p, Buffer("run_predict", "float", (1,), Space.CONST, ONE)),
    ),
    "a buffer is misfiled": ("filed", lambda p: replace(p, buffers={**p.buffers, "odd": p.buffers["loss"]})),
    "a kernel is unknown": ("kernels are declared", lambda p: instead(p, "begin", 0, kernel=LOST)),
    "an argument is missing": ("as many arguments", lambda p: instead(p, "finish", 0, arguments=())),
    "a call names no buffer": (
        "that are touched exist",
        lambda p: passing(p, "mcg_next_step", "step", Argument("odd")),
    ),
    "a condition names no buffer": ("that are touched exist", lambda p: segment(p, "backward", when="odd")),
    "what is read is no buffer": ("that are touched exist", lambda p: entry(p, "predict", reads=("odd",))),
    "the output is no buffer": ("that are touched exist", lambda p: replace(p, output="odd")),
    "the output's scale is no buffer": ("that are touched exist", lambda p: replace(p, output_scale="odd")),
    "an entry runs what there is not": (
        "name segments that exist",
        lambda p: entry(p, "predict", segments=("frozen", "forward", "odd")),
    ),
    "a segment never runs": (
        "each segment is named",
        lambda p: replace(p, segments={**p.segments, "odd": Segment(())}),
    ),
    "segments run in another order": (
        "in the order of the program",
        lambda p: entry(p, "predict", segments=("forward", "frozen")),
    ),
    "a segment runs twice": (
        "each once",
        lambda p: entry(p, "predict", segments=("frozen", "forward", "forward")),
    ),
    "an entry runs nothing": (
        "at least one",
        lambda p: replace(p, entries={**p.entries, "rest": Entry((), ())}),
    ),
    "there is no prediction": (
        "there is a prediction",
        lambda p: replace(p, entries={n: e for n, e in p.entries.items() if n != "predict"}),
    ),
    "elements have no type": ("known type", lambda p: buffer(p, "loss", ctype="double")),
    "a shape is empty": ("no empty dimension", lambda p: buffer(p, "loss", shape=())),
    "a dimension is zero": ("no empty dimension", lambda p: buffer(p, "loss", shape=(0,))),
    "what is learned begins with nothing": ("have contents", lambda p: buffer(p, "step", value=None)),
    "the arena has contents": ("others none", lambda p: buffer(p, "loss", value=ONE)),
    "contents have another type": ("contents of their type", lambda p: buffer(p, "step", value=ONE)),
    "contents have another shape": (
        "contents of their type, shape",
        lambda p: buffer(p, "largest_loss", value=np.ones(2, np.float32)),
    ),
    "contents are out of range": ("and range", lambda p: buffer(p, "largest_loss", value=-ONE)),
    "contents are no numbers": ("and range", lambda p: buffer(p, "largest_loss", value=ONE * np.nan)),
    "a buffer of another type is passed": (
        "what parameters take",
        lambda p: passing(p, "mcg_next_step", "step", Argument("schedule")),
    ),
    "a number is passed for a pointer": (
        "what parameters take",
        lambda p: passing(p, "mcg_next_step", "step", Argument(value=1)),
    ),
    "a pointer is passed for a number": (
        "what parameters take",
        lambda p: passing(p, "mcg_watch_class", "label", Argument("predicted")),
    ),
    "nothing is passed for a number": (
        "what parameters take",
        lambda p: passing(p, "mcg_argmax_s8", "count", Argument()),
    ),
    "a number is too large": (
        "what parameters take",
        lambda p: passing(p, "mcg_argmax_s8", "count", Argument(value=1 << 31)),
    ),
    "a number is none": (
        "what parameters take",
        lambda p: passing(p, "mcg_argmax_s8", "count", Argument(value=1.5)),
    ),
    "two things are passed": (
        "what parameters take",
        lambda p: passing(p, "mcg_next_step", "step", Argument("step", value=1)),
    ),
    "what is passed by value is passed by pointer": (
        "what parameters take",
        lambda p: passing(p, "mcg_next_step", "step", Argument("label")),
    ),
    "a rule is unknown": (
        "what parameters take",
        lambda p: passing(p, "mcg_linear_update", "rule", Argument(rule="sr9")),
    ),
    "a rule is passed for something else": (
        "what parameters take",
        lambda p: passing(p, "mcg_begin_step", "schedule", Argument(rule="sr8")),
    ),
    "constants of another layer are passed": (
        "what parameters take",
        lambda p: passing(p, "mcg_linear_s8", "g", p.segments["frozen"].calls[0].arguments[0]),
    ),
    "what is written may share with what is": (
        "what may be the same bytes",
        lambda p: instead(p, "frozen", 1, kernel=shares(p.segments["frozen"].calls[1], "y", "y")),
    ),
    "what is no array may be one": (
        "what may be the same bytes",
        lambda p: instead(p, "frozen", 1, kernel=shares(p.segments["frozen"].calls[1], "odd", "y")),
    ),
    "a constant is written": (
        "never written",
        lambda p: buffer(p, "step", space=Space.CONST),
    ),
    "the sample is written": (
        "never written",
        lambda p: passing(p, "mcg_maxpool2d_s8", "y", Argument("x")),
    ),
    "what nobody wrote is read": (
        "written before it is read",
        lambda p: without(p, "soft_loss", "mcg_argmax_s8"),
    ),
    "what one loss alone writes is read behind both": (
        "written before it is read",
        lambda p: without(p, "soft_loss", "mcg_soft_cross_entropy_s8"),
    ),
    "what a segment writes that is left out at times is read behind it": (
        "written before it is read",
        lambda p: segment(p, "finish", calls=(*p.segments["finish"].calls, tracking(p))),
    ),
    "the condition is not known yet": (
        "written before it is read",
        lambda p: segment(p, "loss", when="taken"),
    ),
    "a condition is a float": ("is one int32_t", lambda p: segment(p, "backward", when="loss")),
    "what is frozen touches what is learned": (
        "follows from the sample alone",
        lambda p: segment(p, "frozen", calls=(*p.segments["frozen"].calls, p.segments["finish"].calls[0])),
    ),
    "what is frozen is left out at times": (
        "follows from the sample alone",
        lambda p: segment(p, "frozen", when="taken"),
    ),
    "an entry goes on from what another one froze": (
        "begins every entry",
        lambda p: entry(p, "predict", segments=("forward",)),
    ),
    "latents are stored of nothing frozen": (
        "a stored sample has in it",
        lambda p: replace(renamed(p, "frozen", "first"), stores_latents=True),
    ),
    "rows in flash are learned": (
        "some rows are learned",
        lambda p: replace(p, in_flash={"fc1_w": RowsInFlash("fc1_w", "fc1_b")}),
    ),
    "the input is in the arena": ("where they belong", lambda p: replace(p, input="loss")),
    "the output's scale is computed": ("where they belong", lambda p: replace(p, output_scale="loss")),
    "nobody reads the output": ("where they belong", lambda p: entry(p, "predict", reads=("fc1_y",))),
    "a prediction needs a label": (
        "the sample alone",
        lambda p: entry(p, "predict", segments=("frozen", "forward", "begin", "loss")),
    ),
}


@pytest.mark.parametrize("kind", BREAK)
def test_each_rule_catches_its_bug(kind: str, legal: Program) -> None:
    rule, damage = BREAK[kind]
    found = violations(damage(legal))
    assert any(rule in line.split(": ")[0] for line in found), found
    with pytest.raises(IllegalProgramError, match="breaks 1 rules:" if len(found) == 1 else "breaks"):
        check(damage(legal))


def test_every_rule_is_broken_once(legal: Program) -> None:
    seen = {line.split(": ")[0] for _, damage in BREAK.values() for line in violations(damage(legal))}
    assert seen == {rule for rule, _ in (*STRUCTURE, *MEANING)}


def test_what_is_not_in_a_stored_sample_is_named(legal: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which buffers latents are, and where, follows from the program: so these rules look at that, not at the calls."""
    stored = check(replace(legal, stores_latents=True))
    (latent,) = stored.latents

    def found(name: str, value: Any) -> list[str]:
        with monkeypatch.context() as patched:
            patched.setattr(Program, name, value)
            return [line.split(": ")[1] for line in violations(replace(stored))]

    missing, *_ = found("latents", ())
    assert missing == f"{latent.name}, which mcg_linear_s8 of fc1 reads in predict, is not stored"
    assert found("latent_places", {latent.name: 4}) == [
        f"{latent.name} lies at 4, not behind the 0 bytes before it"
    ]
    size = latent.size
    assert found("slot_words", 1 + size // 4) == [f"they are {size} of {size} bytes in {1 + size // 4} words"]
    assert found("stored", size + 1)[0].startswith(f"they are {size} of {size + 1} bytes")


def test_messages_say_where(legal: Program) -> None:
    found = violations(passing(legal, "mcg_next_step", "step", Argument("schedule")))
    assert found == [
        "arguments are what parameters take: step of call 0 of finish, mcg_next_step of next_step is schedule, "
        "mcg_schedule_t (1,) of state, for uint32_t *"
    ]
    found = violations(without(legal, "soft_loss", "mcg_argmax_s8"))
    assert found == [
        "the arena is written before it is read, however an entry runs: predicted by the caller in train_soft"
    ]
    damaged = segment(legal, "finish", calls=(*legal.segments["finish"].calls, tracking(legal)))
    assert violations(damaged) == [
        "the arena is written before it is read, however an entry runs: fc1_y_e_peak by mcg_track_error of "
        f"fc2_grad_input in {name} without backward"
        for name in ("train_step", "train_soft")
    ]
