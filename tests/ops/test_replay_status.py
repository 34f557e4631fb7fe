"""A step with a replay buffer refuses the same calls for the same reasons, whether that holds inputs or latents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.life_model import FINGERPRINT, INPUTS, OTHER, SIZE, WEIGHTS, models, reverse
from mcugrad.ops.life.latents import Rest, train_latents
from mcugrad.ops.life.model import LABEL, NULL, OK, STATE, Model
from mcugrad.ops.life.replay_buffer import ReplayBuffer, replay_init
from mcugrad.ops.life.train import replay_status, train_replay
from mcugrad.training.losses import LabelKind

WRONG = {
    "m": NULL,
    "replay": NULL,
    "x": NULL,
    "label": NULL,
    "memory": STATE,
    "buffer": STATE,
    "class": LABEL,
}
"""What may be wrong with a call, the first four not there, and what it returns then, if nothing before it is."""


@pytest.mark.parametrize("holds", ["inputs", "latents"])
@given(model=models(LabelKind.CLASS), wrong=st.sets(st.sampled_from(list(WRONG))))
@settings(deadline=None)
def test_the_first_reason_of_all_is_the_status(holds: str, model: Model, wrong: set[str]) -> None:
    model = replace(model, augment=None)
    m, memory, replay = np.zeros(SIZE, np.uint8), np.zeros(99, np.uint32), ReplayBuffer.of(WEIGHTS)
    m[:4] = np.asarray([OTHER if "memory" in wrong else FINGERPRINT], "<u4").view(np.uint8)
    assert replay_init(model, replay, memory, memory.size, 0) == OK
    replay.header["ready"] = OTHER if "buffer" in wrong else FINGERPRINT
    replay.scratch = np.zeros(INPUTS, np.int8)
    label = np.asarray([model.output_size - ("class" not in wrong)], np.uint32)
    parts = {"m": m, "replay": replay, "x": np.ones(INPUTS, np.int8), "label": label}
    passed = [None if name in wrong else part for name, part in parts.items()]
    before = m.tobytes(), memory.tobytes(), replay.header.tobytes(), replay.scratch.tobytes()
    if holds == "inputs":
        status = train_replay(model, *passed, None)  # type: ignore[arg-type]
    else:
        status = train_latents(Rest(model, reverse), *passed, None)  # type: ignore[arg-type]
    expected = next((WRONG[name] for name in WRONG if name in wrong), OK)
    assert status == expected
    if expected != OK:
        assert before == (m.tobytes(), memory.tobytes(), replay.header.tobytes(), replay.scratch.tobytes())
        assert replay_status(model, *passed) == expected  # type: ignore[arg-type]
