"""Convolutions that are pooled at once: the same bytes, and no map between the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

import mcugrad as mg
from mcugrad.emit.fingerprint import fingerprint
from mcugrad.ops.convolution.conv2d_maxpool_s8 import PooledConv2dStruct, may_be_one
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.passes.program.keep_winners import keep_winners
from mcugrad.passes.program.pool_at_once import pool_at_once
from mcugrad.pipeline import lowered
from mcugrad.plan import best_plan, planned, verify
from mcugrad.program import Program, Space
from mcugrad.program.spec import check
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Pool, model, samples
from thoroughness import LONG, turns

FORWARD, GRAD_INPUT, UPDATE = (f"mcg_conv2d_maxpool_{name}" for name in ("s8", "grad_input_s8", "update"))
LAYERS = (Conv(8), Pool(), Conv(8, pads=(1, 1, 1, 1)), Pool(), Dense(3))


@cache
def made(prefer: str = "ram", **how: Any) -> Trainer:
    net = model((1, 18, 18), LAYERS, name="pooled")
    return mg.compile(net, calibration=samples(net, 16)[0], **{"rule": "sr8", "prefer": prefer, **how})


def kernels(program: Program) -> list[str]:
    return [call.kernel.name for call in program.calls]


def test_no_map_between_the_two_is_left() -> None:
    program = made().build.compiled.program
    found = kernels(program)
    assert [found.count(name) for name in (FORWARD, GRAD_INPUT, UPDATE)] == [2, 1, 2]
    assert not {name for name in found if name.startswith("mcg_maxpool")}
    assert not {"conv1_y", "conv2_y", "conv1_y_e", "conv2_y_e"} & set(program.buffers)
    whole = made("speed").build.compiled
    assert not {FORWARD, GRAD_INPUT, UPDATE} & set(kernels(whole.program))
    usual = max(plan.size for _, plan in planned(lowered(made().build.graph, made().options)))
    assert made().build.compiled.plan.size < 0.75 * usual


@pytest.mark.parametrize(
    ("how", "lines"),
    turns(
        [{}, {"train": "last:2"}, {"rule": "sr12"}, {"sparse": mg.Sparse(0.5)}, {}, {}], [2, 1, 3, 1, 1, 3]
    ),
    ids=str,
)
def test_what_is_learned_is_the_same(how: dict[str, Any], lines: int) -> None:
    """By the twin and by the references, and by the references of the program as it was lowered."""
    trainer = made(**how)
    compiled = trainer.build.compiled
    plain = lowered(trainer.build.graph, trainer.options)
    program = pool_at_once(keep_winners(plain), lines)
    assert FORWARD in kernels(program)
    fused = replace(compiled, program=program, plan=best_plan(program))
    verify(fused.program, fused.plan)
    x, y = samples(trainer.model, 5)
    runners = [
        HostTwin(fused),
        ReferenceRunner(fused),
        ReferenceRunner(replace(compiled, program=plain, plan=best_plan(plain))),
    ]
    for sample, label in zip(trainer.quantize(x), trainer.labels(y % 3, len(y)), strict=True):
        infos = [runner.step(sample, label).tobytes() for runner in runners]
        assert infos[0] == infos[1] == infos[2]
    states = [runner.read(0, compiled.layout.arena_offset)[4:].tobytes() for runner in runners]
    assert states[0] == states[1] == states[2]


def test_states_go_from_one_to_the_other() -> None:
    """A model is the same however much memory it has."""
    words = {fingerprint(c.program, c.layout) for c in (made(p).build.compiled for p in ("ram", "speed"))}
    assert len(words) == 1


def test_what_chooses_channels_sees_all_errors() -> None:
    """Forward passes are pooled at once, and the errors that channels are chosen by stay a map."""
    found = kernels(
        pool_at_once(keep_winners(lowered(made().build.graph, made(sparse=mg.Sparse(0.5)).options)))
    )
    assert FORWARD in found


def test_what_is_frozen_keeps_nothing() -> None:
    program = made(train="last:1").build.compiled.program
    assert kernels(program).count(FORWARD) == 2
    assert not [name for name in program.buffers if name.endswith("_won")]


def test_an_output_that_others_read_stays() -> None:
    trainer = made()
    program = keep_winners(lowered(trainer.build.graph, trainer.options))
    entries = {
        name: replace(entry, reads=(*entry.reads, "conv1_y")) for name, entry in program.entries.items()
    }
    found = pool_at_once(replace(program, entries=entries))
    assert "conv1_y" in found.buffers
    assert kernels(found).count(FORWARD) == 1


CONV = Conv2dStruct(8, 8, 2, 8, 8, 4, 3, 3, 1, 1, 1, 1, 1, 1)
POOL = Pool2dStruct(8, 8, 4, 4, 4, 2, 2, 2, 2, 0, 0, 1, 1)


@pytest.mark.parametrize(
    ("conv", "pool"),
    [
        ({}, {"stride_h": 1, "out_h": 7}),
        ({}, {"pad_top": 1}),
        ({}, {"out_h": 5}),
        ({}, {"dilation_w": 2, "stride_w": 3, "out_w": 2}),
        ({}, {"channels": 1, "out_w": 3}),
        ({"stride_h": 4, "out_h": 2}, {"in_h": 2, "out_h": 1}),
        ({"pad_top": 3}, {}),
        ({"in_h": 12}, {}),
    ],
    ids=[
        "windows overlap",
        "padding of the pool",
        "windows beyond the output",
        "gaps in windows",
        "rows that end within a byte",
        "rows of the input that nothing reads",
        "outputs of padding alone",
        "inputs behind the last",
    ],
)
def test_what_cannot_be_one_stays(conv: dict[str, int], pool: dict[str, int]) -> None:
    assert may_be_one(CONV, POOL)
    assert not may_be_one(replace(CONV, **conv), replace(POOL, **pool))


@pytest.mark.parametrize("lines", [1, 2, 3, 4, 9])
def test_bands_cover_every_row_once(lines: int) -> None:
    g = PooledConv2dStruct(replace(CONV, in_h=9, out_h=9), replace(POOL, in_h=9), lines)
    assert sum(part.out_h for part in g.parts()) == 9
    assert sum(part.in_h for part in g.grad_parts()) == 9
    assert max(part.out_h for part in g.parts()) * 8 * 4 == g.band


@pytest.mark.mcu
def test_cores_learn_the_same() -> None:
    trainer = made()
    x, y = samples(trainer.model, 4)
    trainer.verify(x, y % 3, on=["reference", *(["cortex-m0plus"] if LONG else []), "cortex-m4f"], rate=0.01)


def test_bands_are_no_choice_where_they_take_no_less() -> None:
    """Whole maps are the most that is offered, so that what memory may be spent on begins there."""
    for net in (model((1, 18, 18), LAYERS), model((1, 6, 6), (Conv(4), Pool(), Dense(3)), name="small")):
        made = mg.compile(net, calibration=samples(net, 16)[0], rule="sr8")
        plain = lowered(made.build.graph, made.options)
        whole = min(best_plan(each).size for each in (plain, keep_winners(plain)))
        sizes = [plan.size for program, plan in planned(plain) if program.same_as is not None]
        assert all(size < whole for size in sizes)


@pytest.mark.parametrize("change", [keep_winners, lambda program: pool_at_once(keep_winners(program), 1)])
def test_what_is_new_takes_no_name_that_there_is(change: Callable[[Program], Program]) -> None:
    """Whatever a file calls its layers: a buffer with the name that a pass would give stays another one."""
    plain = lowered(made().build.graph, made().options)
    stays = next(
        b.name
        for b in plain.in_space(Space.ARENA)
        if b.name in change(plain).buffers and b.name not in plain.looked_at
    )
    for name in sorted(change(plain).buffers.keys() - plain.buffers.keys()):
        new = {stays: name}
        buffers = {new.get(old, old): replace(b, name=new.get(old, old)) for old, b in plain.buffers.items()}
        segments = {
            key: replace(segment, calls=tuple(call.renamed(new) for call in segment.calls))
            for key, segment in plain.segments.items()
        }
        found = check(change(replace(plain, buffers=buffers, segments=segments)))
        assert found.buffers[name].note == plain.buffers[stays].note
        assert len(found.buffers) == len(change(plain).buffers), name
