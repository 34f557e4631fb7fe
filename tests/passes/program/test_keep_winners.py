"""Pools that keep which input won, instead of all inputs: the same errors, less memory."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcugrad as mg
from mcugrad.ops.pooling.maxpool2d_kept_s8 import (
    are_apart,
    bits_of,
    maxpool2d_grad_kept_s8,
    maxpool2d_keep_s8,
    size_of,
)
from mcugrad.ops.pooling.maxpool2d_s8 import maxpool2d_grad_input_s8, maxpool2d_s8
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.passes.program.keep_winners import keep_winners
from mcugrad.pipeline import lowered
from mcugrad.plan import best_plan, planned
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Pool, model, samples
from thoroughness import LONG

GRAD, KEEP, GRAD_KEPT = "mcg_maxpool2d_grad_input_s8", "mcg_maxpool2d_keep_s8", "mcg_maxpool2d_grad_kept_s8"


@cache
def made(stride: int = 2, train: str = "all") -> Trainer:
    layers = (Conv(8), Pool(stride=(stride, stride)), Conv(8), Pool(), Dense(3))
    net = model((1, 16, 16), layers, name="pooled")
    return mg.compile(net, calibration=samples(net, 16)[0], rule="sr8", train=train, prefer="speed")


def names(trainer: Trainer) -> list[str]:
    return [call.kernel.name for call in trainer.build.compiled.program.calls]


@given(
    *(st.integers(1, 7) for _ in range(2)),
    *(st.integers(1, 3) for _ in range(6)),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 1 << 30),
)
def test_errors_go_where_they_went(
    in_h: int,
    in_w: int,
    channels: int,
    out: int,
    k_h: int,
    k_w: int,
    more: int,
    dilation: int,
    top: int,
    left: int,
    seed: int,
) -> None:
    """Kept and read back, the winners are those that are looked for in the input, the first among equals."""
    stride = (k_h - 1) * dilation + more, (k_w - 1) * dilation + more
    g = Pool2dStruct(in_h, in_w, channels, out, out + 1, k_h, k_w, *stride, top, left, dilation, dilation)
    assert are_apart(g)
    random = np.random.default_rng(seed)
    x = random.integers(-128, -120, in_h * in_w * channels).astype(np.int8)
    e = random.integers(-127, 128, out * (out + 1) * channels).astype(np.int8)
    y, other = np.zeros_like(e), np.zeros_like(e)
    kept = np.zeros(size_of(g), np.uint8)
    maxpool2d_s8(g, x, y)
    maxpool2d_keep_s8(g, x, other, kept)
    np.testing.assert_array_equal(y, other)
    wanted, found = np.ones_like(x), np.ones_like(x)
    maxpool2d_grad_input_s8(g, e, x, wanted)
    maxpool2d_grad_kept_s8(g, e, kept, found)
    np.testing.assert_array_equal(wanted, found)


@pytest.mark.parametrize(
    ("kernel", "bits"),
    [((1, 1), 1), ((1, 2), 1), ((2, 2), 2), ((3, 1), 2), ((3, 3), 4), ((4, 4), 4), ((5, 5), 8)],
)
def test_places_take_as_few_bits_as_fit(kernel: tuple[int, int], bits: int) -> None:
    g = Pool2dStruct(20, 20, 3, 2, 2, *kernel, 5, 5, 0, 0, 1, 1)
    assert (bits_of(g), size_of(g)) == (bits, -(-12 * bits // 8))


def test_a_pool_keeps_its_winners_where_that_takes_less() -> None:
    trainer = made()
    assert names(trainer).count(KEEP) == names(trainer).count(GRAD_KEPT) == 2
    assert GRAD not in names(trainer)
    plain = lowered(trainer.build.graph, trainer.options)
    whole = max(plan.size for _, plan in planned(plain))
    assert whole < 0.7 * best_plan(plain).size
    won = trainer.build.compiled.program.buffers["pool1_won"]
    assert (won.ctype, won.size) == ("uint8_t", 7 * 7 * 8 * 2 // 8)


def test_windows_that_overlap_and_pools_that_hand_nothing_back_stay() -> None:
    overlapping = made(stride=1)
    program = keep_winners(lowered(overlapping.build.graph, overlapping.options))
    assert [call.node for call in program.calls if call.kernel.name == KEEP] == ["pool2"]
    assert [call.node for call in program.calls if call.kernel.name == GRAD] == ["pool1_grad_input"]
    frozen = made(train="last:1")
    assert KEEP not in names(frozen)
    program = frozen.build.compiled.program
    assert keep_winners(program) is program


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_what_is_learned_is_the_same(compiler: str) -> None:
    """By the twin and by the references, and by the references of the program as it was lowered."""
    trainer = made()
    compiled = trainer.build.compiled
    plain = lowered(trainer.build.graph, trainer.options)
    x, y = samples(trainer.model, 5)
    runners = [
        HostTwin(compiled, compiler=compiler),
        ReferenceRunner(compiled),
        ReferenceRunner(replace(compiled, program=plain, plan=best_plan(plain))),
    ]
    for sample, label in zip(trainer.quantize(x), trainer.labels(y % 3, len(y)), strict=True):
        infos = [runner.step(sample, label).tobytes() for runner in runners]
        assert infos[0] == infos[1] == infos[2]
    states = [runner.read(0, compiled.layout.arena_offset)[4:].tobytes() for runner in runners]
    assert states[0] == states[1] == states[2]


@pytest.mark.mcu
def test_cores_learn_the_same() -> None:
    trainer = made()
    x, y = samples(trainer.model, 4)
    trainer.verify(x, y % 3, on=["reference", *(["cortex-m0plus"] if LONG else []), "cortex-m4f"], rate=0.01)
