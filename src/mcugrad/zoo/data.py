"""Data sets by name or path: `load("digits")`, `load("fashion_mnist")`, `load("recordings.npz")`.

Where a name is looked for, in this order; the first hit wins:

1. `<name>.npz` in the folder that the environment variable MCUGRAD_DATA names;
2. files another package has installed: scikit-learn's digits, Debian's `dataset-fashion-mnist`;
3. the cache, $MCUGRAD_CACHE or ~/.cache/mcugrad, filled from the publisher's address at first use, checksums
   compared, with a progress bar on a terminal and a log message elsewhere.

The split of `digits` is fixed: in scikit-learn's order, images 0, 4, 8, ... (450 of 1797) are held out for
the test, the other 1347 are for training. Both parts hold digits of the same writers. Nothing is shuffled,
augmented or rescaled.
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import http.client
import importlib.util
import logging
import math
import os
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import DataError, UsageError

__all__ = ["Dataset", "load", "names"]

_log = logging.getLogger(__name__)

_DIGITS_TOTAL = 1797
_DIGITS_HELD_OUT = 4  # every fourth
_LABEL_MAX = 65535
_TIMEOUT_S = 20
_CHUNK = 1 << 16
_PARTS = ("x_train", "y_train", "x_test", "y_test")
_DEBIAN = Path("/usr/share/datasets")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples and labels, as stored by whoever collected them.

    Attributes:
        name: the name or the file's stem.
        x_train: samples, shape (n, ...) with at least one axis after the first: images are (n, h, w) or
            (n, h, w, c), recordings (n, time) or (n, time, channel). uint8, int16 or float; always finite.
        y_train: labels, int64, shape (n,), in [0, num_classes).
        x_test: held-out samples; same dtype and sample shape; zero of them if the source has none.
        y_test: their labels.
        class_names: one name per label.
        extras: whatever else an `.npz` file holds, for example the subject or the machine of each sample.
    """

    name: str
    x_train: NDArray[Any]
    y_train: NDArray[np.int64]
    x_test: NDArray[Any]
    y_test: NDArray[np.int64]
    class_names: tuple[str, ...]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x_train.shape[1:])

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.sample_shape)
        return (
            f"<Dataset {self.name}: {len(self.x_train)} train, {len(self.x_test)} test, "
            f"{shape} {self.x_train.dtype}, {self.num_classes} classes>"
        )


@dataclass(frozen=True)
class _Published:
    """A data set in four IDX files, as Y. LeCun defined them.

    Attributes:
        address: where the publisher keeps the files; ends in a slash.
        package: folder below /usr/share/datasets that Debian's package fills, or "".
        apt: that package, or "".
        md5: checksum of each file, in the order of `_IDX_FILES`.
        class_names: one name per label.
    """

    address: str
    package: str
    apt: str
    md5: tuple[str, str, str, str]
    class_names: tuple[str, ...]


_IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

