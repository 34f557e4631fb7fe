"""Kernels: C functions of the runtime, each with the Python reference it must equal to the last bit.

A kernel says what memory makes it faster, and what it costs on a core; its bodies for different cores are files.

The C header states a kernel's parameters once; they are read from there, so that the two cannot drift apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from typing import Any

from mcugrad.abi.headers import Param, prototypes

ROOM, SCRATCH = "room", "scratch"
"""Parameters of kernels that have scratch: its bytes, 0 for none, and where it is."""


@dataclass(frozen=True)
class Scratch:
    """Memory that a kernel needs not have.

    Attributes:
        sizes: bytes with which something changes on some core, smallest first, by the constants of a layer; 0 is the
            first. A body that needs less leaves the rest alone, and none computes anything else for having more.
    """

    sizes: Callable[[Any], tuple[int, ...]]


@dataclass(frozen=True)
class Shared:
    """Two arrays of a kernel that may share bytes: what is written may begin where what is read begins, or before it.

    Whichever body runs has read an element for the last time before it writes what comes to lie there.

    Attributes:
        read: parameter of the one that is read.
        written: parameter of the one that is written.
        where: for which constants of a layer; None for all.
        lead: bytes by which what is written begins before what is read, by the constants of a layer, a multiple of 4;
            None for 0.
    """

    read: str
    written: str
    where: Callable[[Any], bool] | None = None
    lead: Callable[[Any], int] | None = None

    def ahead(self, struct: Any) -> int | None:
        """By how many bytes what is written begins before what is read; None where they may not share."""
        if self.where is not None and not self.where(struct):
            return None
        return 0 if self.lead is None else self.lead(struct)


@dataclass(frozen=True)
class Price:
    """What a kernel costs: how often each part of its work is done, times the instructions of the part on a core.

    Attributes:
        work: these numbers, by the constants of a layer and bytes of scratch, None for a body that uses none whatever
            there is; `prices.json` has one factor for each.
        armv6m: the same of the body for Armv6-M; None where that does what others do.
    """

    work: Callable[[Any, int | None], tuple[float, ...]]
    armv6m: Callable[[Any, int | None], tuple[float, ...]] | None = None

    def of(self, body: str) -> Callable[[Any, int | None], tuple[float, ...]]:
        """The work of a body: `armv6m`, or any other."""
        return self.armv6m if body == "armv6m" and self.armv6m is not None else self.work


@dataclass(frozen=True)
class OnCore:
    """What was counted of a kernel on a core.

    Attributes:
        scratch: whether the body that the core takes uses any.
        factors: instructions of each part of the work.
        body: whose work that is, `armv6m`, or empty for that of all others.
    """

    scratch: bool
    factors: tuple[float, ...]
    body: str = ""


@cache
def prices() -> Mapping[str, Mapping[str, OnCore]]:
    """What was counted, by kernel and core; benchmarks/prices.py writes it."""
    text = (files("mcugrad") / "program/prices.json").read_text(encoding="utf-8")
    return {
        name: {
            core: OnCore(each["scratch"], tuple(each["factors"]), each.get("body", ""))
            for core, each in cores.items()
        }
        for name, cores in json.loads(text).items()
    }


Parts = Callable[[Any, int], Mapping[tuple["Kernel", Any, int], int]]
"""By constants of a layer and bytes of scratch how often which kernel it calls, with which of both; none for itself."""


@dataclass(frozen=True)
class Kernel:
    """A C function of the runtime.

    Attributes:
        name: function name, also the name of its C file.
        reference: Python function with the same parameters in the same order, but those of scratch; it writes into
            the NumPy arrays it is given where C writes through a pointer that is not const, and returns the status that
            C does, if that returns one.
        scratch: memory that makes it faster; None where none does.
        price: what it costs by itself; None where nobody has to choose by that.
        parts: what it costs where it makes calls of other kernels: how often each of them is called with which
            constants of a layer and bytes of scratch, by its own; nothing where it does all by itself.
        may_share: arrays that may be the same bytes. The reference has arrays of their own; what it computes is what a
            call computes whose arrays share.
    """

    name: str
    reference: Callable[..., int | None]
    scratch: Scratch | None = None
    price: Price | None = None
    parts: Parts | None = None
    may_share: tuple[Shared, ...] = ()

    @property
    def is_priced(self) -> bool:
        """Whether anybody can tell what a call takes."""
        return self.price is not None or self.parts is not None

    @property
    def params(self) -> tuple[Param, ...]:
        """Parameters in order, as the C header declares them."""
        return prototypes()[self.name]

    @cached_property
    def seen(self) -> tuple[Param, ...]:
        """Those of the reference, which knows of no scratch."""
        own = () if self.scratch is None else (ROOM, SCRATCH)
        return tuple(param for param in self.params if param.name not in own)

    def instructions(self, core: str, struct: Any, room: int = 0) -> float:
        """What a call takes on a core, estimated, by the constants of its layer and bytes of scratch."""
        if self.parts is not None and (parts := self.parts(struct, room)):
            return sum(times * of.instructions(core, g, some) for (of, g, some), times in parts.items())
        assert self.price is not None, self.name
        return _instructions(self.price, prices()[self.name][core], struct, room)


@lru_cache(maxsize=65536)  # ways to train that are compared have most of their layers in common
def _instructions(price: Price, on: OnCore, struct: Any, room: int) -> float:
    work = price.of(on.body)(struct, room if on.scratch else None)
    found = sum(count * each for count, each in zip(work, on.factors, strict=True))
    return max(found, 1.0)  # a layer of a few weights is far from all that factors were fitted to
