"""What a linker finds too large: said with what would fit, as what is counted before is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad import concerns, fit_check, targets
from mcugrad.errors import FitError, McugradWarning
from mcugrad.fit_check import with_way_out
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.targets import Region, Target
from networks import Conv, Dense, Pool, model, samples, write_onnx

LAYERS = (Dense(6, "relu"), Dense(4))
SHAPE = (16,)
KIB = 1024
BOARD = """core = "cortex-m4f"
[flash]
address = 0
bytes = 16384
[ram]
address = 0x20000000
bytes = 262144
"""


def board(flash: int, ram: int = 256 * KIB) -> Target:
    """A small M4F."""
    return replace(
        targets.load("nrf52840"), name="small", flash=Region(0, flash), ram=Region(0x2000_0000, ram)
    )


@pytest.fixture(scope="module")
def net() -> mg.Model:
    return model(SHAPE, LAYERS)


USES: dict[str, Callable[[mg.Trainer, Any, Any], object]] = {
    "measure": lambda trainer, x, y: trainer.measure(x, y),
    "verify": lambda trainer, x, y: trainer.verify(x, y, on=["reference", "emulator"]),
    "emulate": lambda trainer, x, y: trainer.emulate(),
}


@pytest.mark.mcu
@pytest.mark.parametrize("use", USES)
def test_code_that_does_not_fit_into_flash(net: mg.Model, use: str) -> None:
    """So little that small code of the bodies for this core is too large, too."""
    x, y = samples(net, 4)
    with pytest.warns(
        McugradWarning, match="constants leave .* KiB of flash of small, and code, which comes on top"
    ):
        trainer = mg.compile(net, calibration=x, target=board(12 * KIB))
    with pytest.raises(
        FitError, match=r"the firmware needs .* KiB of flash; small has 12.0 KiB \(.* KiB short\)"
    ) as error:
        USES[use](trainer, x, y)
    assert error.value.where.startswith("linked with -O0, ")
    small = re.match(r"-Os (-\w+) when you compile it   \(([\d.]+) KiB of flash\)", error.value.hint)
    assert small is not None
    device = EmulatedDevice(trainer.build.compiled, board(12 * KIB), opt="-Os", flags=[small[1]]).device
    assert small[2] == f"{device.firmware.sizes.flash_image / KIB:.1f}"


@pytest.mark.mcu
def test_ways_to_train_whose_constants_leave_room_for_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as much code as there is: what is advised really fits then."""
    monkeypatch.setattr(fit_check, "_with_smaller_code", lambda *_: iter(()))
    net = model((256,), (Dense(64, "relu"), Dense(4)))
    x, y = samples(net, 4)
    whole = mg.compile(net, calibration=x).emulate(board(256 * KIB)).device.firmware.sizes.flash_image
    room = board((whole // 4096) * 4096)
    with pytest.warns(McugradWarning):
        trainer = mg.compile(net, calibration=x, target=room)
    with pytest.raises(FitError) as error:
        trainer.measure(x, y)
    way = re.match(r"train=(\S+) with rule=(\S+)   \(([\d.]+) KiB of flash\)$", error.value.hint)
    assert way is not None
    with pytest.warns(McugradWarning):
        again = mg.compile(net, calibration=x, train=way[1], rule=way[2], target=room)  # type: ignore[arg-type]
    assert again.emulate().device.firmware.sizes.flash_image <= room.flash.bytes


@pytest.mark.mcu
def test_ram_that_does_not_suffice_once_linked() -> None:
    """What calls the model may take more than is kept for it."""
    net = model((1, 14, 14), (Conv(8), Pool(), Dense(4)))
    x, _ = samples(net, 4)
    made = mg.compile(net, calibration=x)
    short = FitError("the firmware needs more", where="linked", short={"RAM": 1024})
    ram = -(-made.build.footprint.need // 4096) * 4096
    told = with_way_out(short, made.model, made.build, made.options, board(256 * KIB, ram))
    assert re.fullmatch(r"train=\S+( with rule=sr8)?   \([\d.]+ KiB\)", told.hint)
    plain = FitError("too large", hint="as it was")
    assert with_way_out(plain, made.model, made.build, made.options, board(256 * KIB)) is plain


def test_constants_alone(net: mg.Model) -> None:
    large = model((256,), (Dense(64, "relu"), Dense(4)))
    x, _ = samples(large, 4)
    with pytest.raises(FitError, match="constants alone need") as error:
        mg.compile(large, calibration=x, target=board(20 * KIB))
    assert re.fullmatch(r"train=all with rule=sr8   \([\d.]+ KiB of flash\)", error.value.hint)


def test_little_flash_is_said_before_anything_is_linked() -> None:
    for left, trains, said in ((39, True, True), (40, True, False), (7, False, True), (8, False, False)):
        texts = concerns.of_flash((64 - left) * KIB, trains, board(64 * KIB))
        assert bool(texts) == said
        assert not said or texts[0].startswith(
            f"constants leave {left}.0 KiB of the 64.0 KiB of flash of small"
        )


@pytest.mark.mcu
def test_the_command_line_gives_a_way_out(cli: Cli, tmp_path: Path) -> None:
    net = write_onnx(tmp_path / "net.onnx", SHAPE, LAYERS)
    x, y = samples(mg.load(net), 64)
    data = save(tmp_path / "data.npz", x, y)
    (tmp_path / "small.toml").write_text(BOARD)
    result = cli("compile", str(net), "--data", data, "--target", "small.toml")
    assert result.code == 1
    assert re.search(r"  try    -Os when you compile it", result.err)
