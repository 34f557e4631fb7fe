"""Targets: what is shipped loads and is plausible; what is impossible is refused with the reason."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from mcugrad import targets
from mcugrad.errors import UsageError
from mcugrad.measure.pipelines import PIPELINES
from mcugrad.targets import EnergyPerCycle, Region

BOARD = """
core = "cortex-m4f"
clock_hz = 80_000_000
[flash]
address = 0x0800_0000
bytes = 131_072
[ram]
address = 0x2000_0000
bytes = 65_536
"""


def test_boards_then_cores() -> None:
    assert targets.names() == (
        "imxrt1062",
        "nrf52840",
        "rp2040",
        "stm32f746",
        "stm32l4r5",
        "stm32n657",
        "stm32u585",
        "cortex-m0plus",
        "cortex-m3",
        "cortex-m33",
        "cortex-m4f",
        "cortex-m55",
        "cortex-m7",
    )
    assert set(targets.cores()) - set(targets.emulated()) == {"cortex-m55"}


@pytest.mark.parametrize("name", targets.names())
def test_every_target_is_complete(name: str) -> None:
    target = targets.load(name)
    assert target.name == name
    assert target.core.timing in PIPELINES
    assert target.title
    if name in targets.cores():
        assert target.clock_hz is None
        assert target.energy is None
    else:
        assert target.clock_hz
        assert target.sources, "a board says where its figures come from"


def test_figures_of_the_data_sheets() -> None:
    nrf = targets.load("nrf52840")
    assert (nrf.ram.bytes, nrf.flash.bytes, nrf.clock_hz) == (256 * 1024, 1024 * 1024, 64_000_000)
    assert nrf.core.name == "cortex-m4f"
    assert nrf.energy is not None
    assert nrf.energy.picojoules == 155
    assert "Product Specification" in nrf.energy.source
    assert targets.load("rp2040").ram.bytes == 264 * 1024
    assert targets.load("rp2040").energy is None


def test_features_match_the_cores() -> None:
    features = {name: targets.load(name).core for name in targets.cores()}
    assert {n: (c.has_fpu, c.has_dsp, c.has_mve) for n, c in features.items()} == {
        "cortex-m0plus": (False, False, False),
        "cortex-m3": (False, False, False),
        "cortex-m33": (True, True, False),
        "cortex-m4f": (True, True, False),
        "cortex-m55": (True, True, True),
        "cortex-m7": (True, True, False),
    }


def test_a_core_that_compilers_do_not_name_is_named_for_them() -> None:
    named = {name: targets.load(name).core.defines for name in targets.cores()}
    assert {name: defines for name, defines in named.items() if defines} == {"cortex-m7": ("MCG_CORTEX_M7",)}


def test_unknown_target_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        targets.load("nrf52")
    assert caught.value.what == "unknown target 'nrf52'"
    assert all(name in caught.value.hint for name in targets.names())


def test_targets_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        targets.load("rp2040").name = "pico"  # type: ignore[misc]


def test_impossible_cores_are_refused() -> None:
    m3 = targets.load("cortex-m3").core
    with pytest.raises(UsageError, match="armv7-m never has the DSP extension"):
        replace(m3, has_dsp=True)
    with pytest.raises(UsageError, match="cannot have an FPU"):
        replace(m3, has_fpu=True)
    with pytest.raises(UsageError, match="armv7e-m always has the DSP extension"):
        replace(targets.load("cortex-m4f").core, has_dsp=False)
    with pytest.raises(UsageError, match="armv7-m never has Helium"):
        replace(m3, has_mve=True)
    with pytest.raises(UsageError, match="unknown architecture"):
        replace(m3, architecture="armv5")


def test_impossible_memories_are_refused() -> None:
    board = targets.load("stm32l4r5")
    with pytest.raises(UsageError, match="overlap"):
        replace(board, ram=Region(0x0800_1000, 4096))
    with pytest.raises(UsageError, match="RAM of 1000 B"):
        replace(board, ram=Region(0x2000_0000, 1000))
    with pytest.raises(UsageError, match="inside the core's own registers"):
        replace(board, ram=Region(0xDFFF_F000, 8192))
    with pytest.raises(UsageError, match="0 Hz"):
        replace(board, clock_hz=0)


def test_energy_needs_a_source() -> None:
    with pytest.raises(UsageError, match="not usable"):
        EnergyPerCycle(100.0, 30.0, "")


def test_own_board_file(tmp_path: Path) -> None:
    path = tmp_path / "myboard.toml"
    path.write_text(BOARD + '[energy]\npicojoules_per_cycle = 92\nband_percent = 30\nsource = "measured"\n')
    board = targets.load(str(path))
    assert (board.name, board.ram.bytes, board.core.name) == ("myboard", 65536, "cortex-m4f")
    assert board.energy == EnergyPerCycle(92, 30, "measured")


ENERGY = '[energy]\npicojoules_per_cycle = {}\nband_percent = {}\nsource = "measured"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOARD.replace('core = "cortex-m4f"', ""), "lacks the key core"),
        (BOARD.replace("cortex-m4f", "cortex-m4"), "unknown core 'cortex-m4'"),
        (BOARD + "colour = 1\n", r"the key 'ram\.colour' is not known"),
        ("speed = 1\n" + BOARD, "the key 'speed' is not known"),
        (BOARD.replace("65_536", '"64K"'), r"ram\.bytes is a text, not an integer"),
        (BOARD.replace("65_536", "true"), r"ram\.bytes is true or false, not an integer"),
        (BOARD.replace("65_536", "65536.0"), r"ram\.bytes is a number, not an integer"),
        (BOARD.replace("65_536", "-65_536"), "RAM of -65536 B"),
        (BOARD.replace("65_536", "0x" + "f" * 9000), r"ram\.bytes is beyond what any board has"),
        (BOARD.replace("65_536", "9" * 9000), "not valid TOML"),
        (BOARD.replace("0x2000_0000", "-536_870_912"), "RAM of 65536 B at -0x20000000"),
        (BOARD.replace("80_000_000", "nan"), "clock_hz is a number, not an integer"),
        (BOARD.replace("80_000_000", "-1"), "a clock of -1 Hz"),
        (BOARD.replace("80_000_000", "1_000_000_000_000"), r"a clock of 1e\+12 Hz"),
        (BOARD + ENERGY.format("nan", 30), r"energy\.picojoules_per_cycle is beyond"),
        (BOARD + ENERGY.format(30, "inf"), r"energy\.band_percent is beyond"),
        (BOARD + ENERGY.format(-5, 30), "energy of -5 pJ"),
        (BOARD + ENERGY.format(5, "[1]"), r"energy\.band_percent is a list, not a number"),
        ("energy = 7\n" + BOARD, r"energy is a number, not a table: \[energy\]"),
        (
            "flash = 1\nram = 1979-05-27\ncore = []",
            "3 faults: flash is a number.*; ram is a date.*; core is a list",
        ),
        ('sources = ["a", 1]\n' + BOARD, "sources is a list, not a list of texts"),
        ("title = 5\n" + BOARD, "title is a number, not a text"),
        ('title = "a\\n*/"\n' + BOARD, "title is no text of one short line"),
        (BOARD.replace("[flash]", "[flash.a.b]"), r"lacks the key flash\.address.*; the key 'flash\.a' is"),
        ("[[flash]]\n[[flash]]\n" + BOARD.replace("[flash]", "[x]"), "flash is a list, not a table"),
        ("a = " + "[" * 60_000, "not valid TOML: it is nested too deeply"),
        ("a = " + "{a = " * 12_000, "not valid TOML: it is nested too deeply"),
        ("core =", "not valid TOML"),
        ("\0", "not valid TOML"),
        ("", "3 faults: it lacks the key core; it lacks the key flash; it lacks the key ram"),
        ("a" + ".a" * 20_000 + " = 1", "not valid TOML: it is nested too deeply"),
        ("#" * (1 << 16) + "\n", "has 65537 bytes; at most 65536 are read"),
    ],
    ids=range(32),
)
def test_bad_board_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        targets.load(str(path))
    assert caught.value.where == str(path)
    assert len(str(caught.value)) < 1000


def test_a_board_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not valid TOML: 'utf-8' codec"):
        targets.load(str(tmp_path / "bad.toml"))


def test_numbers_that_are_none() -> None:
    with pytest.raises(UsageError, match="energy of nan pJ"):
        EnergyPerCycle(float("nan"), 30.0, "measured")
    with pytest.raises(UsageError, match="a clock of nan Hz"):
        replace(targets.load("nrf52840"), clock_hz=float("nan"))  # type: ignore[arg-type]


def test_missing_board_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the board file does not exist"):
        targets.load(str(tmp_path / "none.toml"))
