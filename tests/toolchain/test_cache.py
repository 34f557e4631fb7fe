"""The cache: nothing is taken from it that others could have put there or that is not what was written."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcugrad import toolchain
from mcugrad.errors import ToolError
from mcugrad.toolchain import cache, private

IDENTITY = "ab" + "0" * 38
TEXT = b"int f;\n" * 100

SYNC = cache._sync
"""As it is outside of tests, which do without."""

posix = pytest.mark.skipif(sys.platform == "win32", reason="access lists there")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of its own; zig keeps the one it has."""
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(cache.root() / "zig"))
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache, "_sync", SYNC)
    for each in (cache._warn, cache._sweep, cache._own_folder):
        each.cache_clear()
    yield tmp_path / "cache"
    for each in (cache._warn, cache._sweep, cache._own_folder):
        each.cache_clear()


class Make:
    """Writes a file or a folder of files, and counts how often."""

    def __init__(self, is_folder: bool = False) -> None:
        self.is_folder = is_folder
        self.count = 0

    def __call__(self, path: Path) -> None:
        self.count += 1
        if self.is_folder:
            (path / "deep").mkdir(parents=True)
            (path / "deep/n.h").write_bytes(TEXT)
            (path / "n.c").write_bytes(TEXT)
        else:
            path.write_bytes(TEXT)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def turn_into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link(path: Path) -> None:
    twin = path.parents[3] / "elsewhere"
    path.rename(twin)
    path.symlink_to(twin)


DAMAGES: tuple[Callable[[Path], None], ...] = (
    flip,
    shorten,
    lambda path: os.truncate(path, 0),
    lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    turn_into_folder,
    Path.unlink,
    *((link,) if hasattr(os, "symlink") else ()),
)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("place", ["file", "list", "in a folder"])
def test_what_is_damaged_is_built_again(place: str, damage: Callable[[Path], None]) -> None:
    make = Make(place == "in a folder")
    path = cache.build(IDENTITY, "x", make)
    for _ in range(2):
        assert cache.build(IDENTITY, "x", make) == path
    assert make.count == 1
    inside = path / "deep/n.h" if make.is_folder else path
    damage(path.parent / "files.sha256" if place == "list" else inside)
    for _ in range(2):
        assert cache.build(IDENTITY, "x", make) == path
        assert inside.is_file()
        assert not inside.is_symlink()
        assert inside.read_bytes() == TEXT
    assert make.count == 2


@pytest.mark.parametrize("damage", [shutil.rmtree, lambda p: (shutil.rmtree(p), p.write_text("x"))])
def test_an_entry_that_is_gone_or_a_file(damage: Callable[[Path], None]) -> None:
    path = cache.build(IDENTITY, "x", Make())
    damage(path.parent)
    assert cache.build(IDENTITY, "x", Make()).read_bytes() == TEXT


def test_a_file_too_many_is_noticed() -> None:
    path = cache.build(IDENTITY, "x", make := Make(is_folder=True))
    (path / "stdint.h").write_text("#error\n")
    cache.build(IDENTITY, "x", make)
    assert (make.count, (path / "stdint.h").exists()) == (2, False)


@pytest.mark.parametrize("damage", [flip, shorten])
def test_libraries_objects_and_firmware_are_checked(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    (tmp_path / "f.c").write_text("int f(int a);\nint f(int a) { return a * 3; }\n")
    compiler = toolchain.host_compilers()[0]
    library = toolchain.build_shared([tmp_path / "f.c"], compiler=compiler)
    (made,) = (tmp_path / "cache").rglob("*.o")
    good = library.read_bytes(), made.read_bytes()
    damage(made)
    damage(library)
    assert toolchain.build_shared([tmp_path / "f.c"], compiler=compiler) == library
    assert (library.read_bytes(), made.read_bytes()) == good


def test_many_repair_at_once() -> None:
    path = cache.build(IDENTITY, "x", Make())
    for _ in range(5):
        shorten(path)
        start, seen = threading.Barrier(8), []

        def ask(start: threading.Barrier = start, seen: list[bytes] = seen) -> None:
            start.wait()
            seen.append(cache.build(IDENTITY, "x", Make()).read_bytes())

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [TEXT] * 8
    assert [p.name for p in path.parents[1].iterdir()] == [IDENTITY]


def test_all_is_on_the_disk_before_it_has_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    sync, rename = os.fsync, Path.rename

    def noted(number: int) -> None:
        events.append(Path(f"/dev/fd/{number}").resolve().name if sys.platform == "linux" else "")
        sync(number)

    def renamed(path: Path, to: Path) -> Path:
        events.append("rename")
        return rename(path, to)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "rename", renamed)
    cache.build(IDENTITY, "x", Make(is_folder=True))
    before, after = events[: events.index("rename")], events[events.index("rename") + 1 :]
    assert len(before) == 3 + 3  # files and list, then the folders
    if sys.platform == "linux":
        assert before[:3] == ["n.h", "n.c", "files.sha256"]
        assert after == ["ab"]


