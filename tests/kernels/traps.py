"""Calls in a process of their own, which ends where a library does what C leaves undefined."""

from __future__ import annotations

import faulthandler
import mmap
import os
import sys
import traceback
from collections.abc import Callable, Sequence


def ends_of(calls: Sequence[Callable[[], None]]) -> tuple[int, int]:
    """What ended a process that makes these calls one after the other, and at which: 0 if nothing did.

    A copy of this process makes them, so that what they need is there already; the number of a signal is negative.
    """
    place = mmap.mmap(-1, 8)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        faulthandler.disable()  # that it ends is an answer
        try:
            for i, call in enumerate(calls):
                place[:] = i.to_bytes(8, "little")
                call()
            code = 0
        except BaseException:  # noqa: BLE001  nothing of this process may go on in the copy
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int.from_bytes(place[:], "little")
