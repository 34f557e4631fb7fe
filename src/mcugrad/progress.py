"""Progress on a terminal: a bar with what remains, or what is being built; silence in pipes, files and with --json.

There is one display at a time; a second one inside it is silent. What is printed meanwhile appears above it: `print` of
whoever is called is redirected, and `above` is for writers that go past `sys.stdout`.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

PATIENCE = 2.0
"""Seconds that something takes before it is said."""
LOOK = 0.1
"""Seconds between two updates of a bar, about."""
FIRST = 16
"""Items done before the first update."""

_lock = threading.RLock()
_live: Console | None = None
_wanted = True


def show(wanted: bool) -> None:
    """Whether progress may be shown at all: not where a machine reads."""
    global _wanted  # noqa: PLW0603  (there is one terminal)
    _wanted = wanted


def above(text: str) -> bool:
    """Print a line above what is shown; False where nothing is, so that it can be printed as ever."""
    with _lock:
        if _live is None or not sys.stdout.isatty():
            return False
        from rich.text import Text

        _live.print(Text.from_ansi(text), soft_wrap=True)
        return True


def line(text: str) -> None:
    """Print a line where progress is shown; nothing elsewhere."""
    with _display() as console:
        if console is not None:
            console.print(text, markup=False, soft_wrap=True)


class Pace:
    """How many items to do between two updates of a bar: so many that it moves a few times in a second.

    Args:
        most: as many at once where nobody looks on, and never more.
        shown: whether somebody does.
    """

    def __init__(self, most: int, shown: bool) -> None:
        self.most = most
        self.size = min(FIRST, most) if shown else most
        self._shown = shown
        self._then = monotonic()

    def start(self) -> None:
        """Before the items."""
        self._then = monotonic()

    def done(self) -> None:
        """After them; what comes next is fitted to the time that these took."""
        if self._shown:
            took = monotonic() - self._then
            if took < LOOK / 2:
                self.size = min(2 * self.size, self.most)
            elif took > 2 * LOOK:
                self.size = max(self.size // 2, 1)


class Bar:
    """What `progress` yields: call it with the number of items done since the last call.

    Attributes:
        shown: whether anybody sees it.
    """

    def __init__(self, advance: Callable[[int], None] | None) -> None:
        self.shown = advance is not None
        self._advance = advance

    def __call__(self, done: int) -> None:
        """So many more are done."""
        if self._advance is not None:
            self._advance(done)


@contextmanager
def progress(what: str, total: int | None, *, in_bytes: bool = False) -> Iterator[Bar]:
    """Show how far a long task is, and how long it will still take.

    Args:
        what: is being done.
        total: items; None where nobody knows.
        in_bytes: whether these are bytes, shown in larger units.
    """
    with _display() as console:
        if console is None:
            yield Bar(None)
            return
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            DownloadColumn() if in_bytes else MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns, console=console, transient=True, expand=True, redirect_stdout=sys.stdout.isatty()
        ) as bar:
            task = bar.add_task(what, total=total)
            yield Bar(lambda done: bar.advance(task, done))


@contextmanager
def working(what: str, after: float = PATIENCE) -> Iterator[None]:
    """Say what is being done when it takes longer than some seconds."""
    with _display() as console:
        if console is None:
            yield
            return
        from rich.live import Live
        from rich.spinner import Spinner

        # Lines printed meanwhile appear above; where stdout is a file, they must still reach it.
        display = Live(
            Spinner("dots", what),
            console=console,
            transient=True,
            refresh_per_second=10,
            redirect_stdout=sys.stdout.isatty(),
        )
        ended = threading.Event()

        def begin() -> None:
            with _lock:
                if not ended.is_set():
                    display.start()

        timer = threading.Timer(after, begin)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with _lock:
                ended.set()
                display.stop()


@contextmanager
def _display() -> Iterator[Console | None]:
    """The terminal, for one display at a time; None where there is none, or another one has it."""
    global _live  # noqa: PLW0603  (there is one terminal)
    with _lock:
        free = _live is None and _wanted and _is_watched()
        if free:
            from rich.console import Console

            _live = Console(stderr=True, highlight=False)
        mine = _live if free else None
    try:
        yield mine
    finally:
        if mine is not None:
            with _lock:
                _live = None


def _is_watched() -> bool:
    """Whether a person looks at stderr, and at nothing that passes through a pipe onto the same screen."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not _is_pipe(sys.stdout)


def _is_pipe(stream: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):  # closed, or no file at all
        return False
