"""Budget of stack: no prediction and no training step of the networks that are counted can take more than its bar."""

from __future__ import annotations

from typing import Any

import pytest

from mcugrad import targets, toolchain
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.toolchain.stack import Calls
from thoroughness import LONG, turns

QUICK = ("MbedNet, 32x32x3", "scratch CNN")
OTHERS = (
    "DS-CNN, 49x10",
    "ResNet-8, 32x32x3",
    "MLP 784-64-10",
    "conv8-pool-conv16-pool-fc10, 28x28",
    "MCUNet 128x128x3, last two blocks and head",
)


def test_every_network_has_a_budget(benchmark: Any) -> None:
    assert {*QUICK, *OTHERS} == set(benchmark("steps").NETWORKS)


@pytest.mark.mcu
@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize(("name", "compiler"), turns(QUICK + OTHERS * LONG, toolchain.firmware_compilers()))
def test_the_deepest_path_is_within_the_bar(benchmark: Any, name: str, compiler: str) -> None:
    """Bounded by the calls of the linked image, whatever the arguments; as firmware is built by default."""
    steps = benchmark("steps")
    build = steps.compiled(name, 1.0)[0].build
    device = EmulatedDevice(build.compiled, targets.load(steps.TARGET), compiler=compiler)
    calls = Calls(device.device.firmware.elf)
    for entry in ("predict", "train_step"):
        found = calls.bound(f"{build.compiled.program.name}_{entry}")
        assert found.bytes <= steps.STACK, found
