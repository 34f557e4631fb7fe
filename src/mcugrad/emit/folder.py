"""Writing a folder of generated files: all of them or none, and never over what somebody has changed.

`mcugrad.sha256` in the folder records what was written, in the form that `sha256sum --check` reads. A file that is
there and is neither what was recorded nor what is about to be written belongs to the user:

* what is meant to be edited (all that is no code, `main.c`, all below `examples/`) stays, and the new text is put
  beside it, as `main.example.c`, or `name.ino.example`, since Arduino joins all sketches of a folder into one;
* generated code is refused, and nothing at all is written: weights of today and calls of yesterday must not meet.

Symbolic links below the folder, and the folder itself as one, are never followed.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from mcugrad.errors import UsageError

RECORD = "mcugrad.sha256"
"""Name of the file that says what was written."""
_RECORD_LIMIT = 1 << 20
_CODE = (".c", ".h")
_JOINED = (".ino",)
"""Kinds of files of which a build takes all that lie in one folder, whatever they are called."""
_BESIDE = re.compile(r"\.example(\.[^./]*)?$")
_log = logging.getLogger(__name__)


def write_folder(
    files: Mapping[str, str | bytes],
    folder: str | Path,
    *,
    what: str = "the firmware",
    code: Sequence[str] = (),
) -> Path:
    """Write generated files; logs a warning for each one that was changed by hand and therefore stays.

    Args:
        files: content by name, `/` between the parts of a name; text is written as UTF-8.
        folder: where to; made if it is not there.
        what: they are, for messages.
        code: names of all that belongs together; what of it was written before and is not among the files is removed,
            since it would not fit them.

    Returns:
        The folder.

    Raises:
        UsageError: generated code in the folder was changed since it was written, something is a symbolic link, or the
            files cannot be written. The folder is then as it was before.
    """
    path = Path(folder)
    new = {name: _encoded(content) for name, content in files.items()}
    try:
        record = _recorded(path)
        gone = _gone(path, [name for name in code if name not in new], record)
        _refuse(path, [*_changed(path, new, record, by_hand=False), *_users(path, gone, record)])
        written, record = _arranged(path, new, record)
        outdated = [*_outdated(path, new, written, record), *gone]
        record = {name: digest for name, digest in record.items() if name not in gone}
        _replace(path, {**written, RECORD: _text(record)}, outdated)
    except OSError as error:
        raise UsageError(
            f"cannot write {what}: {error.strerror or error}", where=str(path), hint="another folder"
        ) from None
    for name in kept(path):
        _log.warning(
            "%s was changed since it was written and stays as it is; what is new is in %s",
            path / name,
            path / beside(name),
        )
    return path


def demand_unchanged(folder: str | Path, names: Sequence[str], code: Sequence[str] = ()) -> None:
    """Refuse before there is work to be lost what `write_folder` would refuse for changed code.

    Args:
        folder: where to write.
        names: of the generated code that will be written; what it will be is not known yet.
        code: as for `write_folder`.

    Raises:
        UsageError: one of them is not as it was written.
    """
    path = Path(folder)
    with suppress(OSError):  # writing says what is wrong
        record = _recorded(path)
        gone = _gone(path, [name for name in code if name not in names], record)
        _refuse(path, _users(path, [*names, *gone], record))


def kept(folder: str | Path) -> tuple[str, ...]:
    """Names of files that stay as somebody has changed them, with a new one beside each."""
    path = Path(folder)
    names = (_BESIDE.sub(r"\1", name) for name in _recorded(path) if _BESIDE.search(name))
    return tuple(sorted(name for name in names if os.path.lexists(path / name)))


def beside(name: str) -> str:
    """Where the new text goes when a file was changed: `main.c` gives `main.example.c`, `a.ino` `a.ino.example`."""
    path = PurePosixPath(name)
    if path.suffix in _JOINED:
        return f"{name}.example"
    return str(path.with_name(f"{path.stem}.example{path.suffix}"))


def _edited(name: str) -> bool:
    """Whether a file is meant to be changed by the user: all but the code that is generated."""
    path = PurePosixPath(name)
    return path.suffix not in _CODE or path.name == "main.c" or path.parts[0] == "examples"


def _encoded(content: str | bytes) -> bytes:
    return content.encode("utf-8") if isinstance(content, str) else content


def _digest(content: bytes) -> str:
    # A version control system that turns line ends does not make a file the user's.
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _recorded(folder: Path) -> dict[str, str]:
    """SHA-256 by name of what was written into a folder; lines that are none are left out."""
    path = folder / RECORD
    if not path.exists() or not _is_regular(path) or path.stat().st_size > _RECORD_LIMIT:
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = (re.fullmatch(r"([0-9a-f]{64})  (\S.*)", line) for line in lines)
    return {match[2]: match[1] for match in found if match}


def _text(record: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(record.items())).encode("utf-8")


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _is_users(path: Path, new: bytes | None, recorded: str | None) -> bool:
    """Whether there is something in a file's place that was not written here."""
    if not os.path.lexists(path):
        return False
    if not _is_regular(path):
        return True
    now = _digest(path.read_bytes())
    return now != recorded and (new is None or now != _digest(new))


