"""Data sets in files: `.npz` archives as numpy.savez writes them, photographs in them as JPEG if wanted."""

from __future__ import annotations

import io
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError
from mcugrad.training.losses import Loss
from mcugrad.zoo.data._dataset import PARTS, Dataset, checked


def load_npz(path: Path, loss: Loss, class_names: tuple[str, ...] = ()) -> Dataset:
    """A data set from a file that exists.

    Args:
        path: of the archive.
        loss: what y has to be a target for.
        class_names: where the file has none.

    Raises:
        DataError: it cannot be read, or what it holds cannot be used.
    """
    wanted = "numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...) writes what is read here"
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError("one array, not an .npz archive", where=str(path), hint=wanted)
        with archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        # NumPy takes what is no archive for a pickle, and says how to load it all the same.
        reason = "it is no zip archive" if "pickled (object) data" in str(error) else error
        raise DataError(f"the file cannot be read as .npz: {reason}", where=str(path), hint=wanted) from error

    for part in ("train", "test"):
        if f"x_{part}" not in arrays and {f"jpeg_{part}", f"off_{part}"} <= arrays.keys():
            arrays[f"x_{part}"] = _photographs(
                arrays.pop(f"jpeg_{part}"), arrays.pop(f"off_{part}"), path, part
            )
    missing = [key for key in ("x_train", "y_train") if key not in arrays]
    missing += [
        key
        for key, other in (("x_test", "y_test"), ("y_test", "x_test"))
        if key not in arrays and other in arrays
    ]
    if missing:
        listed = ", ".join(f"{key} {value.shape}" for key, value in arrays.items()) or "nothing"
        raise DataError(
            f"missing: {', '.join(missing)}; the file holds {listed}", where=str(path), hint=wanted
        )
    if "class_names" in arrays:
        class_names = tuple(str(name) for name in arrays.pop("class_names").reshape(-1))
    parts = {key: arrays.pop(key) for key in PARTS if key in arrays}
    return checked(path.stem, path, parts, class_names, loss, extras=arrays)


def _photographs(files: NDArray[Any], offsets: NDArray[Any], path: Path, part: str) -> NDArray[np.uint8]:
    """JPEG files one after the other, file i from offsets[i] to offsets[i + 1], as (n, h, w, 3)."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError(
            f"jpeg_{part} holds JPEG files, which Pillow decodes; it is not installed",
            where=str(path),
            hint="pip install pillow;  or store the pixels as x_train and x_test, (n, h, w, 3) uint8",
        ) from None
    content, ends = files.tobytes(), offsets.reshape(-1)
    if ends.dtype.kind not in "ui" or len(ends) < 2 or ends[0] != 0 or ends[-1] != len(content):
        raise DataError(
            f"off_{part} {offsets.shape} {offsets.dtype} does not divide the {len(content)} bytes of jpeg_{part}",
            where=str(path),
            hint="n + 1 integers: 0, the end of each file, the last one the number of bytes",
        )
    pictures: list[NDArray[np.uint8]] = []
    for i, (start, end) in enumerate(pairwise(ends)):
        try:
            with Image.open(io.BytesIO(content[start:end]), formats=["JPEG"]) as picture:
                pictures.append(np.asarray(picture.convert("RGB"), np.uint8))
        except (OSError, SyntaxError, UnidentifiedImageError) as error:
            raise DataError(f"file {i} of jpeg_{part} is no JPEG: {error}", where=str(path)) from error
    sizes = {picture.shape for picture in pictures}
    if len(sizes) > 1:
        listed = ", ".join("x".join(map(str, size[:2])) for size in sorted(sizes)[:4])
        raise DataError(
            f"the photographs in jpeg_{part} differ in size: {listed}",
            where=str(path),
            hint="one size for all",
        )
    return np.stack(pictures)
