"""The whole story in a few seconds: load, compile, fit, verify on an emulated core, export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from networks import Conv, Dense, Pool, corners, write_onnx


@pytest.mark.mcu
def test_whole_story(tmp_path: Path) -> None:
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    layers = (Conv(6, stride=(2, 2), pads=(1, 1, 1, 1)), Pool(), Dense(4))
    path = write_onnx(tmp_path / "tiny.onnx", (1, 12, 12), layers)
    x, y = corners(500)

    model = mg.load(path)
    assert repr(model).startswith("<Model tiny: 12x12x1 -> 4, 2 layers with weights")

    trainer = mg.compile(model, calibration=x[:64], rule="sr8", target="cortex-m0plus")
    before = trainer.evaluate(x[400:], y[400:])
    history = trainer.fit(
        x[:400], y[:400], epochs=5, rate=0.05, schedule="cosine", validation=(x[400:], y[400:])
    )
    after = history[-1].validation_accuracy
    assert after is not None
    assert before < 0.6 < 0.95 < after
    assert history[-1].loss < history[0].loss

    proof = trainer.verify(x[:5], y[:5], on=["emulator", "reference"])
    assert proof.executors == ("emulator", "reference")
    assert 10_000 < proof.instructions["emulator"] < 1_000_000

    folder = trainer.export(tmp_path / "firmware")
    files = ["LICENSE", "README.md", "examples", "mcugrad.sha256", "tiny.c", "tiny.h"]
    assert sorted(file.name for file in folder.iterdir()) == files
    assert "tiny_train_step" in (folder / "tiny.h").read_text()


MISTAKES: dict[str, tuple[Callable[[mg.Trainer, Any, Any], object], str]] = {
    "path": (
        lambda t, x, y: mg.compile("tiny.onnx", calibration=x),
        "compile takes a loaded network, not str",
    ),
    "loss": (lambda t, x, y: mg.compile(t.model, calibration=x, loss=None), "loss=None is no loss"),
    "target": (lambda t, x, y: mg.compile(t.model, calibration=x, target=4), "target=4 is no board or core"),
    "seed": (
        lambda t, x, y: mg.compile(t.model, calibration=x, seed=0.5),
        "seed 0.5 does not fit into 32 bits",
    ),
    "rate": (
        lambda t, x, y: mg.compile(t.model, calibration=x, rate="0.1"),
        "a learning rate of '0.1' is not",
    ),
    "epochs": (lambda t, x, y: t.fit(x, y, epochs=1.5), "epochs=1.5 is no number of passes"),
    "order": (lambda t, x, y: t.fit(x, y, seed=-1), "seed -1 does not fit into 32 bits"),
    "replay": (lambda t, x, y: t.fit(x, y, replay=64), "replay=64 is no Replay"),
    "guard": (lambda t, x, y: t.fit(x, y, guard=(x,)), "guard= takes samples and labels, or a Guard"),
    "validation": (lambda t, x, y: t.fit(x, y, validation=(x,)), "validation= takes samples and labels"),
    "nobody": (lambda t, x, y: t.verify(x, y, on=[]), "there is nobody to compare the host twin with"),
    "state": (lambda t, x, y: setattr(t, "state", {}), "the learned state is of another model: "),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_told_in_words(tmp_path: Path, case: str) -> None:
    model = mg.load(write_onnx(tmp_path / "tiny.onnx", (1, 12, 12), (Conv(2), Pool(), Dense(4))))
    x, y = corners(16)
    trainer = mg.compile(model, calibration=x)
    before = trainer.state
    attempt, message = MISTAKES[case]
    with pytest.raises((mg.UsageError, mg.DataError)) as error:
        attempt(trainer, x, y)
    assert error.value.what.startswith(message)
    assert error.value.hint
    assert all(np.array_equal(before[name], value) for name, value in trainer.state.items())
