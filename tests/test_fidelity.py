"""What 8 bits cost against float32: counted by hand, of the network as delivered, and said in a line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad.errors import DataError
from mcugrad.fidelity import compared, float_outputs, sample_count
from mcugrad.training.losses import LabelKind
from networks import Conv, Dense, corners, model, samples, trainer

EXACT = np.asarray([[4.0, 0, -4], [0, 3, 0], [1, 2, 2], [-1, 0, 1]], np.float32)


def test_agreement_and_noise_by_hand() -> None:
    real = EXACT.copy()
    real[1] = (3, 2, 0)  # another class; squares of the difference 9 + 1
    found = compared(LabelKind.CLASS, real, EXACT)
    assert (found.samples, found.agreement) == (4, 0.75)
    assert found.snr == pytest.approx(10 * np.log10((32 + 9 + 9 + 2) / 10), abs=0.05)
    assert str(found) == "75.0% of answers as in float32, 7.2 dB signal to noise, 4 samples"
    bits = compared(LabelKind.BITS, real, EXACT)
    assert bits.agreement == pytest.approx(11 / 12)
    values = compared(LabelKind.VALUES, real, EXACT)
    assert values.agreement is None
    assert str(values) == "7.2 dB signal to noise against float32, 4 samples"
    assert values.facts() == {"samples": 4, "agreement": None, "snr_db": 7.2}


@pytest.mark.parametrize("exact", [EXACT, 0 * EXACT, EXACT[:1]], ids=["equal", "zeros", "one sample"])
def test_without_noise_there_is_no_ratio(exact: np.ndarray) -> None:
    found = compared(LabelKind.CLASS, exact, exact)
    assert (found.agreement, found.snr) == (1.0, None)
    assert str(found) == f"100.0% of answers as in float32, no output differs, {len(exact)} samples"


def test_few_samples_of_large_networks() -> None:
    assert sample_count(1000, 5000) == 256
    assert sample_count(20_000_000, 5000) == 100
    assert sample_count(10**12, 5000) == 16
    assert sample_count(10**12, 3) == 3
    assert sample_count(0, 7) == 7


@pytest.mark.parametrize("precision", ["int8", "mixed"])
def test_of_a_network_as_delivered(precision: str) -> None:
    made = trainer((1, 12, 12), (Conv(4, stride=(2, 2)), Dense(4)), precision=precision, train="last:1")
    x, y = corners(64)
    before = made.fidelity(x)
    exact = float_outputs(made.model.graph, x)
    classes = made.predict(x)
    assert before.agreement == float((classes == exact.argmax(axis=1)).mean())
    assert before.samples == 64
    assert before.snr is not None
    assert before.snr > (15 if precision == "int8" else 25)
    made.fit(x, y, epochs=3, rate=0.05)
    assert made.fidelity(x) == before, "what is learned does not count"
    with pytest.raises(DataError):
        made.fidelity(x[:0])


def test_a_narrow_calibration_costs_more() -> None:
    net = model((1, 12, 12), (Conv(4), Dense(4)))
    x, _ = samples(net, 64)
    good, bad = (mg.compile(net, calibration=c).fidelity(x[:32]) for c in (x, 20 * x))
    assert good.snr is not None
    assert bad.snr is not None
    assert good.snr > bad.snr + 10


def test_a_line_after_compiling_and_before_training(cli: Cli, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    data = ("--data", save(tmp_path / "x.npz", x, np.arange(40) % 10), "--train", "last:1")
    line = re.compile(
        r"^int8  (100|\d\d)\.\d% of answers as in float32, \d\d\.\d dB signal to noise, (\d+) samples$", re.M
    )
    out = cli("train", "digits_cnn", *data, "--epochs", "1").out
    found = line.search(out)
    assert found is not None, out
    assert found[2] == "40"
    assert out.index(found[0]) < out.index("epoch 1/1")
    facts = cli("train", "digits_cnn", *data, "--epochs", "1", "--calibration", "20", "--json").facts
    assert facts["fidelity"]["samples"] == 20
    assert (
        "of answers" not in cli("train", "digits_cnn", *data, "--epochs", "1", "--precision", "float32").out
    )
    assert "of answers" not in cli("compile", "digits_cnn", *data, "--no-measure").out
