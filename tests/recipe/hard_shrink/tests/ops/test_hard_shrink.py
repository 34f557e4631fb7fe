"""HardShrink: as ONNX has it, its gradient, and a network with it that learns, with the same bits everywhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

import mcugrad as mg
from kernels import activation, library
from kernels.test_kernels import KERNELS
from mcugrad.importers.onnx import load_onnx
from mcugrad.ops.activation.hard_shrink import HardShrink
from mcugrad.ops.activation.hard_shrink_f32 import hard_shrink_f32, hard_shrink_grad_f32
from mcugrad.ops.activation.hard_shrink_s8 import hard_shrink_grad_s8, hard_shrink_s8
from onnx_nets import Net, ours, refused, runtime

LIMIT = 0.3
CODES = np.arange(-128, 128).astype(np.int8)
BUILD = library.Build(library.available()[0].compiler, "-O2")

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")


def network(**attributes: float) -> Net:
    """Behind bounds on both sides of the limit, and behind a layer that has none."""
    net = Net(None, 1, 8, 8, seed=2).conv(1, 6, strides=[2, 2])
    net.op("Clip", np.float32(-0.4), np.float32(0.8)).op("Shrink", **attributes)
    net.conv(6, 8, strides=[2, 2]).op("Shrink", **attributes).op("Relu").op("Flatten")
    return net.fc(8, 4)


@pytest.fixture(params=["int8", "float32"])
def trainer(request: pytest.FixtureRequest, tmp_path: Path) -> mg.Trainer:
    path = tmp_path / "net.onnx"
    path.write_bytes(network(lambd=LIMIT).bytes())
    options = {"precision": request.param, "rate": 0.05, "target": "cortex-m4f"}
    return mg.compile(mg.load(path), calibration=samples()[0], train="all", **options)


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Images with one bright corner out of four."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, 4, 64)
    x = rng.normal(0, 0.3, (64, 1, 8, 8)).astype(np.float32)
    for image, corner in zip(x[:, 0], y, strict=True):
        image[corner // 2 * 4 :, corner % 2 * 4 :][:4, :4] += 1
    return x, y


def test_values_are_those_of_onnxruntime() -> None:
    model = network(lambd=LIMIT).bytes()
    x, _ = samples()
    np.testing.assert_allclose(ours(load_onnx(model), x), runtime(model, x), atol=1e-5)


def test_what_moves_values_is_refused() -> None:
    error = refused(network(lambd=LIMIT, bias=0.1))
    assert "bias is 0.1; only 0 is supported" in error.where


@pytest.mark.parametrize("scale", [0.004, 0.05, 1.0])
def test_integers_are_within_half_a_step_of_real_numbers(scale: float) -> None:
    y, zero = np.zeros_like(CODES), -20
    hard_shrink_s8(256, zero, np.float32([LIMIT]), np.float32([scale]), CODES, y)
    x = (CODES.astype(np.int64) - zero) * scale
    surely = np.abs(np.abs(x) - LIMIT) > scale / 2
    found = (y.astype(np.int64) - zero) * scale
    np.testing.assert_array_equal(found[surely], np.where(np.abs(x) > LIMIT, x, 0)[surely])
    e_x = np.zeros_like(CODES)
    hard_shrink_grad_s8(256, zero, CODES, y, e_x)
    np.testing.assert_array_equal(e_x, np.where(found != 0, CODES, 0))


def test_gradients_are_finite_differences() -> None:
    rng = np.random.default_rng(0)
    x, e = rng.normal(0, 1, (2, 200)).astype(np.float32)
    x = x[np.abs(np.abs(x) - LIMIT) > 0.01]
    e, size, limit = e[: len(x)], len(x), np.float32([LIMIT])
    low, y, high, e_x = np.zeros((4, size), np.float32)
    for offset, result in ((-1e-3, low), (0, y), (1e-3, high)):
        hard_shrink_f32(size, limit, x + np.float32(offset), result)
    hard_shrink_grad_f32(size, e, y, e_x)
    np.testing.assert_allclose(e_x, e * (high - low) / 2e-3, atol=1e-3)


NEW = tuple(name for name in activation.CASES if "hard_shrink" in name)


@pytest.mark.parametrize("name", NEW)
def test_c_equals_reference(name: str) -> None:
    kernel = KERNELS[name]

    @given(activation.CASES[name])
    def run(arguments: dict) -> None:
        wanted, _ = library.expected(kernel, arguments)
        got = library.copied(arguments)
        library.library(BUILD, NEW).run(kernel, got)
        assert not library.different(got, wanted)

    run()


def test_it_learns_alike_on_twin_and_reference(trainer: mg.Trainer) -> None:
    nodes = [n for n in trainer.build.graph.nodes if isinstance(n, HardShrink)]
    assert [n.precision.text for n in nodes] == [trainer.options.precision] * 2
    x, y = samples()
    assert trainer.verify(x[:12], y[:12], on="reference").steps == 12
    history = trainer.fit(x, y, epochs=6, rate=0.05, schedule="constant")
    assert history[-1].loss < 0.7 * history[0].loss


@mcu
@pytest.mark.mcu
def test_a_core_equals_the_twin(trainer: mg.Trainer) -> None:
    x, y = samples()
    assert trainer.verify(x[:6], y[:6], on="emulator").steps == 6
