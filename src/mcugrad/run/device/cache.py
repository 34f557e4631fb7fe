"""Built files, kept by the hash of everything they were built from. Safe with concurrent processes.

A build happens in a private folder which is then renamed into place: others see it whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

Defines = Mapping[str, str | int | None]

_INCLUDE = re.compile(
    rb'^[ \t]*(?:#[ \t]*include|\.include)[ \t]+(?:"([^"\n]+)"|<([^>\n]+)>|(\w+))', re.MULTILINE
)


def _platform_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mcugrad"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "mcugrad" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcugrad"


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def root() -> Path:
    """Folder of the cache: `$MCUGRAD_CACHE`, the platform's cache folder, or one for temporary files."""
    chosen = os.environ.get("MCUGRAD_CACHE")
    candidates = [Path(chosen)] if chosen else []
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        candidates.append(_platform_folder())
    for folder in candidates:
        if _usable(folder):
            return folder.absolute()
    user = os.getuid() if hasattr(os, "getuid") else 0
    fallback = Path(tempfile.gettempdir()) / f"mcugrad-{user}"
    fallback.mkdir(mode=0o700, parents=True, exist_ok=True)
    return fallback


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
    """Path of the file `filename` of the build `identity`; `make(path)` writes it if it is not there yet."""
    folder = root() / "builds" / identity[:2] / identity
    wanted = folder / filename
    if wanted.exists():
        return wanted
    folder.parent.mkdir(parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        make(private / filename)
        try:
            private.rename(folder)
        except OSError:  # another process was first; its result is the same
            if not wanted.exists():
                raise
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return wanted


def _resolve(name: str, folders: Sequence[Path]) -> Path | None:
    return next((path for folder in folders if (path := folder / name).is_file()), None)


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
        for quoted, angled, macro in _INCLUDE.findall(text):
            name = (quoted or angled or str(defines.get(macro.decode()) or "").encode()).decode().strip('"<>')
            found = _resolve(name, [path.parent, *include_dirs]) if name else None
            if found is not None:
                todo.append(found)
    return digest.hexdigest()
