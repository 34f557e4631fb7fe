"""Ctrl-C while a core runs.

Python handles a signal at the next line of Python, which during emulation is inside a callback of unicorn: an
exception raised there is printed and lost, and emulation goes on as if nobody had asked it to stop.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def after_callbacks() -> Iterator[None]:
    """Let a Ctrl-C that comes meanwhile wait for the end of the block; then whoever handles it hears of it."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield  # signals are no matter of this thread, or nobody listens
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        handler(*came[0])
