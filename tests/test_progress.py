"""Progress: a bar that moves within epochs, lines above it, words about what takes long; silence where nobody looks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import fitting, progress
from mcugrad.progress import Bar, Pace
from networks import Dense, corners, model

pty = pytest.importorskip("pty", reason="there are no pseudo terminals here")


def on_a_terminal(code: str, width: int, *, out: str | None = None, **environment: str) -> str:
    """What a Python program writes to a terminal, stdout, too, if it goes nowhere else; it must end well."""
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    clean = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    with ExitStack() as stack:
        stdout: Any = slave if out is None else subprocess.PIPE
        if out not in (None, "pipe"):
            stdout = stack.enter_context(Path(str(out)).open("w"))
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(code)],
                stdin=slave,
                stdout=stdout,
                stderr=slave,
                env={**clean, "TERM": "xterm", **environment},
            )
        )
        os.close(slave)
        written = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # as Linux says that nobody writes any more
                break
            if not part:
                break
            written += part
        process.communicate()
        os.close(master)
    assert process.returncode == 0, written.decode()
    return written.decode()


def screen(written: str, width: int) -> list[str]:
    """What is left on a terminal: lines that scrolled away included."""
    rows, row, column = [""], 0, 0
    for code, text in re.findall(r"\x1b\[([\d;?]*[A-Za-z])|([^\x1b])", written):
        if code.endswith("A"):
            row -= int(code[:-1] or 1)
            assert row >= 0
        elif code == "2K":
            rows[row] = ""
        elif code:
            assert code[-1] in "mhlK", f"the screen of this test does not know {code}"
        elif text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        else:
            if column == width:
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            rows[row] = rows[row].ljust(column)[:column] + text + rows[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in rows]


TRAIN = """
    import sys
    from mcugrad.cli import main
    sys.exit(main(["train", "digits_cnn", "--data", "digits", "--epochs", "3", "--train", "last:1"]))
"""
ALIKE = """
    import time
    from mcugrad.commands.output import Output
    from mcugrad.progress import progress
    output = Output({machine})
    with progress("training", 4041) as bar:
        for epoch in 1, 2, 3:
            for _ in range(3):
                bar(449)
                time.sleep(0.05)
            output.say(f"epoch {{epoch}}/3   loss 0.0021   while training 100.0%   held out  98.4%", strong=True)
