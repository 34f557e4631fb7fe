"""Numbers as users get them: flash as their compiler links it, RAM with what main.c adds, no limits that nobody has."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli
from mcugrad import targets
from mcugrad.cli import COMPLETING
from mcugrad.commands.report import report
from mcugrad.commands.train import train
from mcugrad.measure.cost import REPLAYED, replay_bytes
from mcugrad.measure.size import symbols
from mcugrad.ops.avgpool2d import AvgPool2d
from mcugrad.ops.maxpool2d import MaxPool2d
from mcugrad.ops.window import strided
from mcugrad.report import quantities
from mcugrad.report.quantities import GCC, built_for_size
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.toolchain import firmware_compilers
from networks import Conv, Dense, model, samples, trainer

NET = ((1, 6, 6), (Conv(3), Dense(3)))
LOSSES = {"cross_entropy": 3, "binary_cross_entropy": 3, "mse": 3}
has_gcc = pytest.mark.skipif(GCC not in firmware_compilers(), reason=f"{GCC} is not installed")


@pytest.mark.mcu
@pytest.mark.parametrize("loss", LOSSES)
def test_replay_is_counted_as_main_has_it(loss: str) -> None:
    """The sizes that the compiler gives to the buffer and to its struct."""
    made = trainer(*NET, loss=loss, **({"targets": np.linspace(-1, 1, 6)} if loss == "mse" else {}))
    compiled = made.build.compiled
    assert f"NET_REPLAY_WORDS({REPLAYED})" in next(
        t for n, t in compiled.files.items() if n.endswith("main.c")
    )
    device = EmulatedDevice(compiled, targets.load("cortex-m4f"), replay=REPLAYED).device
    sizes = {s.name: s.bytes for s in symbols(device.firmware.elf)}
    assert replay_bytes(compiled.program) == sizes["mcg_device_replay"] + sizes["mcg_device_replay_memory"]


def test_what_only_infers_replays_nothing() -> None:
    made = trainer(*NET, train="none")
    assert replay_bytes(made.build.compiled.program) == 0


@has_gcc
@pytest.mark.mcu
def test_flash_as_gcc_links_it_for_size() -> None:
    made = trainer(*NET)
    board = targets.load("nrf52840")
    found = built_for_size(made.build.compiled, board)
    assert found is not None
    assert re.fullmatch(r"arm-none-eabi-gcc \d+\.\d+(\.\d+)?, -Os", found.how)
    ours = made.emulate(board).device.firmware.sizes.flash
    assert made.build.constants < found.flash < ours


@pytest.mark.mcu
@pytest.mark.parametrize("gcc", [pytest.param(True, marks=has_gcc), False])
def test_compile_says_both(cli: Cli, monkeypatch: pytest.MonkeyPatch, gcc: bool) -> None:
    if not gcc:
        monkeypatch.setattr(quantities, "firmware_compilers", lambda: ("zig",))
    result = cli("compile", "digits_cnn", "--data", "digits", "--target", "nrf52840", "--train", "last:1")
    rows = dict(re.findall(r"^  ((?:RAM|flash), [a-z ]*[a-z]) {2,}(.*)$", result.out, re.M))
    assert rows["RAM, with replay"].endswith(" B, as main.c keeps them")
    together, replayed = (float(rows[f"RAM, {name}"].split()[0]) for name in ("together", "with replay"))
    extra = int(re.search(r"([\d,]+) B, as", rows["RAM, with replay"])[1].replace(",", ""))  # type: ignore[index]
    assert replayed == pytest.approx(together + extra / 1024, abs=0.11)
    assert ("flash, built for size" in rows) == gcc
    if gcc:
        assert re.search(
            r"KiB of 1,024 KiB +linked: arm-none-eabi-gcc [\d.]+, -Os", rows["flash, built for size"]
        )


@pytest.mark.parametrize("core", targets.cores())
def test_a_bare_core_limits_nothing(core: str) -> None:
    bare = targets.load(core)
    assert bare.is_bare
    made = mg.compile(model(*NET), calibration=samples(model(*NET), 8)[0], target=core)
    assert " of 16" not in repr(made)
    assert repr(made).count("KiB of") == 0
    assert not any(targets.load(name).is_bare for name in targets.names() if name not in targets.cores())


@pytest.mark.mcu
def test_nor_does_it_on_any_page(cli: Cli, tmp_path: Path) -> None:
    call = ("digits_cnn", "--target", "cortex-m3")
    assert "cortex-m3 is a core, whose memories have no limit" in cli("inspect", *call).out
    data = ("--data", "digits", "--train", "last:1", "--epochs", "1", "--steps", "2")
    result = cli("report", *call, *data, "--json")
    assert result.code == 0, result.err
    assert result.facts["device"]["ram_bytes"] is None
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    for text in (result.out, page):
        assert not re.search(r"16[,.]?384(\.0)? KiB", text)


def test_pools_print_both_strides() -> None:
    assert strided((2, 2), (2, 2)) == "2x2/2"
    assert strided((1, 4), (1, 2)) == "1x4/1x2"
    assert strided((3, 1), (2, 1)) == "3x1/2x1"
    for kind in (MaxPool2d, AvgPool2d):
        assert "strided(" in inspect.getsource(kind.describe)


def test_train_and_report_train_alike() -> None:
    defaults = [inspect.signature(verb).parameters["epochs"].default for verb in (train, report)]
    assert defaults == [5, 5]


SHELLS = {
    "verbs": ({"complete_bash": "mcugrad tr", "COMP_CWORD": "1"}, "train\n"),
    "options": ({"complete_bash": "mcugrad train --epo", "COMP_CWORD": "2"}, "--epochs\n"),
    "nothing": ({"complete_bash": "mcugrad xyz", "COMP_CWORD": "1"}, "\n"),
}


@pytest.mark.parametrize("case", SHELLS)
def test_shells_complete(cli: Cli, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    asked, answer = SHELLS[case]
    monkeypatch.setenv(COMPLETING, "complete_bash")
    monkeypatch.setenv("COMP_WORDS", asked["complete_bash"])
    monkeypatch.setenv("COMP_CWORD", asked["COMP_CWORD"])
    result = cli()
    assert (result.code, result.out.strip(), result.err) == (0, answer.strip(), "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(cli: Cli, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv(COMPLETING, f"source_{shell}")
    result = cli()
    assert result.code == 0
    assert f"{COMPLETING}=complete_{shell}" in result.out
    monkeypatch.delenv(COMPLETING)
    assert cli("--show-completion").code != 141, "nobody stopped reading"
