"""<name>_check and the fingerprint: what a device refuses to go on with, and that Python says the same."""

from __future__ import annotations

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.emit.fingerprint import word
from mcugrad.run.host import HostTwin
from mcugrad.state.check import damages
from networks import Dense, model, samples
from state_models import DAMAGED, KINDS, NULL, OK, STATE, Device, made


def test_a_fresh_and_a_trained_state_pass() -> None:
    for kind in KINDS:
        trainer, x, y = made(kind)
        device = Device(trainer)
        assert device.check() == device.python() == OK, kind
        twin = HostTwin(trainer.build.compiled)
        twin.train(x, y, np.arange(60, dtype=np.uint32))
        for name, value in twin.state().items():
            device.view(name)[...] = value
        assert device.check() == device.python() == OK, kind
    assert device.c.life_check(device.ffi.NULL) == NULL


def test_memory_that_nothing_was_put_into_and_that_of_another_model_are_refused() -> None:
    device, other = Device(made("sr8")[0]), Device(made("planes")[0])
    assert device.words[0] == word(device.compiled.fingerprint) != other.words[0]
    for word_ in (0, 0xFFFFFFFF, 0x6D636731, int(other.words[0]), int(device.words[0]) ^ 1):
        device.words[0] = word_
        assert device.check() == STATE
        assert device.c.life_set_rate(device.memory, 0.1) == STATE


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_images_are_refused_or_harmless(kind: str) -> None:
    """Garbage never gives MCG_OK and outputs that are no numbers; here and on the device the verdict is the same."""
    trainer, x, y = made(kind)
    device, random = Device(trainer), np.random.default_rng(7)
    fresh, params = device.bytes.copy(), device.bytes[4 : device.compiled.layout.arena_offset]
    program = device.compiled.program
    out = np.empty(program.classes, program.buffers[program.output].dtype)
    ctype = program.buffers[program.output].ctype
    twin, verdicts = HostTwin(device.compiled), []
    for i in range(200):
        device.bytes[:] = fresh
        start, count = int(random.integers(len(params))), int(2 ** random.uniform(0, 12))
        part = params[start : start + count] if i % 4 else params
        if i % 3 == 0:
            part[:] = random.integers(0, 256, len(part))
        elif i % 3 == 1:
            part[:] = random.choice([0, 0xFF, 0x7F, 0x80])
        else:
            part ^= np.where(random.random(len(part)) < 0.02, 1 << random.integers(8), 0).astype(np.uint8)
        verdict = device.check()
        assert verdict == device.python()
        verdicts.append(verdict)
        if verdict == OK:
            assert (
                device.c.life_predict(
                    device.memory,
                    device.ffi.from_buffer("int8_t[]", x[i % 60]),
                    device.ffi.from_buffer(f"{ctype}[]", out),
                )
                == OK
            )
            twin.restore(device.state())
            loss = twin.train(x, y, np.array([i % 60], np.uint32), None).loss
            assert np.isfinite(out.astype(np.float32)).all()
            assert np.isfinite(loss).all()
    assert verdicts.count(OK) > 10
    assert verdicts.count(DAMAGED) > 50


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        ("sr8", "fc1_w_scale", (0.0, -1e-3, np.nan, np.inf, 2.0**31)),
        ("sr8", "watch", (1025,)),
        ("sr8", "schedule", (4,)),
        ("sr8", "fc1_b", (np.nan, -np.inf, 1.1e9)),
        ("sr8", "fc1_w", (-128,)),
        ("standardized", "fc1_w_zero", (-129, 128)),
        ("planes", "fc1_w_change_scale", (0.0, np.nan)),
        ("planes", "fc1_w_change", (-128,)),
        ("planes", "largest_loss", (-1.0, np.inf)),
        ("float32", "fc1_w", (np.nan, np.inf)),
    ],
)
def test_each_kind_of_number_has_its_range(kind: str, name: str, values: tuple[float, ...]) -> None:
    device = Device(made(kind)[0])
    before = device.bytes.copy()
    for value in values:
        device.bytes[:] = before
        place = device.view(name).reshape(-1)
        place[-1:] = place.dtype.type(value) if place.dtype.names is None else 0
        if place.dtype.names is not None:
            place[place.dtype.names[0]] = value
        assert device.check() == device.python() == DAMAGED, value
        (said,) = damages(device.compiled.layout.params, device.state())
        assert said.startswith(name)


def test_a_network_of_huge_values_begins_within_what_it_can_hold() -> None:
    """Else a model would call its own first state damaged."""
    net = model((1, 2, 2), (Dense(4), Dense(3)))
    x = samples(net, 32)[0] * np.float32(2.0**50)
    made = mg.compile(net, calibration=x, rate=0.01)
    for buffer in made.build.compiled.layout.params:
        if buffer.within is not None:
            assert buffer.value is not None
            assert buffer.within[0] <= buffer.value.min() <= buffer.value.max() <= buffer.within[1], (
                buffer.name
            )
