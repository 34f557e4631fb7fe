"""Built files, kept by the hash of everything they were built from. Safe with concurrent processes and other users.

* A build happens in a private folder which is then renamed into place: others see it whole or not at all.
* Who wants what another process is building waits for it.
* Each entry lists its files with size and SHA-256, and is compared with that list before it is used. What a crash, a
  full disk or a bad one has damaged is built again.
* The folder is one that no other user can write: what lies in it is loaded as code. Where there is none, a folder for
  this process takes its place.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from mcugrad.errors import ToolError
from mcugrad.toolchain.private import objection

Defines = Mapping[str, str | int | None]

_INCLUDE = re.compile(
    rb'^[ \t]*(?:#[ \t]*include|\.include)[ \t]+(?:"([^"\n]+)"|<([^>\n]+)>|(\w+))', re.MULTILINE
)
_LIST = "files.sha256"
"""In every entry: SHA-256, size and name of each of its files."""
_LIST_LIMIT = 1 << 20
_STALE_SECONDS = 6 * 3600
"""Age from which a private folder belongs to a process that has died."""
_log = logging.getLogger(__name__)


def _platform_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mcugrad"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "mcugrad" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcugrad"


def _make(folder: Path) -> None:
    """Make a folder and those above it that are missing, for this user alone. Raises OSError."""
    for each in reversed([p for p in (folder, *folder.parents) if not p.exists()]):
        each.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")


def _problem(folder: Path) -> str:
    """Why a folder cannot be the cache; "" if it can. Makes it where it is missing."""
    try:
        _make(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"{folder} cannot be written"
        return objection(folder)
    except (OSError, ValueError) as error:
        return f"{folder} cannot be used: {getattr(error, 'strerror', None) or error}"


@cache
def _warn(problem: str, instead: Path) -> None:
    """Say it once."""
    _log.warning("the cache is not where it should be: %s; builds are kept in %s", problem, instead)


@cache
def _own_folder() -> Path:
    """A folder for this process, which is removed when it ends. Raises ToolError."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="mcugrad-"))
    except OSError as error:
        raise ToolError(
            f"there is no place for builds, not even a temporary one: {error.strerror or error}",
            where=tempfile.gettempdir() if tempfile.tempdir else "",
            hint="free some space, or set MCUGRAD_CACHE to a folder that only you can write",
        ) from None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def root() -> Path:
    """Folder of the cache: `$MCUGRAD_CACHE`, the platform's cache folder, or one for this process alone.

    The first one that can be written by this user and by nobody else is taken; a warning says why another was not.

    Raises:
        ToolError: not even a temporary folder can be made.
    """
    chosen = os.environ.get("MCUGRAD_CACHE")
    candidates = []
    if chosen:
        with contextlib.suppress(RuntimeError):  # ~ of somebody who is not there
            candidates.append(Path(chosen).expanduser().absolute())
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        candidates.append(_platform_folder().absolute())
    problems = []
    for folder in candidates:
        problem = _problem(folder)
        if not problem:
            break
        problems.append(problem)
    else:
        folder = _own_folder()
    if problems:
        _warn("; ".join(problems), folder)
    return folder


