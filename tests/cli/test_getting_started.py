"""docs/getting-started.md says what happens: its commands run, and print what it prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mcugrad.cli import main

PAGE = (Path(__file__).parents[2] / "docs/getting-started.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.mcu
@pytest.mark.usefixtures("fast_twins")
def test_commands_print_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed, commands = "", 0
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "docs/getting-started.md", "exec"), {})
        elif text.startswith("mcugrad "):
            commands += 1
            assert main(shlex.split(text)[1:]) == 0, text
            printed = capsys.readouterr().out
            if "inspect" in text:
                for row in ("last:2  sr12   6.8 KiB", "all     sr12   9.7 KiB"):
                    assert row in printed
        elif not language:
            for line in text.splitlines():
                assert line in printed
    assert commands == 4
    header = (tmp_path / "firmware/sensor/sensor.h").read_text(encoding="utf-8")
    readme = (tmp_path / "firmware/sensor/README.md").read_text(encoding="utf-8")
    for name in re.findall(r"^(sensor_\w+)\(", PAGE, flags=re.MULTILINE):
        assert f" {name}(" in header
    for wanted in ("`sensor_t` | 6864 |", "`params` | 3960 |"):
        assert wanted in readme
