"""The worlds of the drift suite: what a network learned before it was delivered, and what it meets then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sets import Array, load, rotated

from mcugrad.zoo.worlds import upside_down

OFFLINE_DIGITS, DEVICE_DIGITS = 10_000, 2_000
"""Of the training samples of mnist: what the network learns offline, and what the device may meet."""
PHOTOGRAPHS = 8_000
"""Of those of cifar10: what the network learns offline; the device may meet the others."""

Samples = tuple[Array, NDArray[np.int64]]


@dataclass(frozen=True)
class World:
    """What changes.

    Attributes:
        network: of the zoo.
        classes: number of them.
        train: samples that the network learns offline.
        test: held-out samples of the old world.
        new: samples of the new world to learn from.
        new_test: held-out samples of the new world.
    """

    network: str
    classes: int
    train: Samples
    test: Samples
    new: Samples
    new_test: Samples


WORLDS = {
    "cwru 1 hp": "bearings, 0 hp to 1 hp",
    "cwru 2 hp": "bearings, 0 hp to 2 hp",
    "cwru 3 hp": "bearings, 0 hp to 3 hp",
    "har watch": "motion, phone to watch",
    "har wearers": "motion, new wearers",
    "speech speakers": "keywords, 59 new speakers",
    "speech household": "keywords, 13 new speakers",
    "mnist turned": "digits, turned by 45 degrees",
}
FEW = ("cwru 1 hp", "cwru 2 hp", "cwru 3 hp", "har wearers", "speech speakers", "speech household")
"""Worlds with fewer than 1,024 samples to learn from: from 317 of the household to 800 of bearings."""
RECORDINGS = 30
"""A speaker of the household has at least so many."""


@cache
def world_of(name: str) -> World:
    """The samples of both worlds."""
    kind, change = name.split(" ", 1)
    found = load(kind)
    everyone, held_out = (found.x, found.y), (found.x_test, found.y_test)
    if kind == "mnist":
        # Not by half a turn: upside down, a 6 is a 9, and no network could know both worlds.
        some = found.x[:OFFLINE_DIGITS], found.y[:OFFLINE_DIGITS]
        later = found.x[OFFLINE_DIGITS:][:DEVICE_DIGITS], found.y[OFFLINE_DIGITS:][:DEVICE_DIGITS]
        turned = [(rotated(x, 45), y) for x, y in (later, held_out)]
        return World("lenet", 10, some, held_out, *turned)
    if kind == "cifar10":
        # As a camera sees that hangs from the ceiling.
        known, later = (
            (found.x[:PHOTOGRAPHS], found.y[:PHOTOGRAPHS]),
            (found.x[PHOTOGRAPHS:], found.y[PHOTOGRAPHS:]),
        )
        hung = [(upside_down(x), y) for x, y in (later, held_out)]
        return World("resnet8", 10, known, held_out, *hung)
    if kind == "cwru":
        load_of, test_of = found.of["load"], found.of_test["load"]
        to = int(change[0])
        return World(
            "vibration_cnn",
            10,
            _part(everyone, load_of == 0),
            _part(held_out, test_of == 0),
            _part(everyone, load_of == to),
            _part(held_out, test_of == to),
        )
    if change == "watch":
        device, test_device = found.of["device"], found.of_test["device"]
        return World(
            "inertial_cnn",
            5,
            _part(everyone, device == 0),
            _part(held_out, test_device == 0),
            _part(everyone, device == 1),
            _part(held_out, test_device == 1),
        )
    if kind == "har":
        phone, test_phone = found.of["device"] == 0, found.of_test["device"] == 0
        old, new = _part(everyone, phone), _part(held_out, test_phone)
        late = _late(found.of["subject"][phone], 0.8)
        late_new = _late(found.of_test["subject"][test_phone], 0.5)
        network = "inertial_cnn"
    else:
        # Ten bands, as DS-CNN has: means of four.
        old, new = ((x.reshape(len(x), 49, 10, 4).mean(3)[..., None], y) for x, y in (everyone, held_out))
        if change == "household":
            who = found.of_test["speaker"]
            people, count = np.unique(who[who >= 0], return_counts=True)  # -1 is silence
            new = _part(new, np.isin(who, people[count >= RECORDINGS]))
        # A speaker's recordings are sorted by word, so neighbours are told apart.
        late, late_new = np.arange(len(old[0])) % 5 == 4, np.arange(len(new[0])) % 2 == 1
        network = "ds_cnn"
    return World(
        network,
        found.classes,
        _part(old, ~late),
        _part(old, late),
        _part(new, ~late_new),
        _part(new, late_new),
    )


def _part(samples: Samples, which: NDArray[np.bool_]) -> Samples:
    return samples[0][which], samples[1][which]


def _late(who: NDArray[np.int64], begin: float) -> NDArray[np.bool_]:
    """Of everybody, the samples from a share of theirs on, in the order in which they were recorded."""
    late = np.zeros(len(who), bool)
    for one in np.unique(who):
        mine = np.flatnonzero(who == one)
        late[mine[int(np.ceil(begin * len(mine))) :]] = True
    return late
