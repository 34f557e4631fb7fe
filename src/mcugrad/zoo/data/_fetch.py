"""Files from a publisher: downloaded once into the cache, compared with their checksums."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mcugrad.errors import DataError
from mcugrad.progress import progress

_log = logging.getLogger(__name__)

_TIMEOUT_S = 20
_CHUNK = 1 << 16


def cache_folder() -> Path:
    value = os.environ.get("MCUGRAD_CACHE", "")
    return Path(value).expanduser() if value else Path("~/.cache/mcugrad").expanduser()


def md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _new_md5).hexdigest()


def _new_md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def download_file(address: str, place: Path, md5: str) -> None:
    """Fetches one file; `place` appears only when it is complete and its checksum is right.

    Raises:
        DataError: the checksum is wrong.
        OSError, http.client.HTTPException: the address cannot be reached or the cache cannot be written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = _new_md5()
    handle, partial = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with (
            os.fdopen(handle, "wb") as file,
            urllib.request.urlopen(address, timeout=_TIMEOUT_S) as reply,
            _progress(address, int(reply.headers.get("Content-Length") or 0)) as advance,
        ):
            while chunk := reply.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                advance(len(chunk))
        if digest.hexdigest() != md5:
            raise DataError(
                f"the download has MD5 {digest.hexdigest()}; {place.name} has {md5}",
                where=address,
                hint="load it again; if that fails, a proxy changes what passes through it",
            )
        Path(partial).replace(place)
    finally:
        with suppress(FileNotFoundError):
            Path(partial).unlink()


@contextmanager
def _progress(address: str, total: int) -> Iterator[Callable[[int], object]]:
    """Shows a progress bar where somebody looks on, logs one message elsewhere.

    Gives a function that takes the number of bytes that have just arrived. A total of 0 means unknown.
    """
    with progress(f"downloading {address.rpartition('/')[2]}", total or None, in_bytes=True) as bar:
        if not bar.shown:
            _log.info("downloading %s (%s bytes)", address, total or "an unknown number of")
        yield bar
