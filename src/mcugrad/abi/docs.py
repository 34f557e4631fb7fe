"""Comments above the functions of the C headers: what each does, what its parameters are, what it returns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mcugrad.abi.headers import headers

_COMMENTED = re.compile(
    r"^/\*\*\n((?:(?!\*/).)*?) \*/\n(?:void|int32_t|bool|mcg_status_t) (mcg_\w+)\(", re.MULTILINE | re.DOTALL
)
_LINE = re.compile(r"^ \* ?", re.MULTILINE)
_PART = re.compile(r"^(?=@|[A-Z][\w ]*:)", re.MULTILINE)
_PARAM = re.compile(r"@param\[([\w,]+)\]\s+(\w+)\s+(.+)")
_NOTE = re.compile(r"([A-Z][\w ]*): (.+)\.")


@dataclass(frozen=True)
class Doc:
    """What the comment above a function says, each part in one line.

    Attributes:
        brief: what it does.
        params: direction, such as `in,out`, and meaning of each parameter by name.
        returns: what it returns; empty if it does not say.
        notes: what stands at the end behind a word and a colon, such as `Reference`.
    """

    brief: str
    params: Mapping[str, tuple[str, str]]
    returns: str
    notes: Mapping[str, str]


@cache
def docs() -> Mapping[str, Doc]:
    """Comments of all functions by name, in the order of the headers; of those whose comment takes several lines."""
    text = "\n".join(headers().values())
    return {name: doc(_LINE.sub("", comment)) for comment, name in _COMMENTED.findall(text)}


def doc(comment: str) -> Doc:
    """A comment without its asterisks, read."""
    brief, returns = "", ""
    params: dict[str, tuple[str, str]] = {}
    notes: dict[str, str] = {}
    for part in (" ".join(each.split()) for each in _PART.split(comment)):
        if part.startswith("@brief "):
            brief = part.removeprefix("@brief ")
        elif part.startswith("@return "):
            returns = part.removeprefix("@return ")
        elif (param := _PARAM.fullmatch(part)) is not None:
            params[param[2]] = param[1], param[3]
        elif (note := _NOTE.fullmatch(part)) is not None:
            notes[note[1]] = note[2]
    return Doc(brief, params, returns, notes)
