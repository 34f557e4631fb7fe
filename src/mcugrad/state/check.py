"""Check: what in a learned state cannot be; the device's `<name>_check` says the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.ops.life.check import WRONG, checks
from mcugrad.program import Buffer
from mcugrad.program.execute import execute

NAMED = 3
"""Arrays that a message names at most."""


def damages(params: Iterable[Buffer], state: Mapping[str, NDArray[Any]]) -> list[str]:
    """What in a state cannot have been learned, one text for each array with such numbers, in the order of `params`."""
    buffers = {buffer.name: buffer for buffer in params}
    found = []
    for call in checks(buffers.values()):
        wrong, buffer = np.zeros(1, np.uint32), buffers[call.node]
        execute(call, {buffer.name: state[buffer.name], WRONG: wrong})
        if wrong[0]:
            found.append(_text(buffer, int(wrong[0])))
    return found


def summed_up(found: list[str]) -> str:
    """The first of what `damages` found, and how much more there is."""
    more = f"; and in {len(found) - NAMED} more arrays" if len(found) > NAMED else ""
    return "; ".join(found[:NAMED]) + more


def _text(buffer: Buffer, wrong: int) -> str:
    if buffer.within is None:
        return f"{buffer.name} is none"
    least, most = buffer.within
    what = "not" if wrong == buffer.count == 1 else f"{wrong} of {buffer.count} not"
    return f"{buffer.name}: {what} in [{least:g}, {most:g}]"