"""
"""The same lines, but quick to start."""


@pytest.mark.parametrize(
    ("code", "width"), [(TRAIN, 80), (ALIKE.format(machine=False), 40)], ids=["80", "40"]
)
def test_lines_stand_above_the_bar(code: str, width: int) -> None:
    written = on_a_terminal(code, width)
    assert "━" in written, "there is a bar"
    shown = screen(written, width)
    text = "\n".join(shown)
    assert "━" not in text, "nothing is left of it"
    epochs = [line for line in shown if "epoch" in line]
    assert [line[:9] for line in epochs] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    bars = [line for line in re.split(r"[\r\n]", written) if "━" in line]
    for line in bars:
        plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", line)
        assert plain.startswith(("training ", "looking for the rate "))
        assert "epoch" not in plain
        assert len(plain) <= width, "it fits one row"
        total = "4041" if plain.startswith("training ") else r"\d+"
        assert re.search(rf"/{total} [\d:-]+$", plain), "what is done, and what remains"


@pytest.mark.parametrize("width", [80, 40])
def test_tables_and_sentences_fit_the_terminal(width: int) -> None:
    code = """
        from mcugrad.commands.output import Output
        output = Output(False)
        words = "estimated: executed instructions x Arm's published timings, zero wait states"
        output.note(3 * (words + " "))
        output.show_notes()
        output.say("  source of cycles: " + words, strong=True)
        output.table("work", ("", "prediction", "how it was got"), [("cycles", "221,716 ± 10 %", words)], "lrl")
    """
    written = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", on_a_terminal(code, width))
    rows = written.replace("\r", "").split("\n")
    assert max(map(len, rows)) <= width
    assert "prediction" in written
    assert [row for row in rows if row][1].startswith("      "), "notes hang"
    assert written.split().count("published") == 5, "no word is torn"


@pytest.mark.parametrize("machine", [True, False], ids=["json", "pipe"])
def test_nobody_is_disturbed_in_pipes_and_with_json(machine: bool) -> None:
    assert on_a_terminal(ALIKE.format(machine=machine), 80, out=None if machine else "pipe") == ""


def test_a_file_gets_the_lines_and_the_terminal_the_bar(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = on_a_terminal(ALIKE.format(machine=False), 80, out=str(log))
    assert "━" in written
    assert "epoch" not in written
    assert re.findall(r"^epoch \d", log.read_text(), re.M) == ["epoch 1", "epoch 2", "epoch 3"]


def test_what_python_prints_meanwhile_stands_above_it() -> None:
    code = """
        from mcugrad.progress import progress, working
        with progress("training", 3) as bar:
            for i in range(3):
                print("line", i)
                bar(1)
                with working("building", after=0), progress("within", 2) as other:
                    other(1)  # silent: there is one display at a time
                    assert not other.shown
        print("end")
    """
    written = on_a_terminal(code, 60)
    assert [line for line in screen(written, 60) if line] == ["line 0", "line 1", "line 2", "end"]
    assert "building" not in written
    assert "within" not in written


def test_what_takes_long_is_said_and_what_does_not_is_not() -> None:
    code = """
        import time
        from mcugrad.progress import working
        with working("building the twin", after={after}):
            print("meanwhile")
            time.sleep(0.3)
    """
    written = on_a_terminal(code.format(after=0.05), 60)
    assert "building the twin" in written
    assert [line for line in screen(written, 60) if line] == ["meanwhile"]
    assert on_a_terminal(code.format(after=5), 60).strip() == "meanwhile"
    assert "\x1b" not in on_a_terminal(code.format(after=0.05), 60, TERM="dumb")


def test_builds_say_what_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from mcugrad.emulator import firmware
    from mcugrad.run import host

    said: list[tuple[str, float]] = []

    @contextmanager
    def heard(what: str, after: float = progress.PATIENCE) -> Iterator[None]:
        said.append((what, after))
        yield

    monkeypatch.setattr(host, "working", heard)
    monkeypatch.setattr(firmware, "working", heard)
    trainer = mg.compile(model((9,), (Dense(4),)), calibration=np.eye(9, dtype=np.float32))
    assert trainer.twin is not None
    trainer.emulate("cortex-m3")
    assert said == [
        ("building the twin of net for this computer", 2.0),
        ("building the firmware of net for cortex-m3", 2.0),
    ]


def test_the_bar_moves_within_epochs_and_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = corners(300)
    net = model((1, 12, 12), (Dense(4),))
    plain = mg.compile(net, calibration=x, rate=0.01)
    expected = plain.fit(x, y, epochs=2, guard=mg.Guard(x[:20], y[:20], every=70))
    moves: list[int] = []

    @contextmanager
    def watched(_what: str, total: int) -> Iterator[Bar]:
        assert total == 600
        yield Bar(moves.append)

    monkeypatch.setattr(fitting, "progress", watched)
    seen = mg.compile(net, calibration=x, rate=0.01)
    found = seen.fit(x, y, epochs=2, guard=mg.Guard(x[:20], y[:20], every=70))
    assert sum(moves) == 600
    assert len(moves) >= 10
    assert moves[0] == 16
    assert repr(found) == repr(expected)
    for name, value in plain.state.items():
        assert np.array_equal(value, seen.state[name]), name


def test_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    pace, unseen = Pace(2000, shown=True), Pace(2000, shown=False)
    sizes = []
    for per_item in [1e-5] * 10 + [1e-2] * 10:
        pace.start()
        unseen.start()
        now += pace.size * per_item
        pace.done()
        unseen.done()
        sizes.append(pace.size)
    assert sizes[:8] == [32, 64, 128, 256, 512, 1024, 2000, 2000]
    assert 5 <= sizes[-1] <= 20, "slow items are shown a few times in a second"
    assert unseen.size == 2000
    assert Pace(7, shown=True).size == 7
