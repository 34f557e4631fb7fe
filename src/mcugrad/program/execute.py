"""Execute calls and entries by their Python references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.program.call import Argument, Call
from mcugrad.program.program import Program
from mcugrad.training.rules import IN_PLACE


def execute(call: Call, values: Mapping[str, NDArray[Any] | None]) -> None:
    """Run the reference of one call.

    Args:
        call: what to run.
        values: contents of every buffer that the call touches; written in place, shapes may be any.
    """
    given = arguments(call, values)
    call.kernel.reference(
        *(
            np.empty(0, np.uint8) if given[param.name] is None else given[param.name]
            for param in call.kernel.seen
        )
    )


def arguments(call: Call, values: Mapping[str, NDArray[Any] | None]) -> dict[str, Any]:
    """What a call passes, by parameter: flat arrays, which are those of the buffers, numbers, None for no array."""
    return {
        param.name: _value(argument, values, param.pointer)
        for argument, param in zip(call.arguments, call.kernel.params, strict=True)
    }


def run(
    program: Program, entry: str, values: Mapping[str, NDArray[Any] | None], *, without: str = ""
) -> None:
    """Run an entry.

    Args:
        program: what has it.
        entry: its name.
        values: contents of every buffer, those of the arguments included; written in place.
        without: name of a segment that is left out, whose results are there already; empty for none.
    """
    run_segments(program, (name for name in program.entries[entry].segments if name != without), values)


def run_segments(program: Program, names: Iterable[str], values: Mapping[str, NDArray[Any] | None]) -> None:
    """Run segments, one after the other; arguments as for `run`."""
    for name in names:
        segment = program.segments[name]
        if not segment.when or _number(segment.when, values):
            for call in segment.calls:
                execute(call, values)


def _number(buffer: str, values: Mapping[str, NDArray[Any] | None]) -> int:
    array = values[buffer]
    assert array is not None, buffer
    return int(array.reshape(-1)[0])


def _value(argument: Argument, values: Mapping[str, NDArray[Any] | None], pointer: bool) -> Any:
    if argument.buffer:
        array = values[argument.buffer]
        assert array is not None, argument.buffer
        flat = array.reshape(-1)
        return flat if pointer else _number(argument.buffer, values)
    if argument.struct is not None:
        return argument.struct
    if argument.rule:
        return IN_PLACE[argument.rule]
    return argument.value
