"""What a verb says: tables on a terminal, plain lines in a pipe, one JSON object with --json."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from mcugrad import progress
from mcugrad.errors import FitError, McugradError, ToolError, UsageError
from mcugrad.files import readable, write_file

ROOM = 1 << 20
"""Bytes that there has to be room for where nobody knows how many they will be."""


class Output:
    """The output of one verb.

    Args:
        machine: say nothing but one JSON object.
    """

    def __init__(self, machine: bool) -> None:
        self.machine = machine
        progress.show(not machine)
        self.pretty = not machine and sys.stdout.isatty()
        self.notes: list[str] = []
        self._noted: int | None = None

    def say(self, text: str = "", *, strong: bool = False) -> None:
        """One line for people."""
        if self.machine:
            return
        text = readable(text)
        if self.pretty:
            text = "\n".join(map(_folded, text.split("\n")))
        styled = typer.style(text, bold=True) if strong and self.pretty else text
        if not progress.above(styled):
            typer.echo(styled)

    def note(self, text: str) -> None:
        """Something that the user should know although nothing failed; said once, after `show_notes` at once."""
        if text in self.notes:
            return
        self.notes.append(text)
        if self._noted is not None:
            self.show_notes()

    def show_notes(self) -> None:
        """Say what has been noted so far."""
        for text in self.notes[self._noted or 0 :]:
            self.say(f"note  {text}")
        self._noted = len(self.notes)

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: str = ""
    ) -> None:
        """A table for people.

        Args:
            title: above it.
            columns: their heads.
            rows: texts.
            right: `r` for each column that is aligned right, anything else for the others.
        """
        if self.machine:
            return
        self.say()
        if title:
            self.say(title, strong=True)
        if self.pretty:
            self._rich_table(columns, rows, right)
            return
        lines = [columns, *rows] if any(columns) else list(rows)
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
        for line in lines:
            cells = [
                text.rjust(width) if right[i : i + 1] == "r" else text.ljust(width)
                for i, (text, width) in enumerate(zip(line, widths, strict=True))
            ]
            typer.echo("  " + "  ".join(cells).rstrip())

    @staticmethod
    def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: str) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, header_style="dim", show_header=any(columns))
        for i, name in enumerate(columns):
            table.add_column(
                name,
                justify="right" if right[i : i + 1] == "r" else "left",
                style="dim" if name.startswith("how") else "",
                overflow="fold",
            )
        for row in rows:
            table.add_row(*map(Text, row))
        Console(highlight=False).print(table)

    def finish(self, facts: dict[str, Any]) -> None:
        """The same facts for machines."""
        if self.machine:
            typer.echo(as_json(facts), nl=False)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show that something takes a while."""
        with progress.working(what, after=0.5):
            yield


