"""Latents: replay of what frozen layers make of samples, around the functions for samples themselves.

What follows those layers is a model, too: its samples are latents. So a buffer, a step on what it holds, and what is
remembered of it are those of that model; beside them a sample has to become latents once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.ops.life.model import ARG, NULL, OK, STATE, Memory, Model
from mcugrad.ops.life.replay_buffer import ReplayBuffer
from mcugrad.ops.life.train import replay_status, train_replay
from mcugrad.program import Kernel


@dataclass(frozen=True)
class Rest:
    """What `mcg_rest_t` holds, under the same names.

    Attributes:
        model: what follows the frozen layers; its samples are latents.
        latents: memory and sample to latents, which it writes.
    """

    model: Model
    latents: Callable[[Any, NDArray[np.int8], NDArray[np.int8]], None]


def latents(
    rest: Rest, m: Memory | None, x: NDArray[np.int8] | None, latents: NDArray[np.int8] | None
) -> int:
    """What frozen layers make of a sample."""
    if m is None or x is None or latents is None:
        return NULL
    if not rest.model.owns(m):
        return STATE
    rest.latents(m, x, latents)
    return OK


def train_latents(
    rest: Rest,
    m: Memory | None,
    replay: ReplayBuffer | None,
    x: NDArray[np.int8] | None,
    label: NDArray[Any] | None,
    step: Any,
) -> int:
    """A sample becomes latents, in the buffer's scratch; then as with samples that are stored themselves."""
    status = replay_status(rest.model, m, replay, x, label)
    if status != OK:
        return status
    assert replay is not None
    assert x is not None
    if replay.augment is not None:
        return ARG
    if replay.scratch is None:
        return NULL
    rest.latents(m, x, replay.scratch)
    return train_replay(rest.model, m, replay, replay.scratch, label, step)


LATENTS_KERNEL = Kernel("mcg_latents", latents)
TRAIN_LATENTS_KERNEL = Kernel("mcg_train_latents", train_latents)
