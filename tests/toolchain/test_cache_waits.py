"""The cache: processes that want the same do not all build it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mcugrad.toolchain import cache

IDENTITY = "ab" + "0" * 38


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_who_wants_what_is_being_built_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process, too; what differs is built at the same time, also while something that needs it is built."""
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path))
    begun, go_on, made = threading.Event(), threading.Event(), []

    def make(path: Path) -> None:
        made.append(path)
        path.touch()

    def slowly(path: Path) -> None:
        begun.set()
        cache.build(IDENTITY[:-1] + "1", "x", Path.touch)
        assert go_on.wait(60)
        make(path)

    code = "import sys; from mcugrad.toolchain import cache; cache.build(sys.argv[1], 'x', lambda p: print('built'))"
    first = threading.Thread(target=cache.build, args=(IDENTITY, "x", slowly))
    first.start()
    assert begun.wait(60)
    second = threading.Thread(target=cache.build, args=(IDENTITY, "x", make))
    second.start()
    other = subprocess.Popen([sys.executable, "-c", code, IDENTITY], stdout=subprocess.PIPE)
    second.join(0.2)
    assert second.is_alive()
    assert other.poll() is None
    go_on.set()
    for thread in (first, second):
        thread.join()
    assert (other.communicate()[0], other.returncode) == (b"", 0)
    assert cache.build(IDENTITY, "x", make).is_file()
    assert len(made) == 1
    assert sorted(p.name for p in (tmp_path / "builds/ab").iterdir()) == [IDENTITY, IDENTITY[:-1] + "1"]
