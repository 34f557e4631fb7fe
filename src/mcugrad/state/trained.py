"""Trained: what is said and kept of a model that learned, and the file that holds it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.model import Model
from mcugrad.options import Options
from mcugrad.pipeline import Build
from mcugrad.program.rows import with_all_rows, without_frozen_rows
from mcugrad.run.runner import State
from mcugrad.state.about import About, arrays_of
from mcugrad.state.file import StateFile
from mcugrad.state.program import can_pack, pack
from mcugrad.targets import Target

SHOWN = 16
"""Hexadecimal digits of a hash that generated files show."""


def state_file(
    model: Model,
    made: Build,
    options: Options,
    state: State,
    *,
    data: str | None,
    target: Target | None = None,
    program: bool | None = False,
) -> StateFile:
    """What a model has learned, as a file holds it.

    Args:
        model: of the build.
        made: the build.
        options: what it was made with.
        state: what it learned.
        data: hash of what it was trained on; empty for nothing, None where it is not known.
        target: what it was checked for.
        program: whether the file shall hold what the model can be compiled again from; None where that is possible.

    Raises:
        UsageError: `program` is wanted, and the network's weights lie in other files.
    """
    place = made.compiled.layout
    about = About(
        name=model.name,
        source=model.source,
        sha256=model.digest,
        version=made.compiled.origin.version,
        trains=made.compiled.origin.trains,
        precision=options.precision,
        loss=options.loss.text,
        data=data,
        ram=place.size,
        size=place.params_size,
        arrays=arrays_of(place.params),
    )
    packed = program or (program is None and can_pack(model))
    return StateFile(
        made.compiled.fingerprint,
        about.join(without_frozen_rows(made.compiled.program, state)),
        about,
        pack(model, made.scales, options, target) if packed else b"",
    )


def trained_note(state: State, data: str | None) -> str:
    """`as trained, 1437 steps on data sha256 1f0c3a...`: what generated files say."""
    steps = step_of(state)
    what = "data that nobody recorded" if data is None else f"data sha256 {data[:SHOWN]}"
    return f"as trained, {steps} steps on {what}" if data != "" else f"as trained, {steps} steps"


def initial(made: Build) -> State:
    """What a model holds at delivery: its own arrays, not to be written; with all rows."""
    own = {b.name: b.value.reshape(b.shape) for b in made.compiled.layout.params if b.value is not None}
    return with_all_rows(made.compiled.program, own)


def copied(state: State) -> State:
    """The same arrays, to be written."""
    return {name: value.copy() for name, value in state.items()}


def step_of(state: State) -> int:
    """Training steps so far, modulo 2^32; 0 for a model that does not train."""
    return int(state["step"][0]) if "step" in state else 0


def data_hash(before: str | None, *arrays: NDArray[Any]) -> str:
    """Hash of data that was trained on after that of earlier trainings: order, types and shapes count.

    Args:
        before: hash so far; None and empty are the same.
        arrays: samples and labels as the device takes them.
    """
    found = hashlib.sha256((before or "").encode())
    for array in arrays:
        found.update(f"{array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
