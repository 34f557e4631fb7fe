"""What tests cost: processor time of their own process, of what they start, and of that in the emulator.

`pytest --costs FILE` writes a line for each test and shows the dearest files. Other work on the computer lengthens a
clock's seconds, these less.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ALONE = "main"
"""The process that is no worker."""
SHOWN = 15
"""Files of tests that are listed."""


class Costs:
    """Plugin of one process; with several, each writes a file of its own, and the first one gathers them."""

    def __init__(self, path: Path, worker: str) -> None:
        self.path, self.worker = path, worker
        self._emulated = 0.0

    @pytest.hookimpl
    def pytest_sessionstart(self) -> None:
        """Begins anew, and has the emulator's time taken."""
        self._own.unlink(missing_ok=True)
        try:
            import unicorn
        except ImportError:
            return
        start = unicorn.Uc.emu_start

        def emu_start(engine: object, *given: object, **named: object) -> object:
            begin = time.thread_time()
            try:
                return start(engine, *given, **named)
            finally:
                self._emulated += time.thread_time() - begin

        unicorn.Uc.emu_start = emu_start

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Takes the time of a test with its fixtures."""
        before, emulated = os.times(), self._emulated
        found = yield
        after = os.times()
        own = after.user + after.system - before.user - before.system
        others = after.children_user + after.children_system - before.children_user - before.children_system
        line = f"{own:.2f}\t{others:.2f}\t{self._emulated - emulated:.2f}\t{item.nodeid}\n"
        with self._own.open("a", encoding="utf-8") as file:
            file.write(line)
        return found

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Shows the sums, in the process that has heard of all tests."""
        if self.worker != ALONE:
            return
        lines: list[str] = []
        for part in sorted(self.path.parent.glob(f"{self.path.name}.*")):
            lines += part.read_text(encoding="utf-8").splitlines()
            part.unlink()
        self.path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        by_file: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        for line in lines:
            *seconds, name = line.split("\t", 3)
            for key in (name.partition("::")[0], ""):
                by_file[key] = [one + float(more) for one, more in zip(by_file[key], seconds, strict=True)]
        terminalreporter.section("processor seconds: Python (of that the emulator) + processes started")
        for name, (own, others, emulated) in sorted(by_file.items(), key=lambda each: -sum(each[1][:2]))[
            : SHOWN + 1
        ]:
            told = name or f"{len(lines)} tests"
            terminalreporter.write_line(
                f"{own + others:8.1f} = {own:7.1f} ({emulated:6.1f}) + {others:7.1f}  {told}"
            )

    @property
    def _own(self) -> Path:
        return self.path.with_name(f"{self.path.name}.{self.worker}")
