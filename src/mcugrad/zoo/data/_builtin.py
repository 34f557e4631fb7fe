"""Data sets known by name: scikit-learn's digits, and those published as IDX files."""

from __future__ import annotations

import gzip
import http.client
import importlib.util
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError
from mcugrad.training.losses import Loss
from mcugrad.zoo.data._dataset import PARTS, Dataset, checked
from mcugrad.zoo.data._fetch import cache_folder, download_file, md5_of

_DIGITS_TOTAL = 1797
_DIGITS_HELD_OUT = 4  # every fourth
DEBIAN = Path("/usr/share/datasets")


@dataclass(frozen=True)
class Published:
    """A data set in four IDX files, as Y. LeCun defined them.

    Attributes:
        address: where the publisher keeps the files; ends in a slash.
        package: folder below /usr/share/datasets that Debian's package fills, or "".
        apt: that package, or "".
        md5: checksum of each file, in the order of `IDX_FILES`.
        class_names: one name per label.
    """

    address: str
    package: str
    apt: str
    md5: tuple[str, str, str, str]
    class_names: tuple[str, ...]


IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

PUBLISHED = {
    "fashion_mnist": Published(
        address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        package="fashion-mnist",
        apt="dataset-fashion-mnist",
        md5=(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    "mnist": Published(
        address="https://ossci-datasets.s3.amazonaws.com/mnist/",
        package="",
        apt="",
        md5=(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        class_names=tuple("0123456789"),
    ),
}


# --- digits -------------------------------------------------------------------------------------------------


def load_digits(loss: Loss) -> Dataset:
    """The digits that scikit-learn bundles, read without importing it: uint8 (n, 8, 8), values 0..16."""
    spec = importlib.util.find_spec("sklearn")
    roots = list(spec.submodule_search_locations or ()) if spec is not None else []
    path = next((p for root in roots if (p := Path(root, "datasets/data/digits.csv.gz")).is_file()), None)
    if path is None:
        raise DataError(
            "the digits come with scikit-learn, which is not installed",
            hint="pip install 'mcugrad[demo]';  or pip install scikit-learn;  "
            "or set MCUGRAD_DATA to a folder with digits.npz (x_train, y_train, x_test, y_test)",
        )
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            rows = lines.read().split()
        table = np.loadtxt(rows or ["0"], np.int64, delimiter=",", comments=None, ndmin=2)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"the digits cannot be read: {error}", where=str(path)) from error
    if table.shape != (_DIGITS_TOTAL, 65):
        raise DataError(
            f"the digits have shape {table.shape}; expected ({_DIGITS_TOTAL}, 65)",
            where=str(path),
            hint="pip install --force-reinstall scikit-learn",
        )
    x = table[:, :64].astype(np.uint8).reshape(-1, 8, 8)
    y = table[:, 64]
    held_out = np.arange(_DIGITS_TOTAL) % _DIGITS_HELD_OUT == 0
    parts = {"x_train": x[~held_out], "y_train": y[~held_out], "x_test": x[held_out], "y_test": y[held_out]}
    return checked("digits", path, parts, tuple("0123456789"), loss)


# --- IDX files, from Debian or the publisher ----------------------------------------------------------------


def load_published(name: str, published: Published, loss: Loss, *, download: bool) -> Dataset:
    tried: list[str] = []
    if published.package:
        folder = DEBIAN / published.package
        if all((folder / file).is_file() for file in IDX_FILES):
            return _assemble(name, published, folder, loss)
        tried.append(f"{folder} (absent)")

    folder = cache_folder() / name
    absent = [
        (file, md5)
        for file, md5 in zip(IDX_FILES, published.md5, strict=True)
        if not (folder / file).is_file() or md5_of(folder / file) != md5
    ]
    if absent and not download:
        tried.append(f"{folder} ({len(absent)} of {len(IDX_FILES)} files absent or incomplete)")
        raise _not_to_be_had(name, published, folder, tried)
    for file, md5 in absent:
        try:
            download_file(published.address + file, folder / file, md5)
        except (OSError, http.client.HTTPException) as error:
            tried.append(f"{published.address}{file} ({error})")
            raise _not_to_be_had(name, published, folder, tried) from error
    return _assemble(name, published, folder, loss)


def _not_to_be_had(name: str, published: Published, cache: Path, tried: list[str]) -> DataError:
    ways = [
        f"connect to the network and load {name!r} again, or put the four IDX files into {cache}",
        f"set MCUGRAD_DATA to a folder with {name}.npz (x_train, y_train, x_test, y_test)",
        f"apt install {published.apt}"
        if published.apt
        else "pass the path of an .npz file instead of a name",
    ]
    return DataError(f"{name} is not on this machine", where=";  ".join(tried), hint=";  or ".join(ways))


def _assemble(name: str, published: Published, folder: Path, loss: Loss) -> Dataset:
    """Reads four IDX files: images uint8 (n, h, w), labels uint8 (n,)."""
    axes = (3, 1, 3, 1)
    parts = {part: _read_idx(folder / file, n) for part, file, n in zip(PARTS, IDX_FILES, axes, strict=True)}
    return checked(name, folder, parts, published.class_names, loss)


def _read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """One gzipped IDX file of bytes with the given number of axes."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"the file cannot be unpacked: {error}", where=str(path)) from error
    start = 4 + 4 * axes
    if content[:4] != bytes((0, 0, 8, axes)) or len(content) < start:
        raise DataError(
            f"not an IDX file of bytes with {axes} axes: it starts with {content[:4].hex(' ') or 'nothing'}",
            where=str(path),
        )
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, offset=4))
    expected = math.prod(shape)
    if len(content) - start != expected:
        raise DataError(
            f"shape {shape} needs {expected} bytes; the file holds {len(content) - start}", where=str(path)
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()  # writable