@pytest.mark.parametrize("step", ["make", "fsync", "mkdtemp"])
def test_a_full_disk_is_said_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif step == "mkdtemp":
        monkeypatch.setattr(cache.tempfile, "mkdtemp", full)
    with pytest.raises(ToolError, match=r"^the cache cannot be written: No space left on device") as caught:
        cache.build(IDENTITY, "x", full if step == "make" else Make())
    assert caught.value.where == str(folder)
    assert "free some space" in caught.value.hint
    assert list((folder / "builds/ab").iterdir()) == []


@posix
def test_file_systems_that_neither_sync_nor_lock_folders(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of networks and of user space."""
    import fcntl

    sync, synced = os.fsync, []

    def of_files(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        synced.append(number)
        sync(number)

    def without_locks(*_: object) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(os, "fsync", of_files)
    monkeypatch.setattr(fcntl, "flock", without_locks)
    path = cache.build(IDENTITY, "x", Make())
    assert len(synced) == 2  # file and list
    flip(path)
    assert cache.build(IDENTITY, "x", Make()).read_bytes() == TEXT


def test_what_killed_processes_leave_is_swept(folder: Path) -> None:
    for name in ("old", "young"):
        left = folder / f"builds/cd/.new-{name}"
        left.mkdir(parents=True)
        (left / "x").write_text("")
    hours_ago = time.time() - 7 * 3600
    (folder / "builds/cd/.lock-old").touch()
    for name in (".new-old", ".lock-old"):
        os.utime(folder / "builds/cd" / name, (hours_ago, hours_ago))
    cache.build(IDENTITY, "x", Make())
    assert [p.name for p in (folder / "builds/cd").iterdir()] == [".new-young"]


# --- whose folder it is -------------------------------------------------------------------------------------


def spoil_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()


def spoil_for_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def spoil_sticky(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    folder.chmod(0o1777)


def spoil_group(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    folder.chmod(0o770)
    monkeypatch.setattr(private, "_is_own_group", lambda gid: False)


def spoil_link(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "real").mkdir(mode=0o700)
    folder.symlink_to("real")


def spoil_parent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    folder.parent.chmod(0o777)


def spoil_owner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    real = Path.lstat

    def others(path: Path) -> os.stat_result:
        found = list(real(path))
        if path == folder:
            found[stat.ST_UID] += 1
        return os.stat_result(found)

    monkeypatch.setattr(Path, "lstat", others)


def spoil_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_text("")


SPOILED = {
    spoil_nothing: "",
    spoil_for_all: "cache can be written by other users (mode 777)",
    spoil_sticky: "cache can be written by other users (mode 1777)",
    spoil_group: "cache can be written by other users (mode 770)",
    spoil_link: "cache is a symbolic link",
    spoil_parent: "can be written by other users (mode 777)",
    spoil_owner: "cache belongs to another user",
    spoil_file: "cache cannot be used",
}


@posix
@pytest.mark.parametrize("spoil", SPOILED)
def test_a_folder_that_others_can_write_is_not_used(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
) -> None:
    folder = tmp_path / "place/cache"
    folder.parent.mkdir()
    spoil(folder, monkeypatch)
    monkeypatch.setenv("MCUGRAD_CACHE", str(folder))
    with caplog.at_level(logging.WARNING, "mcugrad"):
        found = {cache.root() for _ in range(3)}
    text = SPOILED[spoil]
    assert found == {tmp_path / "home/mcugrad" if text else folder}
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == bool(text), "once"
    assert all(text in each and str(tmp_path / "home/mcugrad") in each for each in said)
    cache.build(IDENTITY, "x", Make())
    if text and folder.is_dir():
        assert list(folder.iterdir()) == []


@posix
def test_a_sticky_folder_above_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "tmp/a/b"))
    assert cache.root() == tmp_path / "tmp/a/b"
    assert {(tmp_path / "tmp" / p).stat().st_mode & 0o777 for p in ("a", "a/b")} == {0o700}


@posix
def test_a_link_above_may_lead_only_where_nobody_else_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far/disk").mkdir(parents=True)
    (tmp_path / "near").symlink_to("far/disk")
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "near/cache"))
    assert cache.root() == tmp_path / "near/cache"
    (tmp_path / "far").chmod(0o777)
    assert cache.root() == tmp_path / "home/mcugrad"


@posix
def test_the_group_that_is_the_users_own_may_write(tmp_path: Path) -> None:
    import grp
    import pwd

    user = pwd.getpwuid(os.getuid())
    try:
        own = grp.getgrgid(user.pw_gid)
    except KeyError:
        pytest.skip("the user's group has no name")
    is_own = own.gr_name == user.pw_name and set(own.gr_mem) <= {user.pw_name}
    (tmp_path / "a").mkdir()
    os.chown(tmp_path / "a", -1, user.pw_gid)
    (tmp_path / "a").chmod(0o770)
    assert (private.objection(tmp_path / "a") == "") is is_own
    (tmp_path / "a").chmod(0o772)
    assert "mode 772" in private.objection(tmp_path / "a")


@pytest.mark.skipif(sys.platform != "linux", reason="users are mapped on Linux alone")
@pytest.mark.parametrize(
    ("users", "outside"),
    [
        ("0 0 4294967295", ()),
        ("0 1000 1\n", (65534,)),
        ("1000 0 1", (65534,)),
        ("0 0 65536", (65534,)),
        ("", ()),
    ],
)
def test_a_container_shows_the_computers_root_as_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, users: str, outside: tuple[int, ...]
) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    texts = {"/proc/self/uid_map": users, "/proc/sys/fs/overflowuid": "65534\n"}
    monkeypatch.setattr(Path, "read_text", lambda path, **_: texts[str(path)])
    real = Path.lstat

    def above(path: Path) -> os.stat_result:
        found = list(real(path))
        if path == Path("/"):
            found[stat.ST_UID] = 65534
        return os.stat_result(found)

    monkeypatch.setattr(Path, "lstat", above)
    private._outside.cache_clear()
    try:
        assert private._outside() == outside
        assert bool(private.objection(tmp_path / "a")) is not bool(outside)
    finally:
        private._outside.cache_clear()


def test_no_place_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "file").write_text("")
    for variable in ("MCUGRAD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "file"))
    monkeypatch.setattr(cache, "_platform_folder", lambda: tmp_path / "file")
    monkeypatch.setattr(cache.tempfile, "mkdtemp", full)
    for ask in (cache.root, lambda: cache.build(IDENTITY, "x", Make())):
        with pytest.raises(
            ToolError, match="there is no place for builds, not even a temporary one: No space"
        ):
            ask()


@posix
def test_entries_that_others_can_write_are_built_again(folder: Path) -> None:
    path = cache.build(IDENTITY, "x", make := Make())
    path.parent.chmod(0o777)
    cache.build(IDENTITY, "x", make)
    assert (make.count, path.parent.stat().st_mode & 0o777) == (2, 0o700)
    path.parents[1].chmod(0o777)
    cache.build(IDENTITY, "x", make)
    assert (make.count, path.parents[1].stat().st_mode & 0o777) == (3, 0o700)


@posix
def test_without_any_place_a_process_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    code = (
        "from mcugrad.toolchain import cache; a = cache.root(); b = cache.root();"
        "print(a == b, oct(a.stat().st_mode & 0o777), a)"
    )
    environment = {**os.environ, "MCUGRAD_CACHE": str(tmp_path / "open"), "TMPDIR": str(tmp_path)}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "open"), "HOME": str(tmp_path / "open")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    same, mode, place = done.stdout.split()
    assert (same, mode) == ("True", "0o700")
    assert Path(place).parent == tmp_path
    assert not Path(place).exists(), "it is removed when the process ends"
    assert "the cache is not where it should be" in done.stderr