_PUBLISHED = {
    "fashion_mnist": _Published(
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
    "mnist": _Published(
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


def names() -> tuple[str, ...]:
    """Names `load` knows here: the built-in ones and every `.npz` in MCUGRAD_DATA, sorted."""
    folder = _data_folder()
    found = {path.stem for path in folder.glob("*.npz")} if folder is not None else set()
    return tuple(sorted({"digits", *_PUBLISHED, *found}))


def load(source: str | os.PathLike[str], *, download: bool = True) -> Dataset:
    """Loads a data set.

    Args:
        source: one of `names()`, or the path of an `.npz` file with x_train and y_train, and optionally
            x_test, y_test and class_names. A string is a path if it ends in `.npz` or contains a separator.
        download: whether a data set that is not on this machine may be fetched from its publisher.

    Returns:
        The data set; nothing is cached in memory.

    Raises:
        UsageError: there is no data set of that name.
        DataError: the data set is not to be had, or what was found cannot be used: the message names the
            file, the key and the shapes.
    """
    text = os.fspath(source)
    if not isinstance(source, str) or text.endswith(".npz") or "/" in text or os.sep in text:
        return _load_npz(Path(text).expanduser())

    folder = _data_folder()
    if folder is not None and (folder / f"{text}.npz").is_file():
        known = _PUBLISHED.get(text)
        return _load_npz(folder / f"{text}.npz", class_names=known.class_names if known else ())
    if text == "digits":
        return _load_digits()
    if text in _PUBLISHED:
        return _load_published(text, _PUBLISHED[text], download=download)

    close = difflib.get_close_matches(text, names(), n=1)
    raise UsageError(
        f"there is no data set named {text!r}",
        hint=f"{close[0]!r}" if close else f"{', '.join(names())}, or the path of an .npz file",
    )


def _data_folder() -> Path | None:
    value = os.environ.get("MCUGRAD_DATA", "")
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise DataError(
            "MCUGRAD_DATA does not name a folder", where=value, hint="correct it, or unset MCUGRAD_DATA"
        )
    return folder


def _cache_folder() -> Path:
    value = os.environ.get("MCUGRAD_CACHE", "")
    return Path(value).expanduser() if value else Path("~/.cache/mcugrad").expanduser()


# --- digits -------------------------------------------------------------------------------------------------


def _load_digits() -> Dataset:
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
            table = np.array([[int(value) for value in line.split(",")] for line in lines], np.int64)
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
    return Dataset("digits", x[~held_out], y[~held_out], x[held_out], y[held_out], tuple("0123456789"))


# --- IDX files, from Debian or the publisher ----------------------------------------------------------------


def _load_published(name: str, published: _Published, *, download: bool) -> Dataset:
    tried: list[str] = []
    if published.package:
        folder = _DEBIAN / published.package
        if all((folder / file).is_file() for file in _IDX_FILES):
            return _assemble(name, published, folder)
        tried.append(f"{folder} (absent)")

    folder = _cache_folder() / name
    absent = [
        (file, md5)
        for file, md5 in zip(_IDX_FILES, published.md5, strict=True)
        if not (folder / file).is_file() or _md5(folder / file) != md5
    ]
    if absent and not download:
        tried.append(f"{folder} ({len(absent)} of {len(_IDX_FILES)} files absent or incomplete)")
        raise _not_to_be_had(name, published, folder, tried)
    for file, md5 in absent:
        try:
            _download(published.address + file, folder / file, md5)
        except (OSError, http.client.HTTPException) as error:
            tried.append(f"{published.address}{file} ({error})")
            raise _not_to_be_had(name, published, folder, tried) from error
    return _assemble(name, published, folder)


def _not_to_be_had(name: str, published: _Published, cache: Path, tried: list[str]) -> DataError:
    ways = [
        f"connect to the network and load {name!r} again, or put the four IDX files into {cache}",
        f"set MCUGRAD_DATA to a folder with {name}.npz (x_train, y_train, x_test, y_test)",
        f"apt install {published.apt}"
        if published.apt
        else "pass the path of an .npz file instead of a name",
    ]
    return DataError(f"{name} is not on this machine", where=";  ".join(tried), hint=";  or ".join(ways))


def _assemble(name: str, published: _Published, folder: Path) -> Dataset:
    """Reads four IDX files: images uint8 (n, h, w), labels uint8 (n,)."""
    axes = (3, 1, 3, 1)
    parts = {
        part: _read_idx(folder / file, n) for part, file, n in zip(_PARTS, _IDX_FILES, axes, strict=True)
    }
    return _checked(name, folder, parts, published.class_names)


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


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _new_md5).hexdigest()


def _new_md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _download(address: str, target: Path, md5: str) -> None:
    """Fetches one file; `target` appears only when it is complete and its checksum is right.

    Raises:
        DataError: the checksum is wrong.
        OSError, http.client.HTTPException: the address cannot be reached or the cache cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = _new_md5()
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with (
            os.fdopen(handle, "wb") as file,
            urllib.request.urlopen(address, timeout=_TIMEOUT_S) as reply,
            _progress(address, int(reply.headers.get("Content-Length") or 0)) as advance,
        ):
            while chunk := reply.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                advance(len(chunk))
        if digest.hexdigest() != md5:
            raise DataError(
                f"the download has MD5 {digest.hexdigest()}; {target.name} has {md5}",
                where=address,
                hint="load it again; if that fails, a proxy changes what passes through it",
            )
        Path(partial).replace(target)
    finally:
        with suppress(FileNotFoundError):
            Path(partial).unlink()


@contextmanager
def _progress(address: str, total: int) -> Iterator[Callable[[int], object]]:
    """Shows a progress bar on a terminal's error stream, logs one message elsewhere.

    Gives a function that takes the number of bytes that have just arrived. A total of 0 means unknown.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        _log.info("downloading %s (%s bytes)", address, total or "an unknown number of")
        yield lambda n: None
        return
    columns = (
        TextColumn("downloading {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(address.rpartition("/")[2], total=total or None)
        yield lambda n: bar.update(task, advance=n)


# --- .npz files ---------------------------------------------------------------------------------------------


def _load_npz(path: Path, class_names: tuple[str, ...] = ()) -> Dataset:
    if not path.is_file():
        raise DataError(
            "this is a folder, not an .npz file" if path.is_dir() else "there is no such file",
            where=str(path),
            hint=f"a name ({', '.join(names())}), or a file written by numpy.savez",
        )
    wanted = "numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...) writes what is read here"
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError("one array, not an .npz archive", where=str(path), hint=wanted)
        with archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"the file cannot be read as .npz: {error}", where=str(path), hint=wanted) from error

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
    if "x_test" not in arrays:
        arrays["x_test"], arrays["y_test"] = arrays["x_train"][:0], arrays["y_train"][:0]
    if "class_names" in arrays:
        class_names = tuple(str(name) for name in arrays.pop("class_names").reshape(-1))
    parts = {key: arrays.pop(key) for key in _PARTS}
    return _checked(path.stem, path, parts, class_names, extras=arrays)


def _checked(
    name: str,
    path: Path,
    parts: dict[str, NDArray[Any]],
    class_names: tuple[str, ...],
    extras: dict[str, NDArray[Any]] | None = None,
) -> Dataset:
    """Builds the data set, or says everything that is wrong with it at once."""
    problems: list[str] = []
    for part in ("train", "test"):
        problems += _sample_problems(f"x_{part}", parts[f"x_{part}"])
        problems += _label_problems(f"y_{part}", parts[f"y_{part}"], len(class_names))
        x, y = parts[f"x_{part}"], parts[f"y_{part}"]
        if x.ndim and y.ndim and len(x) != len(y):
            problems.append(
                f"x_{part} {x.shape} has {len(x)} samples but y_{part} {y.shape} has {len(y)} labels"
            )
    x_train, x_test = parts["x_train"], parts["x_test"]
    if x_train.ndim and len(x_train) == 0:
        problems.append(f"x_train {x_train.shape} is empty")
    if x_train.shape[1:] != x_test.shape[1:]:
        problems.append(f"x_train {x_train.shape} and x_test {x_test.shape} differ in the shape of a sample")
    if x_train.dtype != x_test.dtype:
        problems.append(f"x_train is {x_train.dtype} but x_test is {x_test.dtype}")
    if problems:
        raise DataError(
            f"the data cannot be used: {problems[0]}" + "".join(f"; {problem}" for problem in problems[1:]),
            where=str(path),
        )
    y_train, y_test = (parts[key].reshape(-1).astype(np.int64) for key in ("y_train", "y_test"))
    if not class_names:
        class_names = tuple(str(label) for label in range(int(max(y_train.max(), y_test.max(initial=0))) + 1))
    return Dataset(
        name, x_train, y_train, x_test, y_test, class_names, extras=MappingProxyType(dict(extras or {}))
    )


def _sample_problems(key: str, x: NDArray[Any]) -> list[str]:
    """What keeps an array from being samples, (n, ...) of finite numbers."""
    if x.ndim < 2 or 0 in x.shape[1:]:
        return [f"{key} {x.shape} is not (n, ...) with at least one value per sample"]
    if x.dtype.kind not in "uif":
        return [f"{key} {x.shape} is {x.dtype}; samples are integers or floats"]
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        count = f"{bad.sum()} of {len(x)} samples, first in sample {bad.argmax()}"
        return [f"{key} {x.shape} has NaN or infinity in {count}"]
    return []


def _label_problems(key: str, y: NDArray[Any], num_classes: int) -> list[str]:
    """What keeps an array from being labels, (n,) or (n, 1) of class numbers; num_classes 0 if unknown."""
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] != 1):
        return [f"{key} {y.shape} is not (n,) labels; argmax(axis=1) turns one-hot rows into labels"]
    if y.dtype.kind not in "ui":
        return [f"{key} {y.shape} is {y.dtype}; labels are integers"]
    if y.size and y.min() < 0:
        return [f"{key} {y.shape} has the label {y.min()}; labels start at 0"]
    if y.size and y.max() > _LABEL_MAX:
        return [f"{key} {y.shape} has the label {y.max()}; labels end at {_LABEL_MAX}"]
    if y.size and num_classes and y.max() >= num_classes:
        return [f"{key} {y.shape} has the label {y.max()}, but there are {num_classes} class names"]
    return []