def _gone(folder: Path, names: Sequence[str], record: Mapping[str, str]) -> list[str]:
    """Those that were written before."""
    return [name for name in names if name in record and os.path.lexists(folder / name)]


def _users(folder: Path, names: Sequence[str], record: Mapping[str, str]) -> list[str]:
    """Those that were not written here, or are not as they were."""
    return [name for name in names if _is_users(folder / name, None, record.get(name))]


def _changed(
    folder: Path, new: Mapping[str, bytes], record: Mapping[str, str], *, by_hand: bool
) -> list[str]:
    """Names of files that are the user's: those that are meant to be edited, or the code."""
    return [
        name
        for name, content in sorted(new.items())
        if _edited(name) is by_hand and _is_users(folder / name, content, record.get(name))
    ]


def _arranged(
    folder: Path, new: Mapping[str, bytes], record: Mapping[str, str]
) -> tuple[dict[str, bytes], dict[str, str]]:
    """What is written under which name, and the record of it; the user's files are left out."""
    mine = _changed(folder, new, record, by_hand=True)
    written = {name: content for name, content in new.items() if name not in mine}
    aside = {beside(name): new[name] for name in mine}
    _refuse(folder, [n for n, content in aside.items() if _is_users(folder / n, content, record.get(n))])
    written |= aside
    known = {name: digest for name, digest in record.items() if os.path.lexists(folder / name)}
    known |= {name: _digest(content) for name, content in written.items()}
    for name in new:
        if name not in mine:
            known.pop(beside(name), None)
    return written, known


def _outdated(
    folder: Path, new: Mapping[str, bytes], written: Mapping[str, bytes], record: Mapping[str, str]
) -> list[str]:
    """Examples beside files that are no longer the user's, as they were written."""
    old = _recorded(folder)
    names = [beside(name) for name in new if name in written]
    return [
        name
        for name in names
        if name in old
        and name not in record
        and os.path.lexists(folder / name)
        and not _is_users(folder / name, None, old[name])
    ]


def _refuse(folder: Path, names: Sequence[str]) -> None:
    """Raise UsageError for files that would have to be overwritten."""
    links = [name for name in names if (folder / name).is_symlink()]
    if links:
        raise UsageError(
            f"{', '.join(links)} {'is a symbolic link' if len(links) == 1 else 'are symbolic links'}, "
            "which are not followed",
            where=str(folder),
            hint=f"remove {'it' if len(links) == 1 else 'them'}, or another folder",
        )
    if names:
        raise UsageError(
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not as mcugrad has written "
            f"{'it' if len(names) == 1 else 'them'}; nothing is overwritten",
            where=str(folder),
            hint=f"move {'it' if len(names) == 1 else 'them'} away, or another folder",
        )


def _replace(folder: Path, files: Mapping[str, bytes], outdated: Sequence[str]) -> None:
    """Put files in their places, all or none; remove the outdated ones."""
    private: Path | None = None
    made: list[Path] = []
    moved: list[tuple[Path, Path | None]] = []  # place, what was there
    try:
        _make_folders(folder, {folder / PurePosixPath(name).parent for name in files}, made)
        private = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        for i, content in enumerate(files.values()):
            with (private / f"new{i}").open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for i, name in enumerate([*files, *outdated]):
            place, old = folder / name, private / f"old{i}"
            there = os.path.lexists(place)
            if there and not _is_regular(place):
                raise OSError(errno.EEXIST, f"{name} is no ordinary file")
            if there:
                place.rename(old)
            moved.append((place, old if there else None))
            if i < len(files):
                (private / f"new{i}").rename(place)
    except BaseException:
        for place, before in reversed(moved):
            with suppress(OSError):
                if before is None:
                    place.unlink(missing_ok=True)
                else:
                    before.replace(place)
        if private is not None:
            shutil.rmtree(private, ignore_errors=True)
        for each in reversed(made):
            with suppress(OSError):
                each.rmdir()
        raise
    shutil.rmtree(private, ignore_errors=True)


def _make_folders(folder: Path, wanted: set[Path], made: list[Path]) -> None:
    """Make folders, outermost first, and add those that were not there to `made`. Raises UsageError, OSError."""
    for each in (folder, *sorted(wanted)):
        if each.is_symlink():
            raise UsageError(
                f"{each} is a symbolic link, which are not followed",
                where=str(folder),
                hint=f"{each.resolve()}, if that is meant"
                if each == folder
                else "remove it, or another folder",
            )
        missing = [p for p in (each, *each.parents) if not p.exists()]
        for place in reversed(missing):
            place.mkdir(exist_ok=True)
            made.append(place)
        if not each.is_dir():
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
