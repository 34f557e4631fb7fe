"""Augmentation: what it does to a sample, real units and codes, training with it, the same on every executor."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from life_models import ARG, CAPACITY, CORES, LABEL, NULL, OK, Api, device, kinds, mcu, task
from mcugrad import targets
from mcugrad.abi.records import AUGMENT
from mcugrad.ops.life.augment import augment_s8
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Runner, State, differences
from mcugrad.trainer import Trainer
from networks import Dense, corners, model
from thoroughness import LONG, turns

F32 = np.float32
H, W, C, ZERO = 7, 5, 3, -20
SCALE = 0.02
ALL = mg.Augment(shift=(2, 1), gain=0.2, offset=0.1, noise=0.05, seed=3)


def changed(how: np.ndarray, x: np.ndarray, number: int) -> np.ndarray:
    y = np.zeros_like(x)
    augment_s8(H, W, C, ZERO, how, number, x, y)
    return y


@cache
def sample() -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, H * W * C).astype(np.int8)


# --- what it does ---------------------------------------------------------------------------------------------


def test_nothing_asked_for_changes_nothing() -> None:
    for number in range(10):
        np.testing.assert_array_equal(changed(np.zeros(1, AUGMENT), sample(), number), sample())


def test_shifts_take_the_sample_everywhere_and_repeat_the_border() -> None:
    how, seen = mg.Augment(shift=(2, 1)).record((H, W, C), SCALE), {}
    padded = np.pad(sample().reshape(H, W, C), ((2, 2), (1, 1), (0, 0)), mode="edge")
    wanted = {
        (down, right): padded[2 - down : 2 - down + H, 1 - right : 1 - right + W].tobytes()
        for down in range(-2, 3)
        for right in range(-1, 2)
    }
    for number in range(1500):
        found = changed(how, sample(), number).tobytes()
        place = next(k for k, v in wanted.items() if v == found)
        seen[place] = seen.get(place, 0) + 1
    assert set(seen) == set(wanted)
    assert max(abs(n - 100) for n in seen.values()) < 40, "equally likely"


def test_gain_is_around_zero_and_offset_moves_all_alike() -> None:
    x = np.full(H * W * C, ZERO + 100, np.int8)
    x[0] = ZERO
    gain = mg.Augment(gain=0.25).record((H, W, C), SCALE)
    grown = np.asarray([changed(gain, x, n)[:2] for n in range(1000)], int) - ZERO
    assert not grown[:, 0].any(), "zero stays zero"
    assert (grown[:, 1].min(), grown[:, 1].max()) == (75, 125)
    assert abs(grown[:, 1].mean() - 100) < 1
    offset = mg.Augment(offset=0.4).record((H, W, C), SCALE)
    moved = np.asarray([changed(offset, x, n) for n in range(1000)], int) - ZERO
    assert (moved[:, 1:] == moved[:, 1:2]).all()
    assert (moved[:, 0].min(), moved[:, 0].max()) == (-20, 20)
    assert abs(moved[:, 0].mean()) < 0.8


def test_noise_has_the_deviation_asked_for_and_no_bias() -> None:
    x = np.full(H * W * C, ZERO, np.int8)
    for wanted in (0.02, 0.1, 0.4):  # 1, 5 and 20 steps
        how = mg.Augment(noise=wanted).record((H, W, C), SCALE)
        noise = (np.stack([changed(how, x, n) for n in range(500)]).astype(int) - ZERO) * SCALE
        rounding = SCALE / np.sqrt(12)
        assert noise.std() == pytest.approx(np.hypot(wanted, rounding), rel=0.02)
        assert abs(noise.mean()) < 4 * noise.std() / np.sqrt(noise.size)
        neighbours = np.corrcoef(noise[:, :-1].reshape(-1), noise[:, 1:].reshape(-1))[0, 1]
        assert abs(neighbours) < 0.02


def test_values_saturate() -> None:
    how = mg.Augment(offset=255 * 0.02).record((H, W, C), SCALE)
    found = np.stack([changed(how, sample(), n) for n in range(50)])
    assert (found.min(), found.max()) == (-128, 127)


def test_every_sample_and_seed_has_changes_of_its_own() -> None:
    other = mg.Augment(shift=(2, 1), gain=0.2, offset=0.1, noise=0.05, seed=4)
    found = {
        changed(h.record((H, W, C), SCALE), sample(), n).tobytes() for h in (ALL, other) for n in range(50)
    }
    assert len(found) == 100


# --- real units -----------------------------------------------------------------------------------------------


def test_maps_signals_and_features() -> None:
    def shifts(augment: mg.Augment, shape: tuple[int, ...]) -> tuple[int, int]:
        record = augment.record(shape, SCALE)[0]
        return int(record["shift_h"]), int(record["shift_w"])

    assert shifts(mg.Augment(shift=2), (9, 7, 3)) == (2, 2)
    assert shifts(mg.Augment(shift=2), (1, 50, 3)) == (0, 2), "a signal moves along its length"
    assert shifts(mg.Augment(shift=2), (50, 1, 3)) == (2, 0)
    assert shifts(mg.Augment(shift=(0, 49)), (1, 50, 3)) == (0, 49)
    assert shifts(mg.Augment(gain=0.1), (16,)) == (0, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": -1}, "shift=-1 is no number of rows and columns"),
        ({"shift": 1.5}, r"shift=1\.5 is no number"),
        ({"shift": (1, 2, 3)}, r"shift=\(1, 2, 3\) is no number"),
        ({"shift": (1, float("nan"))}, r"shift=\(1, nan\) is no number"),
        ({"gain": -0.1}, r"gain=-0.1 is not in \[0, 1\]"),
        ({"gain": 1.1}, r"gain=1.1 is not in \[0, 1\]"),
        ({"gain": float("nan")}, r"gain=nan is not in \[0, 1\]"),
        ({"offset": -1.0}, "offset=-1.0 is not usable"),
        ({"noise": float("inf")}, "noise=inf is not usable"),
        ({"noise": float("nan")}, "noise=nan is not usable"),
        ({"noise": "much"}, "noise='much' is not usable"),
        ({"gain": None}, r"gain=None is not in \[0, 1\]"),
        ({"seed": 2**32}, "seed 4294967296 does not fit into 32 bits"),
    ],
)
def test_augmentation_that_makes_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mg.UsageError, match=message):
        mg.Augment(**options)


def test_augmentation_that_does_not_fit_the_input() -> None:
    for shift, shape, message in (
        (9, (9, 9, 1), "a shift of 9 rows and 9 columns is too large for a map of 9 x 9"),
        ((1, 2), (1, 50, 3), "a shift of 1 rows and 2 columns is too large for a map of 1 x 50"),
        (1, (16,), "an input of 16 is no map that could shift"),
        (1, (1, 1, 4), "an input of 1x1x4 is no map that could shift"),
    ):
        with pytest.raises(mg.UsageError, match=message):
            mg.Augment(shift=shift).record(shape, SCALE)
    with pytest.raises(mg.UsageError, match=r"offset=5.2 is larger than the range of the input allows: 5.1"):
        mg.Augment(offset=5.2).record((H, W, C), SCALE)
    for noise in (3.0, 1e38):
        with pytest.raises(
            mg.UsageError, match=r"noise=.* is larger than the range of the input allows: 2.944"
        ):
            mg.Augment(noise=noise).record((H, W, C), SCALE)


# --- training -------------------------------------------------------------------------------------------------


def test_fit_trains_each_sample_changed_anew_at_each_pass() -> None:
    trainer, x, y = task()
    real, labels = corners(300)
    trainer.twin.init()
    trainer.fit(
        real[:40], labels[:40], epochs=2, rate=0.02, schedule=lambda t: 1.0, shuffle=False, augment=ALL
    )
    found = trainer.state
    twin = HostTwin(trainer.build.compiled)
    twin.begin_augment(trainer.augmentation(ALL))
    seen = [twin.augment(x[:40]), twin.augment(x[:40])]
    twin.end_augment()
    assert (seen[0] != seen[1]).any(axis=1).all()
    for samples in seen:
        twin.train(samples, y[:40], np.arange(40, dtype=np.uint32), np.full(40, 0.02, F32))
    assert differences(found, twin.state()) == []
    twin.init()
    trainer.twin.init()
    trainer.fit(real[:40], labels[:40], rate=0.02, schedule=lambda t: 1.0, shuffle=False)
    twin.train(x[:40], y[:40], np.arange(40, dtype=np.uint32), np.full(40, 0.02, F32))
    assert differences(trainer.state, twin.state()) == [], "the next fit changes nothing"


def test_replay_stores_samples_as_they_came() -> None:
    trainer, x, y = task()
    twin = HostTwin(trainer.build.compiled)
    twin.begin_augment(trainer.augmentation(ALL))
    twin.begin_replay(8, 1, True, 0)
    twin.train(x[:8], y[:8], np.arange(8, dtype=np.uint32), np.full(8, 0.02, F32))
    stored = twin.replay().memory[:, 1:].copy().view(np.int8)[:, :144]
    np.testing.assert_array_equal(stored, x[:8])


def test_features_have_no_shift_but_all_else() -> None:
    net = model((5,), (Dense(3),), name="flat")
    x, y = np.random.default_rng(0).normal(size=(40, 5)).astype(F32), np.arange(40) % 3
    trainer = mg.compile(net, calibration=x)
    trainer.fit(x, y, augment=mg.Augment(gain=0.1, offset=0.05, noise=0.02))
    with pytest.raises(mg.UsageError, match="an input of 5 is no map that could shift"):
        trainer.fit(x, y, augment=mg.Augment(shift=1))


# --- on every executor ----------------------------------------------------------------------------------------


def life(runner: Runner, trainer: Trainer, x: np.ndarray, y: np.ndarray) -> tuple[list[bytes], State]:
    """Changed samples, training with them, and with old ones beside them."""
    order, rate = np.arange(12, dtype=np.uint32), np.full(12, 0.02, F32)
    runner.begin_augment(trainer.augmentation(ALL))
    seen = [runner.augment(x[:9]).tobytes(), runner.train(x, y, order, rate).info.tobytes()]
    runner.begin_replay(CAPACITY, 2, True, 5)
    runner.replay_add(x[:5], y[:5])
    seen.append(runner.train(x[15:], y[15:], order, rate).info.tobytes())
    stored = runner.replay()
    seen += [stored.header.tobytes(), stored.memory.tobytes(), runner.augment(x[:9]).tobytes()]
    runner.end_augment()
    seen.append(runner.train(x[15:], y[15:], order, rate).info.tobytes())
    return seen, runner.state()


def assert_same(runner: Runner, name: str) -> None:
    trainer, x, y = kinds(name)
    seen, state = life(HostTwin(trainer.build.compiled), trainer, x, y)
    found, found_state = life(runner, trainer, x, y)
    assert differences(state, found_state) == []
    assert found == seen


@pytest.mark.parametrize("name", ["classes", "bits", "values", "float32"])
def test_the_reference_augments_alike(name: str) -> None:
    assert_same(ReferenceRunner(kinds(name)[0].build.compiled), name)


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core"), turns(["classes", "float32", *(["values"] if LONG else [])], CORES)
)
def test_cores_augment_alike(name: str, core: str) -> None:
    assert_same(device(name, core), name)


@mcu
@pytest.mark.mcu
def test_a_device_without_room_says_so() -> None:
    bare = EmulatedDevice(kinds("classes")[0].build.compiled, targets.load("cortex-m0plus"))
    with pytest.raises(mg.UsageError, match="built without room for changed samples"):
        bare.begin_augment(np.zeros(1, AUGMENT))


# --- the C functions ------------------------------------------------------------------------------------------


def test_real_units_become_the_same_codes_in_c() -> None:
    api, trainer = Api(), task()[0]
    random, how = np.random.default_rng(0), np.zeros(1, AUGMENT)
    given = api.ffi.cast("void *", how.ctypes.data)
    for seed in range(300):
        shift = tuple(int(n) for n in random.integers(0, 12, 2))
        gain, offset, noise = (float(v) / 2 for v in random.random(3) ** 4)
        augment = mg.Augment(shift=(shift[0], shift[1]), gain=gain, offset=offset, noise=noise, seed=seed)
        assert api.c.life_augment_init(given, *shift, gain, offset, noise, seed) == OK
        np.testing.assert_array_equal(how, trainer.augmentation(augment))


def test_bad_calls_change_nothing() -> None:
    api = Api()
    m, null, c, ffi = api.model, api.ffi.NULL, api.c, api.ffi
    how, x, y = ffi.new("int32_t[7]"), ffi.new("int8_t[]", 144), ffi.new("int8_t[]", 144)
    nan, good = float("nan"), (1, 1, 0.1, 0.1, 0.1)
    wrong = [(0, -1), (0, 12), (1, -1), (1, 12), (1, 2**31 - 1)]
    wrong += [(i, v) for i in (2, 3, 4) for v in (-1e-9, -1.0, nan, float("inf"), 1e6)]  # type: ignore[misc]
    for place, value in wrong:
        given = [value if i == place else v for i, v in enumerate(good)]
        assert c.life_augment_init(how, *given, 1) == ARG, given
    assert c.life_augment_init(null, *good, 1) == NULL
    assert not any(how)
    assert c.life_augment_init(how, *good, 1) == OK
    kept = list(how)
    assert [c.life_augment(*a) for a in ((null, x, y), (how, null, y), (how, x, null))] == [NULL] * 3
    for place, value in enumerate((12, 12, 65537, 65281, 65281)):
        for bad in (value, -1, 2**31 - 1, -(2**31)):
            how[place] = bad
            assert c.life_augment(how, x, y) == ARG
        how[place] = kept[place]
    assert list(how) == kept
    assert not any(y)
    assert c.life_augment(how, x, y) == OK
    assert list(how) == [*kept[:6], 1]
    header, memory = ffi.new("uint64_t[]", 40), ffi.new("uint32_t[]", 3 * 38)
    c.life_init(m)
    c.life_replay_init(header, memory, 3 * 38, 0)
    place = header_of_pointers(4)
    pointers = ffi.cast("void **", ffi.cast("char *", header) + place)
    assert (pointers[1], pointers[2]) == (null, null), "nothing is augmented at first"
    pointers[1] = how
    before = api.bytes(m), api.bytes(header), list(how)
    assert c.life_train_replay(m, header, x, 0, null) == NULL, "there is no scratch"
    pointers[2] = y
    assert c.life_train_replay(m, header, x, 4, null) == LABEL
    how[0] = 99
    assert c.life_train_replay(m, header, x, 0, null) == ARG
    how[0], pointers[2] = kept[0], null
    assert (api.bytes(m), api.bytes(header), list(how)) == before
    pointers[2] = y
    assert c.life_train_replay(m, header, x, 0, null) == OK
    assert c.life_train_replay(m, header, x, 0, null) == OK
    assert how[6] == 4, "one new sample, and then a new and an old one: the buffer was empty at first"


def header_of_pointers(classes: int) -> int:
    """Where the pointers of a `<name>_replay_t` begin on this computer."""
    end = 9 * 4 + 9 * classes
    return -(-end // 8) * 8
