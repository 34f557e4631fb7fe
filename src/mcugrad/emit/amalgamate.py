"""Amalgamate: the runtime's own tested sources, only the functions in use, as one text.

1. Headers are taken as they are, without include guards, includes of our own, and prototypes.
2. A function is taken when something taken calls it, not when a comment names it; callees come before callers, so no
   prototype is needed.
3. What has external linkage in the runtime becomes static: several models link into one firmware.
4. Kernels get MCG_APART, so that code does not grow with the depth of a network, and the stack does not with the number
   of kernels: compilers do not all share what inlined calls have there.
5. Of a function with several bodies all are taken, between `#if`s: the preprocessor chooses by the core. What only some
   of them call gets MCG_SPARE, since compilers warn of functions that nothing calls.
6. Inline functions of the headers that nothing taken uses are left out: some compilers warn of them.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from mcugrad.abi.headers import headers

RULE = "mcg_rule_{}"

RUNTIME = Path(str(files("mcugrad") / "runtime"))

BODIES = ("mve", "m7", "dsp", "armv6m", "fpu", "avx2")
"""What bodies of a function are for, the preferred first: `<function>_dsp.c` is compiled where `MCG_HAS_DSP`, and the
file without a suffix, the portable one, where no other is."""

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
_REST = re.compile(r"^#ifndef MCG_REST_DEFINED\n.*?^#endif[^\n]*\n", re.MULTILINE | re.DOTALL)
"""A type that only models have whose replay buffers hold latents."""
_DEFINITION = re.compile(
    r"^(?=(?:MCG_\w+[ \t]+)*(?:void|int32_t|bool|mcg_status_t|const mcg_rule_t) mcg_)", re.MULTILINE
)
"""Of what other files see; attributes such as MCG_NAKED may stand before its type."""
_INLINE = re.compile(
    r"(?:/\*\*(?:(?!\*/).)*\*/\n)?^static inline [^{;]*?\b(mcg_\w+)\([^{;]*\)\s*\{(?:[^\n]*\}\n|.*?^\}\n)",
    re.MULTILINE | re.DOTALL,
)
_NAME = re.compile(r"\bmcg_\w+")
_TALK = re.compile(r"""/\*(?:(?!\*/).)*\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""", re.DOTALL)
"""Comments and literals: a name in them is no use of it."""
_APART, _SPARE = "MCG_APART ", "MCG_SPARE "


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
    spare = _spare(ordered)
    sources = "\n".join(
        choice(
            {
                body: _source(text, f"{_APART * (name in apart)}{_SPARE * (name in spare)}static ")
                for body, text in _texts(name).items()
            }
        )
        for name in ordered
    )
    used = [_used(name) for name in ordered]
    always = {*inline, *(n for each in used if "" in each for n in frozenset.intersection(*each.values()))}
    declared = _declared(always.union(*(names for each in used for names in each.values())), always)
    text = f"{declared}\n{sources}"
    while "\n\n\n" in text:  # ten times as fast as a pattern
        text = text.replace("\n\n\n", "\n\n")
    return text.strip() + "\n"


def _names(text: str) -> frozenset[str]:
    """What a text uses."""
    return frozenset(_NAME.findall(_TALK.sub(" ", text)))


@cache
def _headers() -> tuple[str, Mapping[str, frozenset[str]], frozenset[str]]:
    """The headers' text, what each of its inline functions uses, and what the rest does."""
    text = "\n".join(_header(name) for name in headers())
    calls = {m.group(1): _names(m.group(0)) for m in _INLINE.finditer(text)}
    return text, calls, _names(_INLINE.sub("", text))


@cache
def _parts(rest: bool) -> tuple[tuple[str, str], ...]:
    """The headers' text in parts, each with the name of the inline function that it is, "" for what is between them.

    Args:
        rest: with the type of models whose replay buffers hold latents.
    """
    text = _headers()[0] if rest else _REST.sub("", _headers()[0])
    parts: list[tuple[str, str]] = []
    end = 0
    for match in _INLINE.finditer(text):
        parts += [("", text[end : match.start()]), (match.group(1), match.group(0))]
        end = match.end()
    return (*parts, ("", text[end:]))


