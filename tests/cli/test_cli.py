"""The command line itself: help, streams, exit codes, and how it ends when it is stopped."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import Cli, Result
from mcugrad import __version__, toolchain
from networks import Dense, write_onnx
from thoroughness import LONG

VERBS = ("demo", "inspect", "advise", "compile", "bench", "train", "run", "report", "doctor")


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'onnx', 'onnxscript', 'unicorn', 'jinja2'}"
    code = f"import sys, mcugrad.cli; print(sorted({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_python_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcugrad", "inspect"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: missing argument 'MODEL'\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_a_reader_who_has_seen_enough_is_no_answer() -> None:
    """As in `mcugrad --help | head -1`: what a shell says of a broken pipe, not 1."""
    command = [sys.executable, "-u", "-m", "mcugrad", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


STREAMS = (">&-", ">&- 2>&-", ">/dev/full", "2>/dev/full")


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX shell there")
@pytest.mark.parametrize(
    ("arguments", "streams"),
    [
        *(
            (arguments, streams)
            for arguments, said_on in (("inspect", "2>"), ("--help", ">/"))
            for streams in STREAMS
            if LONG or ">&-" in streams or streams.startswith(said_on)
        ),
        *(
            (arguments, streams)
            for arguments in (*(("inspect nope",) if LONG else ()), "inspect net.onnx")
            for streams in (STREAMS if LONG else (">/dev/full",))
        ),
    ],
)
def test_streams_that_take_nothing(tmp_path: Path, arguments: str, streams: str) -> None:
    """Closed, as a service may have them, or on a full disk: the exit code holds, and there is no traceback.

    A word too few and help say as much about streams as a verb does, and are there sooner.
    """
    if "/dev/full" in streams and not Path("/dev/full").exists():
        return
    command = f'"{sys.executable}" -m mcugrad {arguments} {streams}'
    write_onnx(tmp_path / "net.onnx", (2,), (Dense(2),))
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, cwd=tmp_path)
    unsaid = streams.startswith(">/dev/full")
    wrong = arguments in ("inspect", "inspect nope")
    assert done.returncode == (2 if wrong or unsaid else 0)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if streams == ">/dev/full" and not wrong:
        assert done.stderr.startswith(
            "error: what there is to say cannot be written: No space left on device\n"
        )
    elif streams in (">&-", ">/dev/full"):
        assert done.stderr.startswith("error: ") is wrong


def test_version(cli: Cli) -> None:
    assert cli("--version") == Result(0, f"mcugrad {__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_the_verbs(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert result.code == 0
    for verb in VERBS:
        assert re.search(rf"^ +{verb} ", result.out, re.MULTILINE)
    assert "..." not in result.out.partition("Commands:")[2], "a sentence is cut off"
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_json(cli: Cli, verb: str) -> None:
    result = cli(verb, "--help")
    assert result.code == 0
    assert "--json" in result.out


STOPPED = """{
  "error": "stopped",
  "kind": "KeyboardInterrupt",
  "where": "",
  "hint": "",
  "exit_code": 130
}
"""


def test_interrupt_leaves_quietly(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> list[toolchain.Tool]:
        raise KeyboardInterrupt

    monkeypatch.setattr(toolchain, "doctor", interrupted)
    assert cli("doctor") == Result(130, "", "stopped\n")
    assert cli("doctor", "--json") == Result(130, STOPPED, "")


def test_too_little_memory(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted() -> list[toolchain.Tool]:
        raise MemoryError("Unable to allocate 24 GiB")

    monkeypatch.setattr(toolchain, "doctor", exhausted)
    result = cli("doctor")
    assert result.code == 2
    assert result.err.startswith("error: this computer has not enough memory: unable to allocate 24 GiB\n")
    assert cli("doctor", "--json").facts["kind"] == "ToolError"
