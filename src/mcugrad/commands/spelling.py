"""What Python calls keywords a command line calls options: errors that name the former, told with the latter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mcugrad.errors import FitError, UsageError

_KEYWORDS = """
    train rule loss precision schedule steps rate seed sparse target batch momentum clip weight_decay velocity_bits
    prefer ram flash milliseconds epochs features replay_of plan recompute format name
"""
OPTIONS = {name: f"--{name.replace('_', '-')}" for name in _KEYWORDS.split()}
"""Options by the keyword that Python has for each."""
_FORMS = (
    (re.compile(r"recompute=True"), "--recompute"),
    (re.compile(r"with sparse=None"), "without --sparse"),
    (re.compile(r"Sparse\(samples=([\d.]+)\)"), r"--sparse-samples \1"),
    (re.compile(r"Sparse\(([\d.]+), ([\d.]+)\)"), r"--sparse \1:\2"),
    (re.compile(r"Sparse\(([\d.]+)\)"), r"--sparse \1"),
    (re.compile(r"the policy (\w+)"), r"--sparse-policy \1"),
)
_GIVEN = re.compile(rf"\b({'|'.join(OPTIONS)})='?([\w.:-]*)'?")


@contextmanager
def as_options() -> Iterator[None]:
    """Let what is wrong with a call be said of the options that it was made from."""
    try:
        yield
    except (FitError, UsageError) as error:
        where = OPTIONS.get(error.where, error.where)
        if error.where == "sparse" and "policy" in error.what:
            where = "--sparse-policy"
        elif error.where == "sparse" and "of the samples cannot" in error.what:
            where = "--sparse-samples"
        what, hint = spelled(error.what), spelled(error.hint)
        if isinstance(error, FitError):
            where = spelled(where)
            raise FitError(what, where=where, hint=hint, short=error.short, largest=error.largest) from error
        raise UsageError(what, where=where, hint=hint) from error


def spelled(text: str) -> str:
    """A text with options in the place of keywords."""
    for pattern, option in _FORMS:
        text = pattern.sub(option, text)
    return _GIVEN.sub(lambda found: f"{OPTIONS[found[1]]} {found[2]}".rstrip(), text)