def _folded(line: str) -> str:
    """A line for people, between words in rows that fit the terminal; further rows are indented."""
    width, hang = shutil.get_terminal_size().columns, len(line) - len(line.lstrip()) + 2
    if len(line) <= width:
        return line
    hang = 6 if line.startswith(("note  ", "data  ")) else hang
    rows = textwrap.wrap(
        line, max(width, 20), subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(rows)


def as_json(facts: dict[str, Any]) -> str:
    """JSON as this project writes it; NaN is refused."""
    return readable(json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


@contextmanager
def otherwise(way: str) -> Iterator[None]:
    """Let what a missing tool is said to need name a way without it, too."""
    try:
        yield
    except ToolError as error:
        hint = ";  or ".join(filter(None, (error.hint, way)))
        raise ToolError(error.what, where=error.where, hint=hint) from error


def write(path: Path, content: str | bytes) -> Path:
    """Write a file, its folders too, whole or not at all. Raises UsageError where that is not possible."""
    try:
        write_file(path, content)
    except OSError as error:
        raise UsageError(
            f"cannot write the file: {error.strerror}", where=str(path), hint="another place"
        ) from None
    return path


def demand_places(
    *, files: Sequence[Path | None] = (), folders: Sequence[Path | None] = (), size: int = ROOM
) -> None:
    """Refuse what cannot be written before there is work to be lost: writes a file beside it, and takes it away again.

    Args:
        files: where files will be written.
        folders: where folders of files will be.
        size: bytes that there has to be room for.

    Raises:
        UsageError: a place cannot be written, or has no room.
    """
    places = [(path, False) for path in files if path is not None]
    places += [(path, True) for path in folders if path is not None]
    for path, as_folder in places:
        try:
            _demand_place(path, as_folder, size)
        except OSError as error:
            what = "firmware" if as_folder else "file"
            raise UsageError(
                f"cannot write the {what}: {error.strerror}",
                where=str(path),
                hint="some space, or another place"
                if error.errno in (errno.ENOSPC, errno.EDQUOT)
                else f"another {'folder' if as_folder else 'place'}",
            ) from None


def _demand_place(path: Path, as_folder: bool, size: int) -> None:
    found = next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))
    wrong = None
    if found is path and found.is_symlink() and (as_folder or found.is_file() or not found.exists()):
        raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed")
    if found is path and not as_folder:
        wrong = errno.EISDIR if path.is_dir() else None
    elif not found.is_dir():
        wrong = errno.ENOTDIR
    if wrong is None and not os.access(found, os.W_OK | (os.X_OK if found.is_dir() else 0)):
        wrong = errno.EACCES
    if wrong is not None:
        raise OSError(wrong, os.strerror(wrong))
    if found.is_dir() or found.is_file():
        _try(found, size)
    elif found.is_char_device():
        with found.open("wb", buffering=0) as device:
            if not device.isatty():  # what leads nowhere takes a byte, and what is full does not
                device.write(b"\n")


def _try(found: Path, size: int) -> None:
    """Write as much as will be written, under another name. Raises OSError where that is not possible."""
    try:
        with tempfile.TemporaryFile(dir=found if found.is_dir() else found.parent) as file:
            file.write(bytes(size))
            file.flush()
    except OSError as error:
        # A file that may be written in a folder that may not, or one that is mounted: it is written in place.
        if found.is_dir() or error.errno not in (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EROFS):
            raise


def demand_streams() -> None:
    """Let stdout and stderr lead nowhere where whoever called has closed them, as a service may."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  (for good)


def flush_streams() -> None:
    """Write what is still to be written. Raises OSError."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def silence_streams() -> None:
    """Let those that cannot be written lead nowhere: Python would complain of them at its end, with its own code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def forgive_locale() -> None:
    """Let a terminal that has no µ or ± show something else instead: what is not text for it is no failure."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


class Notes(logging.Handler):
    """Says what the library warns of on stderr, as the command line says things."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        typer.echo(f"note: {readable(record.getMessage())}", err=True)


@contextmanager
def noted() -> Iterator[None]:
    """Let what the library warns of be said meanwhile."""
    logger, notes = logging.getLogger("mcugrad"), Notes()
    logger.addHandler(notes)
    try:
        yield
    finally:
        logger.removeHandler(notes)


def report_error(error: McugradError, machine: bool) -> None:
    """Say what is wrong: on stderr for people, on stdout as JSON for machines."""
    if machine:
        facts: dict[str, Any] = {
            "error": error.what,
            "kind": type(error).__name__,
            "where": error.where,
            "hint": error.hint,
        }
        if isinstance(error, FitError):
            facts["largest"] = [asdict(each) for each in error.largest]
        typer.echo(as_json({**facts, "exit_code": error.exit_code}), nl=False)
        return
    head, _, rest = readable(str(error)).partition("\n")
    label = typer.style("error:", fg="red", bold=True) if sys.stderr.isatty() else "error:"
    typer.echo(f"{label} {head}" + (f"\n{rest}" if rest else ""), err=True)
