"""Names that are safe in C."""

from __future__ import annotations

import re

_KEYWORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class co_await co_return co_yield
    compl concept const const_cast consteval constexpr constinit continue decltype default delete do double
    dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace
    new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires
    restrict return short signed sizeof static static_assert static_cast struct switch template this thread_local
    throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
# <name>.c and <name>.h must not stand in the way of these; the last line is what C libraries include themselves.
_FILES = """
    main assert complex ctype errno fenv float inttypes limits locale math setjmp signal stdalign stdarg stdatomic
    stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype
    alloca endian features ieeefp memory newlib reent sched strings
"""
# <name>_t must be a new type.
_TYPES = """
    int8 int16 int32 int64 uint8 uint16 uint32 uint64 intptr uintptr intmax uintmax
    int_fast8 int_fast16 int_fast32 int_fast64 uint_fast8 uint_fast16 uint_fast32 uint_fast64
    int_least8 int_least16 int_least32 int_least64 uint_least8 uint_least16 uint_least32 uint_least64
    max_align nullptr ptrdiff size ssize
"""
RESERVED = frozenset((_KEYWORDS + _FILES + _TYPES).split())
LENGTH = 40


def identifier(text: str) -> str:
    """A lower-case C identifier like `text`, fit for a model and its files."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:LENGTH].rstrip("_")
    if not name or name[0].isdigit() or name.startswith("mcg"):  # that is how the runtime's own names begin
        name = f"model_{name}".rstrip("_")
    return f"{name}_model" if name in RESERVED else name
