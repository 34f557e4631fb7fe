"""Fixtures for data sets: a place of their own, files in it, and somebody who publishes them."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcugrad.zoo.data import _builtin as builtin
from zoo_files import Save, published_files


@pytest.fixture
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data of this machine and no network: every place is an empty folder."""
    monkeypatch.delenv("MCUGRAD_DATA", raising=False)
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(builtin, "DEBIAN", tmp_path / "debian")
    for name, published in list(builtin.PUBLISHED.items()):
        monkeypatch.setitem(builtin.PUBLISHED, name, replace(published, address="http://127.0.0.1:9/"))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes an .npz; keywords replace the arrays of a good one, None leaves one out."""

    def write(name: str = "set.npz", **changes: Any) -> Path:
        rng = np.random.default_rng(0)
        arrays: dict[str, Any] = {
            "x_train": rng.integers(0, 256, (6, 4, 4), dtype=np.uint8),
            "y_train": np.array([0, 1, 2, 0, 1, 2], np.uint8),
            "x_test": rng.integers(0, 256, (3, 4, 4), dtype=np.uint8),
            "y_test": np.array([0, 1, 2], np.uint8),
        }
        arrays |= changes
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return write


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A local server that plays the publisher of fashion_mnist; gives the folder it serves."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name, content in published_files().items():
        (folder / name).write_bytes(content)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        md5 = tuple(hashlib.md5(content).hexdigest() for content in published_files().values())
        address = f"http://127.0.0.1:{server.server_port}/"
        fake = replace(builtin.PUBLISHED["fashion_mnist"], address=address, md5=md5)
        monkeypatch.setitem(builtin.PUBLISHED, "fashion_mnist", fake)
        yield folder
        server.shutdown()
        thread.join()
