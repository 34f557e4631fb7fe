"""Data sets in files: `.npz` archives as numpy.savez writes them, photographs in them as JPEG if wanted.

Only what is used is read, up to `mcugrad.npz.LIMIT` bytes; further arrays when they are asked for.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError
from mcugrad.files import shown
from mcugrad.npz import LIMIT, Archive
from mcugrad.training.losses import Loss
from mcugrad.zoo.data._dataset import PARTS, Dataset, checked

_MOST_CLASSES = 65536


def load_npz(path: Path, loss: Loss, class_names: tuple[str, ...] = ()) -> Dataset:
    """A data set from a file that exists.

    Args:
        path: of the archive.
        loss: what y has to hold labels for.
        class_names: where the file has none.

    Raises:
        DataError: it cannot be read, or what it holds cannot be used.
    """
    wanted = "numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...) writes what is read here"
    archive = Archive(path, wanted)
    names = set(archive.names)
    packed = [part for part in ("train", "test") if f"x_{part}" not in names and {*_packed(part)} <= names]
    there = names | {f"x_{part}" for part in packed}
    missing = [key for key in ("x_train", "y_train") if key not in there]
    missing += [
        key
        for key, other in (("x_test", "y_test"), ("y_test", "x_test"))
        if key not in there and other in there
    ]
    if missing:
        listed = ", ".join(f"{name} {archive.header(name).shape}" for name in archive.names[:20])
        raise DataError(
            f"missing: {', '.join(missing)}; the file holds {listed or 'nothing'}",
            where=shown(path),
            hint=wanted,
        )
    used = [*PARTS, "class_names", *(name for part in packed for name in _packed(part))]
    arrays = archive.read([name for name in used if name in names])
    if "class_names" in arrays:
        class_names = _class_names(arrays.pop("class_names"), path)
    for part in packed:
        files, offsets = (arrays.pop(name) for name in _packed(part))
        arrays[f"x_{part}"] = _photographs(files, offsets, path, part)
    extras = _Extras(archive, tuple(name for name in archive.names if name not in used))
    return checked(Path(shown(path)).stem, path, arrays, class_names, loss, extras=extras)


class _Extras(Mapping[str, NDArray[Any]]):
    """Further arrays of a file, each read when it is asked for."""

    def __init__(self, archive: Archive, names: tuple[str, ...]) -> None:
        self._archive = archive
        self._names = names

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        return self._archive.read([name])[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _packed(part: str) -> tuple[str, str]:
    """Names of the arrays that hold photographs."""
    return f"jpeg_{part}", f"off_{part}"


def _class_names(names: NDArray[Any], path: Path) -> tuple[str, ...]:
    if names.size > _MOST_CLASSES:
        raise DataError(
            f"class_names {names.shape} has {names.size} names; at most {_MOST_CLASSES} are supported",
            where=shown(path),
        )
    return tuple(str(name) for name in names.reshape(-1))


def _photographs(files: NDArray[Any], offsets: NDArray[Any], path: Path, part: str) -> NDArray[np.uint8]:
    """JPEG files one after the other, file i from offsets[i] to offsets[i + 1], as (n, h, w, 3)."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError(
            f"jpeg_{part} holds JPEG files, which Pillow decodes; it is not installed",
            where=shown(path),
            hint="pip install pillow;  or store the pixels as x_train and x_test, (n, h, w, 3) uint8",
        ) from None
    content, ends = files.tobytes(), offsets.reshape(-1)
    if ends.dtype.kind not in "ui" or len(ends) < 2 or ends[0] != 0 or ends[-1] != len(content):
        raise DataError(
            f"off_{part} {offsets.shape} {offsets.dtype} does not divide the {len(content)} bytes of jpeg_{part}",
            where=shown(path),
            hint="n + 1 integers: 0, the end of each file, the last one the number of bytes",
        )
    pictures: list[NDArray[np.uint8]] = []
    total = 0
    for i, (start, end) in enumerate(pairwise(ends)):
        try:
            with Image.open(io.BytesIO(content[start:end]), formats=["JPEG"]) as picture:
                total += 3 * picture.width * picture.height
                if total > LIMIT:
                    raise DataError(
                        f"the photographs in jpeg_{part} take more than {LIMIT} bytes unpacked, up to file {i}",
                        where=shown(path),
                        hint="fewer or smaller ones",
                    )
                pictures.append(np.asarray(picture.convert("RGB"), np.uint8))
        except (
            OSError,
            SyntaxError,
            ValueError,
            UnidentifiedImageError,
            Image.DecompressionBombError,
        ) as error:
            raise DataError(f"file {i} of jpeg_{part} is no JPEG: {error}", where=shown(path)) from error
    sizes = {picture.shape for picture in pictures}
    if len(sizes) > 1:
        listed = ", ".join("x".join(map(str, size[:2])) for size in sorted(sizes)[:4])
        raise DataError(
            f"the photographs in jpeg_{part} differ in size: {listed}",
            where=shown(path),
            hint="one size for all",
        )
    return np.stack(pictures)
