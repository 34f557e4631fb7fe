"""Models in QEMU, where it is installed: a Cortex-M55 learns the same bytes, and steps take what unicorn counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets
from mcugrad.emulator import qemu
from mcugrad.errors import DeviceError, FitError
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.qemu import QemuDevice
from networks import Conv, Dense, model, samples
from thoroughness import LONG

pytestmark = [
    pytest.mark.mcu,
    pytest.mark.skipif(not qemu.is_installed(), reason=f"{qemu.PROGRAM} is not installed: {qemu.INSTALL}"),
]
LAYERS = (Conv(6), Conv(4, stride=(2, 2)), Dense(20, "relu"), Dense(5))
WAYS: dict[str, dict[str, Any]] = {
    "sr8, in part": {"rule": "sr8", "sparse": mg.Sparse(0.4, 0.9), "features": "none"},
    "bits, by sr12": {"rule": "sr12", "loss": "binary_cross_entropy"},
    "float32": {"precision": "float32", "features": "none"},
    "mixed": {"precision": "mixed", "train": "last:2", "features": "none"},
    "values, in batches": {
        "rule": mg.Update("sr16", batch=2, momentum=0.9, clip=1.0),
        "loss": "mse",
        "features": "none",
    },
}


def trainer(**more: Any) -> tuple[mg.Trainer, Any, Any]:
    net = model((3, 9, 9), LAYERS)
    x, y = samples(net, 4)
    if more.get("loss") == "mse":
        more["typical_labels"] = y = x[:, 0, 0, :].repeat(2, axis=1)[:, :5]
    if more.get("loss") == "binary_cross_entropy":
        y = (np.arange(20).reshape(4, 5) % 3 == 0).astype(np.uint8)
    return mg.compile(net, calibration=x, rate=0.01, **more), x, y


@pytest.mark.parametrize("way", WAYS)
def test_a_cortex_m55_learns_the_same_bytes(way: str) -> None:
    made, x, y = trainer(**WAYS[way])
    on = ("cortex-m55", "stm32n657")[: 1 + (way == "mixed")]
    proof = made.verify(x, y, on=on)
    assert proof.executors == on
    assert proof.steps == 4
    assert proof.instructions["cortex-m55"] > 10_000


def test_gcc_builds_the_same_bytes_and_steps_towards_distributions() -> None:
    made, x, _ = trainer(rule="sr10", features="soft")
    given = made.quantize(x)
    soft = np.random.default_rng(0).integers(1, 256, (4, 5)).astype(np.uint8)
    order = np.arange(4, dtype=np.uint32)
    target = targets.load("cortex-m55")
    states = []
    for runner in (
        made.twin,
        QemuDevice(made.build.compiled, target, compiler="arm-none-eabi-gcc"),
        *(
            [QemuDevice(made.build.compiled, target, opt="-O3")] if LONG else ()
        ),  # as kernels in tests/kernels
    ):
        runner.train_soft(given, soft, order)
        states.append(runner.state())
    for name, value in states[0].items():
        assert all(np.array_equal(value, other[name]) for other in states[1:]), name


def test_steps_take_what_unicorn_counts() -> None:
    made, x, y = trainer(rule="sr8", features="none")
    target = targets.load("cortex-m4f")
    given, labels, order = made.quantize(x), made.labels(y, 4), np.arange(4, dtype=np.uint32)
    ours, theirs = EmulatedDevice(made.build.compiled, target), QemuDevice(made.build.compiled, target)
    for runner in (ours, theirs):
        runner.train(given, labels, order)
    assert theirs.step_instructions == pytest.approx(ours.step_instructions, abs=100, rel=1e-3)


def test_what_is_refused_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made, x, y = trainer(features="none")
    device = QemuDevice(made.build.compiled, targets.load("cortex-m55"))
    with pytest.raises(DeviceError, match=r"net_train_step returned the status -?\d+"):
        device.step(made.quantize(x)[0], np.asarray([5], np.uint32))
    machine = qemu.MACHINES["cortex-m55"]
    assert machine.flash.bytes == 512 * 1024
    small = replace(machine, flash=replace(machine.flash, bytes=4096))
    monkeypatch.setitem(qemu.MACHINES, "cortex-m55", small)
    with pytest.raises(FitError, match=r"mps3-an547 of QEMU has 4\.0 KiB"):
        made.verify(x, y, on="cortex-m55")
