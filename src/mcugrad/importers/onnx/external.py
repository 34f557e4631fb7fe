"""Weights that an ONNX file keeps in other files beside it: what it says of them is checked before one is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
from onnx import TensorProto

from mcugrad.errors import ModelError
from mcugrad.files import kind_of
from mcugrad.importers.shared.file import MODEL_LIMIT

_SHOWN = 60
"""Characters of a place that messages show."""


@dataclass(frozen=True)
class _Part:
    """Where a tensor's bytes lie."""

    tensor: TensorProto
    place: str
    path: Path
    offset: int
    length: int


def load_external(proto: onnx.ModelProto, label: str, model: Path | None) -> None:
    """Bring weights from other files into the model.

    Args:
        proto: the model; changed.
        label: what messages call it.
        model: path of its file; None if it came as bytes.

    Raises:
        ModelError: a place is absolute or leads out of the folder, a file is missing, no ordinary file, or shorter than
            what the model says, or all of it together is larger than `MODEL_LIMIT`.
    """
    outside = [tensor for tensor in _tensors(proto) if tensor.data_location == TensorProto.EXTERNAL]
    if not outside:
        return
    named = {_entries(tensor).get("location", "") for tensor in outside}
    places = sorted(named - {""})
    if model is None:
        raise ModelError(
            f"{len(outside)} weight tensors are stored outside the model, which came as bytes without a folder",
            where=_listed(places) or label,
            hint="give the file's path, or onnx.save(model, path, save_as_external_data=False)",
        )
    folder = model.parent
    absurd = [place for place in places if not _is_inside(model, place)]
    if absurd:
        raise ModelError(
            f"{len(outside)} weight tensors are stored outside the model's folder: {_listed(absurd)}",
            where=label,
            hint="keep the data files beside the model, or export with external_data=False",
        )
    missing = [place for place in places if kind_of(folder / place) != "a file"]
    if missing or "" in named:
        raise ModelError(
            f"{len(outside)} weight tensors are stored in files that are missing: {_listed(missing) or 'unnamed'}",
            where=label,
            hint="keep the data files beside the model, or export with external_data=False",
        )
    parts = [_part(tensor, folder, label) for tensor in outside]
    total = sum(part.length for part in parts)
    if total > MODEL_LIMIT:
        raise ModelError(
            f"the weights outside the model take {total} bytes; at most {MODEL_LIMIT} are read",
            where=label,
            hint="a smaller network",
        )
    for part in parts:
        try:
            with part.path.open("rb") as file:
                file.seek(part.offset)
                part.tensor.raw_data = file.read(part.length)
        except OSError as error:
            raise ModelError(
                f"the model refers to external weights that cannot be read: {error.strerror}",
                where=str(part.place),
                hint="check the file",
            ) from None
        part.tensor.ClearField("external_data")
        part.tensor.data_location = TensorProto.DEFAULT


def _part(tensor: TensorProto, folder: Path, label: str) -> _Part:
    entries = _entries(tensor)
    place = entries.get("location", "")
    path = folder / place
    size = path.stat().st_size
    offset = _number(entries.get("offset", "0"))
    length = None if offset is None else _number(entries.get("length", str(max(0, size - offset))))
    name = f"{tensor.name[:_SHOWN] or 'a tensor'} in {place[:_SHOWN]}"
    needed = _bytes(tensor)
    if offset is None or length is None or offset + length > size or length != needed:
        said = ", ".join(f"{key} {entries[key][:20]}" for key in ("offset", "length") if key in entries)
        raise ModelError(
            f"{name} cannot be read: it takes {needed} bytes at {said or 'offset 0'}, the file has {size}",
            where=label,
            hint="export it again; the model and its data file belong together",
        )
    return _Part(tensor, place, path, offset, length)


def _bytes(tensor: TensorProto) -> int:
    """What a tensor takes as raw data; -1 for types that have none."""
    if not tensor.data_type or tensor.data_type == TensorProto.STRING:
        return -1
    try:
        bits = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * 8
    except (KeyError, TypeError, ValueError):
        return -1
    if TensorProto.DataType.Name(tensor.data_type).endswith("INT4"):
        bits = 4
    count = prod(int(n) for n in tensor.dims) if min(tensor.dims, default=0) >= 0 else -1
    return -1 if count < 0 else -(-count * bits // 8)


def _number(text: str) -> int | None:
    """A count of bytes; None for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _entries(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _listed(places: Iterable[str]) -> str:
    shown = ["".join(c if c.isprintable() else "?" for c in place)[:_SHOWN] for place in places]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


def _is_inside(model: Path, place: str) -> bool:
    """Whether a place lies below the model's folder, on every system.

    A link may lead to where the model itself is linked to, as in stores of downloaded files, and nowhere else.
    """
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(place)
        if path.is_absolute() or path.drive or path.root or ".." in path.parts:
            return False
    try:
        real = (model.parent / place).resolve()
        return any(real.is_relative_to(root) for root in (model.parent.resolve(), model.resolve().parent))
    except (OSError, ValueError, RuntimeError):  # no name that a file could have, or links in a circle
        return False


def _tensors(proto: onnx.ModelProto) -> Iterator[TensorProto]:
    """All tensors: of graphs in graphs and in functions, too."""
    graphs = [proto.graph]
    nodes = [node for function in proto.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            nodes.extend(graph.node)
            continue
        for attribute in nodes.pop().attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                graphs.append(attribute.g)
            graphs.extend(attribute.graphs)
