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
import os
from pathlib import Path

from mcugrad.errors import DataError, UsageError
from mcugrad.files import kind_of, shown
from mcugrad.training.losses import Loss
from mcugrad.zoo.data._builtin import PUBLISHED, load_digits, load_published
from mcugrad.zoo.data._dataset import Dataset
from mcugrad.zoo.data._npz import load_npz

__all__ = ["Dataset", "load", "names"]


def names() -> tuple[str, ...]:
    """Names `load` knows here: the built-in ones and every `.npz` in MCUGRAD_DATA, sorted."""
    folder = _data_folder()
    found = {path.stem for path in folder.glob("*.npz")} if folder is not None else set()
    return tuple(sorted({"digits", *PUBLISHED, *found}))


def load(source: str | os.PathLike[str], *, loss: str = "cross_entropy", download: bool = True) -> Dataset:
    """Loads a data set.

    Args:
        source: one of `names()`, or the path of an `.npz` file with x_train and y_train, and optionally
            x_test, y_test and class_names; photographs may be jpeg_train, all JPEG files one after the other, and
            off_train, where each begins, instead of x_train. A string is a path if it ends in `.npz` or `.npy` or
            contains a separator.
        loss: what the samples will be trained with, which says what y has to be: a class for each sample for
            `cross_entropy`; (n, outputs) of 0 and 1 for `binary_cross_entropy`, of finite values for `mse`, `mae`
            and `huber`, (n,) for one output.
        download: whether a data set that is not on this machine may be fetched from its publisher.

    Returns:
        The data set; nothing is cached in memory.

    Raises:
        UsageError: there is no data set of that name, or no such loss.
        DataError: the data set is not to be had, or what was found cannot be used: the message names the
            file, the key and the shapes.
    """
    goal = Loss(loss)
    text = os.fspath(source)
    if not isinstance(source, str) or text.endswith((".npz", ".npy")) or "/" in text or os.sep in text:
        path = Path(text).expanduser()
        kind = kind_of(path)
        if kind != "a file":
            raise DataError(
                f"this is {kind}, not an .npz file" if kind else "there is no such file",
                where=shown(path),
                hint=f"a name ({', '.join(names())}), or a file written by numpy.savez",
            )
        return load_npz(path, goal)

    folder = _data_folder()
    if folder is not None and kind_of(folder / f"{text}.npz") == "a file":
        known = PUBLISHED.get(text)
        return load_npz(folder / f"{text}.npz", goal, known.class_names if known else ())
    if text == "digits":
        return load_digits(goal)
    if text in PUBLISHED:
        return load_published(text, PUBLISHED[text], goal, download=download)

    close = difflib.get_close_matches(text, names(), n=1)
    place = "MCUGRAD_DATA is not set" if folder is None else f"{folder} has no {text}.npz"
    raise UsageError(
        f"there is no data set named {text!r}, and {place}",
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
