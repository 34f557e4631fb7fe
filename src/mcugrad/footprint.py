"""Memory that firmware takes, what takes most of it, and the memory that there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcugrad.emit import Layout, layout
from mcugrad.errors import Consumer, UsageError
from mcugrad.given import in_bytes
from mcugrad.plan import Plan
from mcugrad.plan.lifetimes import Lifetime, lifetimes
from mcugrad.plan.plan import live_of
from mcugrad.plan.sharing import sharing
from mcugrad.program import PREDICT, Buffer, Program, Space
from mcugrad.program.reserve import reserve
from mcugrad.program.rows import ALL, TRAIN
from mcugrad.targets import Target, kib, shortage

NAMED = 3
"""Consumers that a refusal names."""
_STATE = {
    "weights": "weights that train",
    "weights, real units": "weights that train",
    "residual bits": "residual planes",
    "changes to be made": "planes of changes, for momentum and batches",
}
"""What is learned, by the note of its buffers."""
_OPTIONAL, _GRADIENT = "room to be faster", "weight gradients of a few rows"
_ERRORS = ("error", "real units")
_MAPS = ("activation", "real units", "which input of each window won")


@dataclass(frozen=True)
class Room:
    """Memory that there is.

    Attributes:
        ram: bytes of RAM that model, sample, stack and caller may take together.
        flash: bytes of flash; None for any number.
        whose: what a message says of the RAM: `nrf52840 has`, `ram=64K allows`.
        target: board or core; None where there is none.
    """

    ram: int
    flash: int | None
    whose: str
    target: Target | None = None

    @classmethod
    def of(cls, target: Target) -> Room:
        """The memories of a target."""
        return cls(target.ram.bytes, target.flash.bytes, f"{target.name} has", target)

    def shortage(self, need: int, memory: str) -> str:
        """`301.4 KiB of RAM; nrf52840 has 256.0 KiB (45.4 KiB short)`.

        Args:
            need: bytes, more than there are.
            memory: `RAM` or `flash`.
        """
        have = self.ram if memory == "RAM" else self.flash
        assert have is not None
        return shortage(need, have, memory, self.whose)


@dataclass(frozen=True)
class Footprint:
    """Memory that a program takes.

    Attributes:
        ram: bytes of RAM that the firmware must have: model and sample; stack aside.
        constants: bytes of flash for constants, initial state included; code comes on top.
        reserve: bytes of RAM that are kept for the stack and for what calls the model.
    """

    ram: int
    constants: int
    reserve: int

    @classmethod
    def of(cls, program: Program, place: Layout) -> Footprint:
        """That of a program which lies in memory like this."""
        fixed = (b.size for s in (Space.CONST, Space.STATE) for b in program.in_space(s))
        return cls(place.size + program.buffers[program.input].count, sum(fixed), reserve(program))

    @property
    def need(self) -> int:
        """Bytes of RAM that there must be."""
        return self.ram + self.reserve

    def fits(self, room: Room) -> bool:
        """Whether there is so much."""
        return self.need <= room.ram and (room.flash is None or self.constants <= room.flash)


def limit(name: str, given: Any, target: Target | None) -> int | None:
    """Bytes that an option allows; None where nobody gives any.

    Args:
        name: of the option, `ram` or `flash`.
        given: a number of bytes, or a text such as `64K`.
        target: which may have less.

    Raises:
        UsageError: it is no number of bytes, or more than the target has.
    """
    if given is None:
        return None
    size = in_bytes(given)
    if size is None:
        raise UsageError(f"{name}={given!r} is no number of bytes", where=name, hint="65536 or 64K")
    have = None if target is None else {"ram": target.ram, "flash": target.flash}[name].bytes
    if target is not None and have is not None and size > have:
        raise UsageError(
            f"{name}={given} is more than the {kib(have)} that {target.name} has",
            where=name,
            hint=f"{name}={have} or less, or no {name}=, which is all of it",
        )
    return size


def ram_consumers(program: Program, plan: Plan, *, linked: int = 0) -> tuple[Consumer, ...]:
    """What the RAM that a program needs is for, kind by kind, the largest first; each byte counts once.

    Working memory is that of its fullest moment. Scratch that lies where nothing else would takes no RAM, and counts as
    free there.

    Args:
        program: the program.
        plan: where its working memory lies.
        linked: bytes that a linked firmware takes beside, where that is known.
    """
    place = layout(program, plan)
    kinds: dict[str, dict[str, int]] = defaultdict(dict)
    for buffer in place.params:
        kinds[_STATE.get(buffer.note.removesuffix(TRAIN), "what else is learned")][buffer.name] = buffer.size
    _, there = fullest(program, plan)
    for name, (kind, size) in there.items():
        kinds[kind][name] = size
    kinds["one sample"][""] = program.buffers[program.input].count
    kinds["stack and caller"][""] = reserve(program)
    rest = Footprint.of(program, place).need - sum(sum(members.values()) for members in kinds.values())
    kinds["alignment, and what is free at the fullest moment"][""] = rest
    kinds["what the linked firmware has beside"][""] = linked
    return _sorted(_consumer(kind, members) for kind, members in kinds.items())


def flash_consumers(program: Program, *, code: int = 0) -> tuple[Consumer, ...]:
    """What the flash of a program is for, tensor by tensor and table by table, the largest first.

    Args:
        program: the program.
        code: bytes of it, where that is known.
    """
    frozen = (Consumer(f"{b.name} ({b.note})", b.size) for b in program.in_space(Space.CONST))
    initial = (Consumer(f"{b.name} (initial {b.note})", b.size) for b in program.in_space(Space.STATE))
    return _sorted([*frozen, *initial, Consumer("code", code)])


def fullest(program: Program, plan: Plan) -> tuple[int, dict[str, tuple[str, int]]]:
    """The call at which most of the working memory is needed, and by buffer what it is then, and its bytes.

    Bytes that two buffers share are those of the one that is written there.
    """
    free = plan.least is not None and plan.size == plan.least.size
    lives = [
        life for life in lifetimes(program) if not (free and program.buffers[life.name].note == _OPTIONAL)
    ]
    live = live_of(program, lives, sharing(program, lifetimes(program)), plan.offsets)
    time = max(range(len(live)), key=live.__getitem__, default=0)
    owner = np.full(plan.size, -1, np.int64)
    now = sorted((life for life in lives if life.first <= time <= life.last), key=lambda life: life.first)
    for number, life in enumerate(now):
        owner[plan.offsets[life.name] :][: life.size] = number
    sizes = np.bincount(owner[owner >= 0], minlength=len(now))
    ahead = program.end(PREDICT)
    return time, {
        life.name: (_kind(program.buffers[life.name], life, ahead), int(size))
        for life, size in zip(now, sizes, strict=True)
    }


def _kind(buffer: Buffer, life: Lifetime, ahead: int) -> str:
    """What a buffer of the working memory is for; `ahead` is when a prediction is over."""
    if buffer.note == _OPTIONAL or (life.first == life.last and buffer.note != _GRADIENT):
        return "scratch"
    if buffer.note.endswith(ALL):
        return "weights of a layer, from flash and RAM"
    if buffer.note == _GRADIENT:
        return "gradients of a few rows of weights"
    if life.first < ahead and buffer.note in _MAPS:
        return "stored activations" if ahead < life.last else "maps from layer to layer"
    if life.first < ahead:
        return "factors and sums"
    if buffer.name.rstrip("_").endswith("_again"):
        return "activations made again"
    return "error maps" if buffer.note in _ERRORS else "factors and sums"


def _consumer(kind: str, members: Mapping[str, int]) -> Consumer:
    """With the largest of them."""
    name = max(members, key=members.__getitem__)
    return Consumer(kind, sum(members.values()), name, members[name] if name else 0)


def _sorted(consumers: Iterable[Consumer]) -> tuple[Consumer, ...]:
    return tuple(sorted((c for c in consumers if c.bytes), key=lambda each: (-each.bytes, each.what)))
