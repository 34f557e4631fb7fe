"""Reading what users name and writing what they ask for: ordinary files of bounded size, whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

from mcugrad.errors import McugradError

_KINDS = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def shown(path: str | Path) -> str:
    """A path as text for messages and generated files: the same for every locale, and always valid Unicode."""
    try:
        return os.fsencode(path).decode("utf-8", "replace")
    except UnicodeEncodeError:  # a name that this locale has no bytes for
        return readable(str(path))


def readable(text: str) -> str:
    """Text with what Python has put in the place of bytes that the locale does not know turned back: valid Unicode."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")


def kind_of(path: Path) -> str:
    """What there is: `a file`, `a folder`, `a pipe`, `a device`, `a socket`; "" where there is nothing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # not there, or no name that a file could have
        return ""
    return next((name for test, name in _KINDS if test(mode)), "a special file")


def read_file(
    path: Path, limit: int, *, what: str, error: type[McugradError], hint: str = "check the path"
) -> bytes:
    """The content of an ordinary file. Neither waits for a pipe nor reads a device without end.

    Args:
        path: of the file.
        limit: bytes that it may have.
        what: it is, for messages: `the model file`.
        error: raised for what cannot be read.
        hint: what to try where nothing better is known.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise error(
                f"{what} is {kind_of(path)}, not an ordinary file",
                where=shown(path),
                hint="copy it to a file",
            )
        with path.open("rb") as file:
            # What /proc and the like hold says that it has no bytes.
            data = b"" if status.st_size > limit else file.read(limit + 1)
    except FileNotFoundError:
        raise error(f"{what} does not exist", where=shown(path), hint=hint) from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise error(f"{what} cannot be read: {reason}", where=shown(path), hint=hint) from None
    if status.st_size > limit or len(data) > limit:
        raise error(
            f"{what} has {max(status.st_size, len(data))} bytes; at most {limit} are read",
            where=shown(path),
            hint="a smaller one",
        )
    return data


def write_file(path: Path, content: str | bytes) -> Path:
    """Write a file, its folders too, whole or not at all: after a failure there is what was there before.

    A symbolic link is not followed but refused; a device or a pipe is written to as it is.

    Args:
        path: of the file.
        content: text is written as UTF-8.

    Raises:
        OSError: it cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return path
    if path.is_symlink():
        raise OSError(errno.ELOOP, f"it is a symbolic link to {path.resolve()}, which is not followed")
    try:
        _replace(path, data)
    except OSError as problem:
        # A file that may be written in a folder that may not, or one that is mounted.
        if problem.errno not in (errno.EACCES, errno.EPERM, errno.EBUSY) or not path.is_file():
            raise
        path.write_bytes(data)
    return path


def _replace(path: Path, data: bytes) -> None:
    private = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        partial = private / path.name
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, partial)
        partial.replace(path)
    finally:
        shutil.rmtree(private, ignore_errors=True)
