"""Images: a learned state as a dump of a device's memory, as an array in C, and as arrays of NumPy."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.emit.fingerprint import WORD, word
from mcugrad.errors import DataError
from mcugrad.files import read_file, shown
from mcugrad.npz import Archive, Header
from mcugrad.program import Program
from mcugrad.program.rows import moved_rows, shape_of, with_all_rows, without_frozen_rows
from mcugrad.state.about import About
from mcugrad.state.check import damages, summed_up
from mcugrad.state.file import LIMIT, MAGIC, SUFFIX, StateFile

C_SUFFIXES = (".c", ".h", ".inc", ".txt")
"""How a file with an array in C is called."""
_HINT = "a .mcgstate or .npz file, a dump of the device's memory, or an array in C (.c, .h)"
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_MODEL = re.compile(rb"_FINGERPRINT\s*!=\s*0x([0-9a-fA-F]{1,8})U")
_ARRAY = re.compile(
    r"\b(u?int8_t|uint32_t|(?:unsigned )?char)\s+\w+\s*\[[^\]]*\][^={;]*=\s*\{([^{}]*)\}", re.DOTALL
)
FINGERPRINT = "fingerprint"
"""Name of what an .npz file says of its model beside the arrays: 32 bytes."""
_PER_LINE = 16


def read_state(path: str | Path, like: StateFile, program: Callable[[], Program] | None = None) -> StateFile:
    """A learned state in whatever form it comes: a state file, .npz, an array in C, or a dump of memory.

    What a file is, is seen by what it begins with; an array in C, and a state file that is damaged where it begins, by
    the end of its name; all else is a dump.

    Args:
        path: of the file.
        like: a state of the model that it has to fit, with its description.
        program: makes that of the model, by which arrays of an .npz file may have all rows, also those that stay in
            flash; asked where they have.

    Raises:
        DataError: it cannot be read, is truncated or damaged, of another model, or holds what cannot be learned.
    """
    place = Path(path)
    data = read_file(place, LIMIT, what="the learned state", error=DataError, hint=_HINT)
    where = shown(place)
    if data.startswith(MAGIC) or place.suffix.lower() == SUFFIX:
        found = fitting(StateFile.from_bytes(data, where), like, where)
    elif data.startswith(b"PK") or place.suffix == ".npz":
        found = like.with_params(_about(like).join(from_npz(place, like, program)))
    elif place.suffix.lower() in C_SUFFIXES:
        said = _MODEL.search(data)
        if said is not None:  # `to_c` wrote it
            digest = int(said.group(1), 16).to_bytes(WORD, "little")
            _demand_model(digest, like, where, "the array is")
        found = like.with_params(from_dump(from_c(data, where), like, where))
    else:
        found = like.with_params(from_dump(data, like, where))
    return usable(found, where)


def is_state_file(path: Path) -> bool:
    """Whether a file begins as a state file does, or is called one. Raises DataError where it cannot be read."""
    data = read_file(path, LIMIT, what="the learned state", error=DataError, hint=_HINT)
    return data.startswith(MAGIC) or path.suffix.lower() == SUFFIX


def fitting(found: StateFile, like: StateFile, where: str) -> StateFile:
    """The state, with the description of the model that it fits. Raises DataError that says in what it does not."""
    if found.fingerprint != like.fingerprint:
        differences = [] if found.about is None else _about(like).differences(found.about)
        raise DataError(
            "the state is of another model: "
            + (
                "; ".join(differences)
                or "its frozen numbers differ, which other calibration samples, or for losses on values other "
                "labels, may be the reason of"
            ),
            where=where,
            hint="the same network, --train, --rule, --loss and data as when it was saved"
            + ("" if not found.program else ";  or mg.Trainer.load of the file, which holds its model"),
        )
    if len(found.params) != len(like.params):
        raise DataError(
            f"the state has {len(found.params)} bytes of params, the model {len(like.params)}", where=where
        )
    if found.about is None:  # written by a device
        return like.with_params(found.params)
    return found


def usable(found: StateFile, where: str) -> StateFile:
    """The state itself. Raises DataError for numbers that cannot have been learned."""
    wrong = damages([array.buffer for array in _about(found).arrays], found.arrays)
    if wrong:
        raise DataError(f"the state is damaged: {summed_up(wrong)}", where=where, hint="another copy of it")
    return found


def from_dump(data: bytes, like: StateFile, where: str) -> bytes:
    """`params` from a dump of a device's memory: of them alone, of `ready` and them, or of the whole struct.

    Raises:
        DataError: another length, or `ready` is not that of this model.
    """
    about, size = _about(like), len(like.params)
    if len(data) == size:
        return data
    if len(data) not in (WORD + size, about.ram):
        raise DataError(
            f"{len(data)} bytes are no dump of {about.name}: its params have {size}, {about.name}_t has {about.ram}",
            where=where,
            hint=f"dump {about.name}_t from its first byte, or its member params",
        )
    ready, wanted = int.from_bytes(data[:WORD], "little"), word(like.fingerprint)
    if ready != wanted:
        raise DataError(
            f"the dump is of another model, or of one that was not initialised: ready is 0x{ready:08x}, that of "
            f"{about.name} is 0x{wanted:08x}",
            where=where,
            hint="the firmware that was exported from this model",
        )
    return data[WORD : WORD + size]


def to_c(state: StateFile) -> str:
    """`params` as an array of bytes in C, for firmware to copy; the fingerprint is checked when that compiles."""
    name, value = _about(state).name, word(state.fingerprint)
    rows = [state.params[i : i + _PER_LINE] for i in range(0, len(state.params), _PER_LINE)]
    lines = ",\n".join("    " + ", ".join(f"0x{byte:02x}" for byte in row) for row in rows)
    return (
        f"/* What {name} has learned in {state.steps} steps: copy it to the params of a {name}_t. */\n"
        f'#include "{name}.h"\n\n'
        f"#if {name.upper()}_FINGERPRINT != 0x{value:08x}U\n"
        f'#error "this state is of another model than {name}.h"\n'
        "#endif\n\n"
        f"static const uint8_t {name}_state[{len(state.params)}] = {{\n{lines},\n}};\n"
    )


def from_c(data: bytes, where: str) -> bytes:
    """The bytes of the first array of bytes or words in C. Raises DataError."""
    try:
        match = _ARRAY.search(_COMMENT.sub(" ", data.decode("utf-8")))
        if match is None:
            raise ValueError
        numbers = [int(part.strip().rstrip("uUlL"), 0) for part in match.group(2).split(",") if part.strip()]
        size = 4 if match.group(1) == "uint32_t" else 1
        low = 0 if match.group(1) == "uint32_t" else -128
        if not all(low <= number < 256**size for number in numbers):
            raise ValueError
        return b"".join((number % 256**size).to_bytes(size, "little") for number in numbers)
    except ValueError:
        raise DataError(
            "there is no array of bytes in this C file",
            where=where,
            hint="const uint8_t state[] = {0x12, ...};  or uint32_t",
        ) from None


def _demand_model(digest: bytes, like: StateFile, where: str, what: str) -> None:
    """Refuse what says that it is of another model. Raises DataError."""
    found, wanted = word(digest), word(like.fingerprint)
    if found != wanted:
        raise DataError(
            f"{what} of another model: the fingerprint is 0x{found:08x}, that of {_about(like).name} is "
            f"0x{wanted:08x}",
            where=where,
            hint="the same network, --train, --rule, --loss and data as when it was trained",
        )


def to_npz(state: StateFile) -> bytes:
    """The arrays of a state as an .npz file, and the fingerprint of their model."""
    content = io.BytesIO()
    given: dict[str, Any] = {**state.arrays, FINGERPRINT: np.frombuffer(state.fingerprint, np.uint8)}
    np.savez(content, **given)
    return content.getvalue()


def from_npz(
    path: Path, like: StateFile, program: Callable[[], Program] | None = None
) -> dict[str, NDArray[Any]]:
    """The arrays of a model from an .npz file; nothing is unpacked that is not as large as it should be.

    They are those that a device holds, or with the rows that stay in flash, as `Trainer.state` has them.

    Raises:
        DataError: the file is damaged, its arrays are not those of the model, or it has the fingerprint of another one.
    """
    file, expected = Archive(path, _HINT), dict(like.arrays)
    if FINGERPRINT in file.names:  # not where somebody else put the arrays together
        expected[FINGERPRINT] = np.frombuffer(like.fingerprint, np.uint8)
    longer = [n for n in file.names if n in expected and _has_more_rows(file.header(n), expected[n])]
    compiled = program() if longer and program is not None else None
    if compiled is not None:
        whole = with_all_rows(compiled, like.arrays)
        expected |= {n: whole[n] for n in longer if _kind(file.header(n)) == _kind(whole[n])}
    names = dict.fromkeys((*file.names, *expected))
    wrong = [n for n in names if n not in file.names or n not in expected]
    wrong += [n for n in names if n not in wrong and _kind(file.header(n)) != _kind(expected[n])]
    if wrong:
        count = len(names.keys() - {FINGERPRINT})
        raise DataError(
            f"the learned state is of another model: {len(wrong)} of {count} arrays differ, first {wrong[0]}",
            where=shown(path),
            hint="a file that `mcugrad train --save` wrote, with the same --train and --rule"
            + (
                ";  or, for arrays with all rows, a state file that holds its model"
                if longer and not program
                else ""
            ),
        )
    found = file.read(tuple(expected))
    if FINGERPRINT in found:
        _demand_model(found.pop(FINGERPRINT)[:WORD].tobytes(), like, shown(path), "the arrays are")
    return found if compiled is None else own_rows(compiled, found, shown(path))


def own_rows(program: Program, arrays: Mapping[str, NDArray[Any]], where: str) -> dict[str, NDArray[Any]]:
    """Arrays as a device holds them, of such or of those with all rows.

    Raises:
        DataError: rows that do not train are not those that the model has in flash.
    """
    shapes = {name: value.shape for name, value in arrays.items() if name in program.in_flash}
    whole = {n: arrays[n] for n, shape in shapes.items() if shape == shape_of(program, program.buffers[n])}
    if moved := moved_rows(program, whole):
        raise DataError(
            f"the learned state is of another model: {len(moved)} of {len(arrays)} arrays have other rows that do not "
            f"train, first {moved[0]}",
            where=where,
            hint="a state of a model compiled with the same network, calibration samples, rule= and sparse=",
        )
    return {**arrays, **without_frozen_rows(program, whole)}


def _kind(array: Header | NDArray[Any]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    return array.shape, array.dtype


def _has_more_rows(found: Header, wanted: NDArray[Any]) -> bool:
    """Whether an array has more rows of the same kind."""
    (rows, *row), (fewer, *same) = (found.shape or (0,)), (wanted.shape or (0,))
    return rows > fewer and row == same and found.dtype == wanted.dtype


def _about(state: StateFile) -> About:
    if state.about is None:
        raise DataError(
            "the state file does not say what its numbers are: a device wrote it",
            where="like",
            hint="a state file that mcugrad wrote",
        )
    return state.about
