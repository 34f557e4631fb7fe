"""Where a network is cut for stored samples: late, but where few bytes cross."""

from __future__ import annotations

from typing import Any

import pytest

import mcugrad as mg
from mcugrad.options import Options
from mcugrad.passes.program.store_latents import SHARE, store_latents
from mcugrad.pipeline import complete, lowered, macs_of
from mcugrad.program import Program
from mcugrad.program.segment import FROZEN
from mcugrad.training.rules import updates
from mcugrad.ways import made_up
from mcugrad.zoo import nets
from networks import Conv, Dense, Pool, model


def program_of(net: mg.Model, train: str, **options: Any) -> Program:
    """Lowered, with sizes alone."""
    chosen = Options(train, updates("sr8"), 0, 0.01, **{"replay_of": "latents", **options})
    return lowered(complete(net, made_up(net), chosen), chosen, sizes_only=True)


def names(program: Program) -> list[str]:
    return [buffer.name for buffer in program.latents]


def test_a_map_that_is_pooled_is_stored_behind_the_pool() -> None:
    net = model((1, 12, 12), (Conv(6, pads=(1, 1, 1, 1)), Pool(), Dense(4)))
    program = program_of(net, "last:1")
    assert (names(program), program.stored) == (["pool1_y"], 6 * 6 * 6)
    assert program.slot_words == 1 + (216 + 4) // 4


def test_a_small_expansion_is_computed_again() -> None:
    """Of the two cuts that leave a tenth of the multiply-accumulates or less behind, that with fewer bytes."""
    layers = (Conv(8, (5, 5)), Conv(2, (5, 5)), Conv(8, (1, 1)), Dense(4))
    net = model((1, 12, 12), layers)
    program = program_of(net, "last:1")
    assert (names(program), program.stored) == (["conv2_y"], 2 * 4 * 4)
    frozen = {call.node for call in program.segments[FROZEN].calls}
    macs = macs_of(net.graph)
    assert "conv3" not in frozen
    assert macs["conv3"] <= (1 - SHARE) * (macs["conv1"] + macs["conv2"] + macs["conv3"])


def test_an_expansion_that_takes_time_is_not() -> None:
    net = model((1, 12, 12), (Conv(4, (3, 3)), Conv(2, (3, 3)), Conv(16, (3, 3)), Dense(4)))
    program = program_of(net, "last:1")
    assert (names(program), program.stored) == (["conv3_y"], 16 * 6 * 6)


def test_of_cuts_that_as_many_bytes_cross_it_is_the_last() -> None:
    net = model((1, 8, 8), (Conv(3, (3, 3), pads=(1, 1, 1, 1)), Conv(3, (1, 1), act=""), Dense(4)))
    assert names(program_of(net, "last:1")) == ["conv2_y"]


def test_integers_are_stored_where_what_trains_is_float() -> None:
    net = model((1, 12, 12), (Conv(6, (5, 5), (2, 2), (2, 2, 2, 2)), Dense(4)))
    program = program_of(net, "last:1", precision="mixed")
    assert [b.ctype for b in program.latents] == ["int8_t"]
    assert program.stored == 6 * 6 * 6
    whole = program_of(net, "last:1", precision="float32")
    assert [b.ctype for b in whole.latents] == ["float"]
    assert whole.stored == 4 * 6 * 6 * 6


@pytest.mark.parametrize("train", ["all", "bias", "none"])
def test_where_nothing_is_frozen_in_front_inputs_are_stored(train: str) -> None:
    net = model((1, 12, 12), (Conv(6), Dense(4)))
    program = program_of(net, train)
    assert not program.stores_latents
    assert program.stored == 144
    assert store_latents(program, {}) is program


def test_calls_and_their_order_stay() -> None:
    net = model((1, 12, 12), (Conv(8, (5, 5)), Conv(2, (5, 5)), Conv(8, (1, 1)), Dense(4)))
    inputs, latents = (program_of(net, "last:1", replay_of=of) for of in ("inputs", "latents"))
    for entry in inputs.entries:
        assert [c.node for c in inputs.calls_of(entry)] == [c.node for c in latents.calls_of(entry)]
    assert len(inputs.segments[FROZEN].calls) == len(latents.segments[FROZEN].calls) + 1


def test_mbednet_is_cut_in_front_of_its_last_block(tmp_path: Any) -> None:
    path = tmp_path / "mbednet.onnx"
    nets.write("mbednet", path, input_shape=(96, 96, 3), classes=10)
    program = program_of(mg.load(path), "last:5")
    assert program.stored == 432
    assert program.buffers[program.input].count == 27648
