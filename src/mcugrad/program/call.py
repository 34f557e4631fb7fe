"""Calls: a kernel and what is passed to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

from mcugrad.program.kernel import ROOM, Kernel


@dataclass(frozen=True)
class Struct(ABC):
    """Base of the constants of a layer: a frozen dataclass that mirrors a C struct, field by field.

    Fields are ints, or constants of a layer themselves.
    """

    @classmethod
    @abstractmethod
    def ctype(cls) -> str:
        """Name of the C struct."""

    def values(self) -> tuple[Any, ...]:
        """Field values in the order of the C struct; those of a struct in it are a tuple again."""
        each = (getattr(self, f.name) for f in fields(self))
        return tuple(v.values() if isinstance(v, Struct) else int(v) for v in each)

    def words(self) -> tuple[int, ...]:
        """All of them, one after the other, as they lie in memory."""
        each = (getattr(self, f.name) for f in fields(self))
        return tuple(word for v in each for word in (v.words() if isinstance(v, Struct) else (int(v),)))

    def rangeless(self) -> Self:
        """The same layer with zero points of 0."""
        changed: dict[str, Any] = {f.name: 0 for f in fields(self) if f.name.endswith("_zero")}
        for f in fields(self):
            if isinstance(part := getattr(self, f.name), Struct):
                changed[f.name] = part.rangeless()
        return replace(self, **changed)


@dataclass(frozen=True)
class Argument:
    """What a call passes for one parameter.

    Attributes:
        buffer: name of the buffer passed, or empty; a null pointer if all else is empty too.
        struct: constants of the layer, or None.
        value: number passed by value, or None.
        rule: name of the update rule passed (`sr8`), or empty.
    """

    buffer: str = ""
    struct: Struct | None = None
    value: float | None = None
    rule: str = ""


@dataclass(frozen=True)
class Call:
    """One kernel call. `arguments` in the order of the kernel's parameters; `node` is what it was lowered from."""

    kernel: Kernel
    arguments: tuple[Argument, ...]
    node: str
    note: str = ""

    @cached_property
    def buffers(self) -> tuple[str, ...]:
        """Names of the buffers it touches, in order, each once."""
        return tuple(dict.fromkeys(a.buffer for a in self.arguments if a.buffer))

    @cached_property
    def given(self) -> Mapping[str, Argument]:
        """What is passed, by the name of the parameter."""
        return {p.name: a for p, a in zip(self.kernel.params, self.arguments, strict=True)}

    @property
    def room(self) -> int:
        """Bytes of scratch that it has; 0 also where its kernel takes none."""
        return int(self.given[ROOM].value or 0) if ROOM in self.given else 0

    @cached_property
    def shared(self) -> tuple[tuple[str, str, int], ...]:
        """Names of buffers that may share bytes: what is read, what is written over it, by how much that is ahead."""
        if not self.kernel.may_share:
            return ()
        return tuple(
            (old, new, lead)
            for each in self.kernel.may_share
            if (old := self.given[each.read].buffer)
            and (new := self.given[each.written].buffer)
            and (lead := each.ahead(self.struct)) is not None
        )

    @property
    def struct(self) -> Struct | None:
        """Constants of its layer; None where it has none."""
        return next((a.struct for a in self.arguments if a.struct is not None), None)

    @cached_property
    def written(self) -> tuple[str, ...]:
        """Those among them that the kernel may write: it takes them by pointers that are not const."""
        pairs = zip(self.arguments, self.kernel.params, strict=True)
        return tuple(dict.fromkeys(a.buffer for a, p in pairs if a.buffer and p.pointer and not p.const))

    def renamed(self, names: Mapping[str, str]) -> Call:
        """The call with other buffers for some, by the names that they had; itself where it touches none of them."""
        if names.keys().isdisjoint(self.buffers):
            return self
        given = (replace(a, buffer=names.get(a.buffer, a.buffer)) if a.buffer else a for a in self.arguments)
        return replace(self, arguments=tuple(given))


def used_buffers(calls: Iterable[Call]) -> set[str]:
    """Names of all buffers that the calls touch."""
    return {name for call in calls for name in call.buffers}