def key(*parts: str | bytes | Iterable[str]) -> str:
    """A hash of `parts` in order; each part is delimited, so ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            part = part.encode()
        elif not isinstance(part, bytes):
            part = "\0".join(part).encode()
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:40]


def build(identity: str, filename: str, make: Callable[[Path], None]) -> Path:
    """Path of the file or folder `filename` of the build `identity`; `make(path)` writes it if it is not there yet.

    What is there is compared with what was written, and built again where it differs.

    Raises:
        ToolError: the cache cannot be written.
    """
    try:
        return _build(identity, filename, make)
    except OSError as error:
        raise ToolError(
            f"the cache cannot be written: {error.strerror or error}",
            where=str(root()),
            hint="free some space, or set MCUGRAD_CACHE to another folder",
        ) from error


def _build(identity: str, filename: str, make: Callable[[Path], None]) -> Path:
    shelf = root() / "builds" / identity[:2]
    folder = shelf / identity
    wanted = folder / filename
    if _is_whole(folder, filename):
        return wanted
    for each in (shelf.parent, shelf):
        _make(each)
        _demand_own(each)
    _sweep(shelf.parent)
    before = _mark(folder)
    with _alone(shelf / f".lock-{identity}"):
        if _mark(folder) == before or not _is_whole(folder, filename):  # nobody has built it meanwhile
            _built(folder, filename, make)
    return wanted


def _mark(folder: Path) -> tuple[int, int] | None:
    """What tells an entry from another one of its name; None where there is none."""
    try:
        found = folder.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def _built(folder: Path, filename: str, make: Callable[[Path], None]) -> None:
    shelf = folder.parent
    if os.path.lexists(folder):
        _discard(folder, filename)
    private = Path(tempfile.mkdtemp(prefix=".new-", dir=shelf))
    try:
        make(private / filename)
        _seal(private)
        try:
            private.rename(folder)
        except OSError:  # another process was first; its result is the same
            if not _is_whole(folder, filename):
                raise
        _sync(shelf)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _demand_own(folder: Path) -> None:
    """Close a folder of the cache to others, as an unusual umask may have made it. Raises OSError."""
    if objection(folder):
        folder.chmod(0o700)
        problem = objection(folder)
        if problem:
            raise PermissionError(0, problem)


def _files(folder: Path) -> Iterator[Path]:
    """All files of an entry but its list, sorted."""
    return (p for p in sorted(folder.rglob("*")) if p.name != _LIST and not p.is_dir())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(folder: Path) -> None:
    """Bring an entry to the disk, and write the list of its files. Raises OSError."""
    lines = []
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        lines.append(f"{_digest(path)} {path.stat().st_size} {name}\n")
        _sync(path)
    listed = folder / _LIST
    listed.write_text("".join(lines), encoding="utf-8")
    _sync(listed)
    for each in {path.parent for path in _files(folder)} | {folder}:
        _sync(each)


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk; systems that can open or sync no folders do without."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    number = os.open(path, os.O_RDONLY if is_folder or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(number)
    except OSError as error:
        # Some network and user-space file systems know fsync of files alone.
        if not is_folder or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
    finally:
        os.close(number)


def _is_whole(folder: Path, filename: str) -> bool:
    """Whether an entry is ours and holds what was written."""
    try:
        if objection(folder):
            return False
        listed = folder / _LIST
        if not _is_ordinary(listed, _LIST_LIMIT):
            return False
        lines = listed.read_text(encoding="utf-8").splitlines()
        entries = [line.split(" ", 2) for line in lines]
        names = {name for _, _, name in entries}
        if not any(name == filename or name.startswith(f"{filename}/") for name in names):
            return False
        return names == {p.relative_to(folder).as_posix() for p in _files(folder)} and all(
            _is_ordinary(folder / name, int(size))
            and (folder / name).stat().st_size == int(size)
            and _digest(folder / name) == digest
            for digest, size, name in entries
        )
    except (OSError, ValueError):
        return False


def _is_ordinary(path: Path, limit: int) -> bool:
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_size <= limit


def _discard(folder: Path, filename: str) -> None:
    """Remove a damaged entry, and not the one that another process has meanwhile put in its place. Raises OSError."""
    with _locked(folder.parent):
        if not os.path.lexists(folder) or _is_whole(folder, filename):
            return
        _log.info("%s is damaged and built again", folder)
        away = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        folder.rename(away / "damaged")
    shutil.rmtree(away, ignore_errors=True)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Who builds something, while others who want it wait; the file goes when it is there.

    Who opened the file before it went and who makes it anew do not see each other: both find what was built.
    """
    with _locked(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One thread of all processes at a time, by a folder, or by a file that is made; where the system has locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks, or without locks of folders, as NFS
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


@cache
def _sweep(shelves: Path) -> None:
    """Remove, once per process, what processes that were killed have left."""
    now = time.time()
    for path in (*shelves.glob("*/.new-*"), *shelves.glob("*/.lock-*")):
        with contextlib.suppress(OSError):
            if now - path.lstat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def _resolve(name: str, folders: Sequence[Path]) -> Path | None:
    return next((path for folder in folders if (path := folder / name).is_file()), None)


def _includes(text: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """What a source includes: in quotes, in angles, or by a macro. Only lines with the word are looked at closely."""
    lines, at = [], text.find(b"include")
    while at >= 0:
        end = text.find(b"\n", at) % (len(text) + 1)  # the last line may have no end
        lines.append(text[text.rfind(b"\n", 0, at) + 1 : end])
        at = text.find(b"include", end)
    return _INCLUDE.findall(b"\n".join(lines))


def source_digest(source: Path, include_dirs: Sequence[Path], defines: Defines) -> str:
    """Hash of a source file and of every file it includes, directly or not.

    Headers that are found in neither the includer's folder nor `include_dirs` belong to the compiler, whose
    version is hashed elsewhere. `#include NAME` is looked up in `defines`.
    """
    digest = hashlib.sha256()
    seen: set[Path] = set()
    todo = [source]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        text = path.read_bytes()
        digest.update(len(text).to_bytes(8, "little") + text)
        for quoted, angled, macro in _includes(text):
            name = (quoted or angled or str(defines.get(macro.decode()) or "").encode()).decode().strip('"<>')
            found = _resolve(name, [path.parent, *include_dirs]) if name else None
            if found is not None:
                todo.append(found)
    return digest.hexdigest()
