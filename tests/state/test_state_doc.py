"""docs/state.md says what happens: its programs and commands run one after the other, and its C compiles."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from mcugrad import rate_search, toolchain
from mcugrad.cli import main
from mcugrad.state.file import HEADER, MAGIC, StateFile

PAGE = (Path(__file__).parents[2] / "docs/state.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.mcu
def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rate_search, "LONGEST", 60)  # which rate is found is not of this page
    variables: dict[str, object] = {}
    commands = 0
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "docs/state.md", "exec"), variables)
        elif language == "c":
            (tmp_path / "firmware/pad/begin.c").write_text(text, encoding="utf-8")
        else:
            for line in text.splitlines():
                if line.startswith("mcugrad "):
                    commands += 1
                    assert main(shlex.split(line)[1:]) == 0, line
    assert commands == 8
    assert "pad: " in capsys.readouterr().out.replace("pad.mcgstate", "")
    header = (tmp_path / "firmware/pad/pad.h").read_text(encoding="utf-8")
    assert "begins  as trained, 300 steps on data sha256 " in header
    assert "begins  as delivered" in (tmp_path / "firmware/pad-delivered/pad.h").read_text(encoding="utf-8")
    assert StateFile.read("field2.mcgstate").params == StateFile.read("field.mcgstate").params
    assert StateFile.read("field.mcgstate").steps == 320
    zig = toolchain.find_compiler("zig")
    command = [
        *zig.command,
        "cc",
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-I.",
        "-Ifirmware/pad",
        "-c",
        "-o",
        "begin.o",
    ]
    subprocess.run([*command, "firmware/pad/begin.c"], check=True)


def test_the_table_is_the_format(tmp_path: Path) -> None:
    data = StateFile(bytes(range(32)), b"\1\2\3\4", None, b"model").to_bytes()
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (.*) \|$", PAGE, flags=re.MULTILINE)
    assert [(int(at), size) for at, size, _ in rows[:8]] == [
        *((0, "8"), (8, "4"), (12, "4"), (16, "32"), (48, "4"), (52, "4"), (56, "4"), (60, "4"))
    ]
    assert data[:8] == MAGIC
    assert data[16:48] == bytes(range(32))
    assert [int.from_bytes(data[at : at + 4], "little") for at in (8, 48, 52, 56, 60)] == [1, 0, 4, 0, 5]
    assert data[HEADER.size :] == b"\1\2\3\4model"
