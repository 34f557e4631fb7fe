"""The whole story in a few seconds: load, compile, fit, verify on an emulated core, export."""

from __future__ import annotations

from pathlib import Path

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
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "main.c", "tiny.c", "tiny.h"]
    assert "tiny_train_step" in (folder / "tiny.h").read_text()