def _declared(used: set[str], always: set[str]) -> str:
    """The headers' text with those inline functions that are used, or that one of them uses.

    Args:
        used: what is used by some body.
        always: what is used whichever bodies are taken.
    """
    _, calls, rest = _headers()
    parts = _parts("mcg_rest_t" in used)
    used, always = _reached(used | rest, calls), _reached(always | rest, calls)

    def written(name: str, text: str) -> str:
        spare = bool(name) and name not in always and _SPARE not in text
        return text.replace("static inline ", f"static inline {_SPARE}", 1) if spare else text

    return "".join(written(name, text) for name, text in parts if not name or name in used)


def _reached(used: set[str], calls: Mapping[str, frozenset[str]]) -> set[str]:
    """What is used directly or by an inline function that is."""
    while more := {callee for name in used & calls.keys() for callee in calls[name]} - used:
        used = used | more
    return used


@cache
def bodies() -> dict[str, dict[str, Path]]:
    """The runtime's C files: by function, then by what each is for, the portable one last and under "".

    The list of files is the table of what there is. A folder per family. What only bodies for some cores call has no
    portable file.
    """
    found: dict[str, dict[str, Path]] = {}
    for file in sorted((RUNTIME / "src").glob("*/*.c")):
        name, _, body = file.stem.rpartition("_")
        name, body = (name, body) if body in BODIES else (file.stem, "")
        found.setdefault(name, {})[body] = file
    return {
        name: {body: files[body] for body in (*BODIES, "") if body in files}
        for name, files in sorted(found.items())
    }


def choice(texts: Mapping[str, str]) -> str:
    """The texts of all bodies of a function as one, of which the preprocessor takes the first that a core can run."""
    if list(texts) == [""]:
        return texts[""]
    tests = [f"MCG_HAS_{body.upper()}" for body in texts if body]
    heads = [f"#if {tests[0]}", *(f"#elif {test}" for test in tests[1:]), *["#else"] * ("" in texts)]
    parts = (f"{head}\n\n{text.strip()}\n\n" for head, text in zip(heads, texts.values(), strict=True))
    return "\n" + "".join(parts) + f"#endif /* {tests[0]} */\n"


def included(functions: Iterable[str]) -> str:
    """C text that includes the files of these functions and of all that they call, every body of each.

    It is compiled with the runtime's folders `include` and `src` as include folders.
    """
    ordered: list[str] = []
    for name in sorted(functions):
        _visit(name, ordered)
    return '#include "mcugrad/mcg_all.h"\n' + "".join(
        choice(
            {body: f'#include "{file.parent.name}/{file.name}"\n' for body, file in bodies()[name].items()}
        )
        for name in ordered
    )


@cache
def _text(function: str, body: str = "") -> str:
    return bodies()[function][body].read_text(encoding="utf-8")


def _texts(function: str) -> dict[str, str]:
    return {body: _text(function, body) for body in bodies()[function]}


@cache
def _used(function: str) -> Mapping[str, frozenset[str]]:
    """What each body of a function uses."""
    return {body: _names(text) for body, text in _texts(function).items()}


@cache
def _callees(function: str) -> tuple[frozenset[str], ...]:
    """Functions of the runtime that each body of one calls."""
    return tuple(names & bodies().keys() - {function} for names in _used(function).values())


def _visit(name: str, ordered: list[str]) -> None:
    if name in ordered:
        return
    for callee in sorted(frozenset().union(*_callees(name))):
        _visit(callee, ordered)
    ordered.append(name)


def _spare(ordered: Iterable[str]) -> set[str]:
    """Functions that some body of a caller does not call, a caller for some cores alone not calling on the others."""
    found: set[str] = set()
    for name in ordered:
        calls = _callees(name)
        always = calls[0].intersection(*calls) if "" in bodies()[name] else frozenset()
        found |= calls[0].union(*calls) - always
    return found


def _header(name: str) -> str:
    guard = _GUARD.search(headers()[name])
    assert guard is not None, name
    text = guard.group(2)
    for pattern in (_OWN_INCLUDE, _SHARED, _REPLAY, _PROTOTYPE, _EXTERN):
        text = pattern.sub("", text)
    return text


@cache
def _source(text: str, prefix: str) -> str:
    return _DEFINITION.sub(prefix, _LICENCE.sub("", _OWN_INCLUDE.sub("", text)))
