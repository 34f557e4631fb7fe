"""Update rules: storage, steps, saturation and growth; without bias, and exactly nothing for a zero gradient."""

from __future__ import annotations

import numpy as np
import pytest

from mcugrad import arithmetic as ar
from mcugrad.errors import UsageError
from mcugrad.ops.linear.linear_s8 import LINEAR_UPDATE, LinearStruct
from mcugrad.training.rules import IN_PLACE, RULES, InPlace, rule
from mcugrad.training.rules.family import FAMILY

EVERY = pytest.mark.parametrize("name", IN_PLACE)


def real(r: InPlace, w: np.ndarray, residual: np.ndarray, rows: int, count: int) -> np.ndarray:
    """Stored weights in steps of the int8."""
    half = (1 << r.residual_bits) >> 1
    return (r.split(w.reshape(-1), residual.reshape(-1), rows, count) - half) / (1 << r.residual_bits)


@EVERY
def test_encode_keeps_the_nearest_value(name: str) -> None:
    r = IN_PLACE[name]
    scales = np.asarray([0.01, 0.5, 3.0])
    value = np.random.default_rng(0).uniform(-127, 127, (3, 50)) * scales[:, None]
    w, residual = r.encode(value, scales)
    assert w.shape == value.shape
    assert residual.shape == (3, r.residual_row(50))
    assert (
        np.abs(real(r, w, residual, 3, 50) - value / scales[:, None]).max()
        <= 0.5 / (1 << r.residual_bits) + 1e-9
    )
    assert np.abs(w - value / scales[:, None]).max() <= 0.5 + 1 / (1 << r.residual_bits), (
        "the int8 is it, rounded"
    )


@EVERY
def test_encode_saturates(name: str) -> None:
    r = IN_PLACE[name]
    w, _ = r.encode(np.asarray([[-1000.0, -127.5, 127.5, 1000.0]]), np.ones(1))
    assert w.tolist() == [[-127, -127, 127, 127]]


@EVERY
def test_split_and_join_are_inverse(name: str) -> None:
    r = IN_PLACE[name]
    rng = np.random.default_rng(1)
    w = rng.integers(-127, 128, 3 * 13).astype(np.int8)
    residual = rng.integers(0, 256, 3 * r.residual_row(13)).astype(np.uint8)
    master = r.split(w, residual, 3, 13)
    w_again, again = np.zeros_like(w), np.zeros_like(residual)
    r.join(master, w_again, again)
    assert np.array_equal(w, w_again)
    assert np.array_equal(r.split(w_again, again, 3, 13), master)


@EVERY
def test_zero_gradient_changes_nothing(name: str) -> None:
    """Whatever the random number and the factor, at the ends of the range too: skipping it is exact."""
    r = IN_PLACE[name]
    one = 1 << r.residual_bits
    for factor in (1e-9, 0.3, 1000.0, np.inf):
        scale = ar.scale_from_float(np.asarray([factor], np.float32))[0]
        for counter in range(200):
            master = np.asarray([[-127 * one, -1, 0, 5, 127 * one + one - 1]])
            before = master.copy()
            assert not r.step(master, 0, np.zeros(5, np.int64), scale, counter)
            assert np.array_equal(master, before)


@EVERY
@pytest.mark.parametrize("step", [0.37, -0.004, 0.9, -3.3])
def test_updates_are_unbiased(name: str, step: float) -> None:
    """The mean of many steps from the same weights is the real step, within the noise of rounding."""
    r = IN_PLACE[name]
    gradient = np.full(4096, -40)
    scale = ar.scale_from_float(np.asarray([abs(step) / 40 * 65536], np.float32))[0]
    moved = []
    for counter in range(30):
        master = np.full((1, 4096), (7 << r.residual_bits) + 1)
        assert not r.step(master, 0, gradient if step > 0 else -gradient, scale, ar.stream(counter, 0, 0))
        moved.append((master[0] - (7 << r.residual_bits) - 1) / (1 << r.residual_bits))
    mean = float(np.mean(moved))
    if name in ("sr8", "sr10", "sr12"):
        unit = 1 / (1 << r.residual_bits)
        bound = 5 * 0.5 * unit / (30 * 4096) ** 0.5
    else:
        bound = 0.5 / (1 << r.residual_bits)
    assert abs(mean - step) <= bound + abs(step) * 2**-16 + 2**-17


@pytest.mark.parametrize("name", [r.name for r in FAMILY])
@pytest.mark.parametrize("sign", [1, -1])
def test_saturation_grows_the_scale(name: str, sign: int) -> None:
    """A weight that would leave the range stays at its end; its row gets 1.25 times the range, others do not."""
    r = IN_PLACE[name]
    count = 6
    value = np.tile(np.asarray([sign * 126.9, 50, -50, 3, 0, -1.0]), (2, 1))
    w, residual = r.encode(value, np.ones(2))
    w, residual = w.reshape(-1), residual.reshape(-1)
    before = real(r, w, residual, 2, count)
    scale = np.asarray([0.01, 0.01], np.float32)
    factor = ar.scale_from_float(np.full(2, 65536 / 100, np.float32))
    # The first weight of the first row moves by 2 steps, past the end; nothing else moves.
    x = np.zeros(count, np.int8)
    x[0] = -sign * 100
    LINEAR_UPDATE.reference(
        LinearStruct(count, 2, count, 0, 0), x, np.asarray([2, 0], np.int8), None, factor, r,
        np.zeros(1, np.uint32), np.zeros(1, np.uint32), 0, w, residual if r.residual_bits else None, scale,
    )  # fmt: skip
    assert scale.tolist() == [np.float32(0.01) * np.float32(1.25), np.float32(0.01)]
    after = real(r, w, residual, 2, count)
    assert np.array_equal(after[1], before[1])
    unit = 1 / (1 << r.residual_bits)
    assert np.abs(after[0, 1:] * 1.25 - before[0, 1:]).max() <= 0.625 * unit + 0.01, "re-rounded, not changed"
    assert abs(after[0, 0] * 1.25 - sign * 127) <= 1.2
    assert np.abs(w).max() <= 127


@EVERY
def test_no_weight_becomes_minus_128(name: str) -> None:
    r = IN_PLACE[name]
    w, residual = r.encode(np.full((1, 8), -127.0), np.ones(1))
    w, residual = w.reshape(-1), residual.reshape(-1)
    scale = np.ones(1, np.float32)
    for step in range(20):
        LINEAR_UPDATE.reference(
            LinearStruct(8, 1, 8, 0, 0), np.full(8, 127, np.int8), np.asarray([127], np.int8), None,
            ar.scale_from_float(np.asarray([3000.0], np.float32)), r, np.zeros(1, np.uint32),
            np.asarray([step], np.uint32), 0, w, residual if r.residual_bits else None, scale,
        )  # fmt: skip
        assert w.min() >= -127
    assert scale[0] == 1 if name == "qas" else scale[0] > 10, "the range of qas is fixed"


def test_unknown_rule_is_refused() -> None:
    assert rule("sr8") is RULES["sr8"]
    with pytest.raises(UsageError, match="unknown update rule 'sr9'"):
        rule("sr9")
