"""Whether a folder is ours alone: what others could have put there must not be loaded as code."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path

_POSIX = (
    sys.platform != "win32"
)  # elsewhere a user's folders have access lists, which are right from the start
_ALL = (1 << 32) - 1
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def objection(folder: Path) -> str:
    """Why another user could change what lies in a folder that exists; "" if nobody can.

    The folder must belong to this user, be no symbolic link and be writable by nobody else. Of the folders above it
    and of links on the way, the owner is this user or root, and others may write there only where they cannot rename
    what is not theirs (the sticky bit, as /tmp has it).
    """
    if not _POSIX:
        return ""
    folder = folder.absolute()
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        return f"{folder} is a symbolic link"
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is no folder"
    if found.st_uid != os.getuid():
        return f"{folder} belongs to another user ({_user(found.st_uid)})"
    if _writable(found):
        return f"{folder} can be written by other users (mode {found.st_mode & 0o7777:o})"
    real = Path(os.path.realpath(folder))
    return next((text for each in (*folder.parents, *real.parents) if (text := _parent(each))), "")


def _parent(folder: Path) -> str:
    found = folder.lstat()
    if found.st_uid not in {0, os.getuid(), *_outside()}:
        return f"{folder} belongs to another user ({_user(found.st_uid)})"
    is_link = stat.S_ISLNK(found.st_mode)  # its mode means nothing
    if not is_link and _writable(found) and not found.st_mode & stat.S_ISVTX:
        return f"{folder} can be written by other users (mode {found.st_mode & 0o7777:o})"
    return ""


@cache
def _outside() -> tuple[int, ...]:
    """In a container that maps only some users: whom all others show as, the computer's root among them."""
    try:
        inside, outside, count = map(int, Path("/proc/self/uid_map").read_text(encoding="ascii").split()[:3])
        shown = Path("/proc/sys/fs/overflowuid").read_text(encoding="ascii")
        everybody = inside == outside == 0 and count >= _ALL
        return () if everybody else (int(shown),)
    except (OSError, ValueError):
        return ()


def _writable(found: os.stat_result) -> bool:
    """Whether others than the owner may write, a group of which the owner is the only member aside."""
    others = found.st_mode & _OTHERS
    return bool(others) and not (others == stat.S_IWGRP and _is_own_group(found.st_gid))


def _is_own_group(gid: int) -> bool:
    """Whether a group is the one that many systems make for each user, under the user's name."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
