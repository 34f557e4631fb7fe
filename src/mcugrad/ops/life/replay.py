"""Replay: a class-balanced reservoir of samples, and which of them is drawn.

Chrysakis and Moens, Online Continual Learning from Imbalanced Data, ICML 2020: while places are free, all samples
enter. Then one of a class that has not been among the largest takes the place of a random sample of the largest
classes; any other competes with its own class alone, as in Vitter's reservoir. So classes share the places evenly,
and within a class all samples seen are equally likely to be there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.program import Kernel


def replay_slot(
    capacity: int,
    classes: int,
    stride: int,
    label: int,
    seed: int,
    memory: NDArray[Any],
    count: NDArray[Any],
    added: NDArray[Any],
    seen: NDArray[Any],
    held: NDArray[Any],
    full: NDArray[Any],
    slot: NDArray[Any],
) -> None:
    """The place of a sample in the reservoir, -1 for none; the counters follow."""
    number = int(added[0])
    added[0] = (number + 1) & 0xFFFFFFFF
    seen[label] = min(int(seen[label]) + 1, 0xFFFFFFFF)
    slot[0] = -1
    if count[0] < capacity:
        slot[0] = count[0]
        count[0] += 1
        held[label] += 1
        return
    largest = np.flatnonzero(held[:classes] == held[:classes].max())
    full[largest] = 1
    labels = memory[: capacity * stride : stride]
    random = ar.stream(seed, number, ar.STREAM_PLACE)
    if not full[label]:
        leaving = np.flatnonzero(np.isin(labels, largest))
        slot[0] = leaving[random % len(leaving)]
    elif random % int(seen[label]) < held[label]:
        own = np.flatnonzero(labels == label)
        slot[0] = own[ar.stream(seed, number, ar.STREAM_OWN) % len(own)]
    else:
        return
    held[labels[slot[0]]] -= 1
    held[label] += 1


def drawn(seed: int, number: int, count: int) -> int:
    """The place of the `number`th draw from `count` samples."""
    return ar.stream(seed, number, ar.STREAM_DRAW) % count


REPLAY_SLOT = Kernel("mcg_replay_slot", replay_slot)
