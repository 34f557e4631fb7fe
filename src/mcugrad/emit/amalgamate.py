"""Amalgamate: the runtime's own tested sources, only the functions in use, as one text.

1. Headers are taken as they are, without include guards, includes of our own, and prototypes.
2. A function is taken when something taken calls it, not when a comment names it; callees come before callers, so no
   prototype is needed.
3. What has external linkage in the runtime becomes static: several models link into one firmware.
4. Kernels of which there are many calls get MCG_APART, so that code does not grow with the depth of a network.
5. Inline functions of the headers that nothing taken uses are left out: some compilers warn of them.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from mcugrad.program.kernel import headers

RULE = "mcg_rule_{}"

_GUARD = re.compile(
    r"^#ifndef (MCG_\w+_H)\n#define \1\n(.*)^#endif[^\n]*\1[^\n]*\n", re.MULTILINE | re.DOTALL
)
_OWN_INCLUDE = re.compile(r'^#include "[^"]*"\n', re.MULTILINE)
_LICENCE = re.compile(r"^/\* SPDX[^\n]*\n", re.MULTILINE)
_PROTOTYPE = re.compile(
    r"(?:/\*\*(?:(?!\*/).)*\*/\n)?^(?:void|int32_t|bool|mcg_status_t) mcg_\w+\([^)]*\);\n",
    re.MULTILINE | re.DOTALL,
)
_EXTERN = re.compile(r"(?:/\*\*(?:(?!\*/).)*\*/\n)?^extern [^\n]*;\n", re.MULTILINE | re.DOTALL)
_SHARED = re.compile(
    r"^#ifndef MCG_(STATUS|LIFE|SCALE|ADC)_DEFINED\n.*?^#endif /\* MCG_\1_DEFINED \*/\n",
    re.MULTILINE | re.DOTALL,
)
"""Types that a model's header has as well."""
_REPLAY = re.compile(r"^#ifndef MCG_REPLAY_DEFINED\n.*?^#endif[^\n]*\n", re.MULTILINE | re.DOTALL)
"""A type that is the model's own."""
_DEFINITION = re.compile(r"^(?=(?:void|int32_t|bool|mcg_status_t|const mcg_rule_t) mcg_)", re.MULTILINE)
_INLINE = re.compile(
    r"(?:/\*\*(?:(?!\*/).)*\*/\n)?^static inline [^{;]*?\b(mcg_\w+)\([^{;]*\)\s*\{(?:[^\n]*\}\n|.*?^\}\n)",
    re.MULTILINE | re.DOTALL,
)
_NAME = re.compile(r"\bmcg_\w+")
_TALK = re.compile(r"""/\*(?:(?!\*/).)*\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""", re.DOTALL)
"""Comments and literals: a name in them is no use of it."""
_BLANKS = re.compile(r"\n{3,}")


def public_types() -> str:
    """Types for a model's header, the status enum first; guarded so that several models' headers go together."""
    text = headers()["mcg_types.h"]
    return "\n".join(match.group(0) for match in _SHARED.finditer(text))


def amalgamate(
    kernels: Iterable[str], rules: Iterable[str], inline: Iterable[str] = (), apart: Container[str] = ()
) -> str:
    """One C text with everything that the named kernels and update rules need.

    Args:
        kernels: function names.
        rules: names of update rules, `sr8`.
        inline: inline functions that the caller needs itself.
        apart: kernels that compilers must not inline.
    """
    ordered: list[str] = []
    for name in sorted({*kernels, *(RULE.format(r) for r in rules)}):
        _visit(name, ordered)
    declared = "\n".join(_header(name) for name in headers())
    sources = "\n".join(
        _source(name, "MCG_APART static " if name in apart else "static ") for name in ordered
    )
    declared = _without_unused(declared, {*inline, *_names(sources)})
    return _BLANKS.sub("\n\n", f"{declared}\n{sources}").strip() + "\n"


def _names(text: str) -> set[str]:
    """What a text uses."""
    return set(_NAME.findall(_TALK.sub(" ", text)))


def _without_unused(declared: str, used: set[str]) -> str:
    """The headers' text with those inline functions that are used, or that one of them uses."""
    calls = {m.group(1): _names(m.group(0)) for m in _INLINE.finditer(declared)}
    used = used | _names(_INLINE.sub("", declared))
    while more := {callee for name in used & calls.keys() for callee in calls[name]} - used:
        used |= more
    return _INLINE.sub(lambda m: m.group(0) if m.group(1) in used else "", declared)


@cache
def _files() -> dict[str, Traversable]:
    """The runtime's C files by the function that each of them holds; a folder per family."""
    rooms = [room for room in (files("mcugrad") / "runtime/src").iterdir() if room.is_dir()]
    found = (file for room in rooms for file in room.iterdir() if file.name.endswith(".c"))
    return {file.name.removesuffix(".c"): file for file in found}


@cache
def _text(function: str) -> str:
    return _files()[function].read_text(encoding="utf-8")


def _visit(name: str, ordered: list[str]) -> None:
    if name in ordered:
        return
    for callee in sorted(_names(_text(name)) & _files().keys() - {name}):
        _visit(callee, ordered)
    ordered.append(name)


def _header(name: str) -> str:
    guard = _GUARD.search(headers()[name])
    assert guard is not None, name
    text = guard.group(2)
    for pattern in (_OWN_INCLUDE, _SHARED, _REPLAY, _PROTOTYPE, _EXTERN):
        text = pattern.sub("", text)
    return text


def _source(name: str, prefix: str) -> str:
    text = _LICENCE.sub("", _OWN_INCLUDE.sub("", _text(name)))
    return _DEFINITION.sub(prefix, text)
