"""What one function of a linked image does with its stack: how deep it goes by itself, and where it calls others.

Its instructions are followed along all their branches, with the stack pointer relative to its entry. So functions that
no compiler has said anything of are counted as all others: those of libraries, and those that are assembler. What
cannot be followed is refused: a stack that grows by a number known only when it runs, a return with another stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from mcugrad.errors import ToolError
from mcugrad.toolchain.elf import Image

_REGISTER = r"(?:r\d+|sb|sl|fp|ip|sp|lr|pc)"
_CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")
_BRANCH = re.compile(rf"b(?:{'|'.join(_CONDITIONS)})|cbn?z|letp|le|wlstp|wls")
"""Branches that may not be taken; the last operand says where to."""
_IT = re.compile(r"it[te]{0,3}")
_ELEMENT = re.compile(r"\b(?:[rsdq]\d+|sb|sl|fp|ip|sp|lr|pc)\b")
_NUMBER = re.compile(r"#(-?(?:0x)?[0-9a-f]+)")
_BEFORE = re.compile(r"\[sp, #(-?(?:0x)?[0-9a-f]+)\]!")
_AFTER = re.compile(r"\[sp\], #(-?(?:0x)?[0-9a-f]+)")
_LITERAL = re.compile(r"\[pc(?:, #((?:0x)?[0-9a-f]+))?\]")
_SLOT = re.compile(r"\[sp(?:, #((?:0x)?[0-9a-f]+))?\]")
_KNOWN = (
    "mov",
    "movs",
    "movw",
    "movt",
    "ldr",
    "add",
    "adds",
    "addw",
    "sub",
    "subs",
    "subw",
    "lsl",
    "lsls",
    "rsb",
    "rsbs",
)
"""Instructions of which is followed what they write."""
_SAVED = ("r4", "r5", "r6", "r7", "r8", "sb", "sl", "fp")
"""Registers in which a function finds what is its caller's alone: nothing that it could call."""
_MOST = 16
"""Of what a register may hold; beyond, nobody knows."""
_WRITEBACK = re.compile(rf"\[({_REGISTER})[^\]]*\](?:!|, )|^({_REGISTER})!")
_FROM_REGISTER = re.compile(r"sp, (?:sp, )?[a-z]")
"""Operands of what moves the stack pointer by, or to, what a register holds."""
_READS_FIRST = (
    "str",
    "cmp",
    "cmn",
    "tst",
    "teq",
    "push",
    "stm",
    "vst",
    "vpush",
    "vcmp",
    "pld",
    "msr",
    "vmsr",
)
_WRITES_TWO = ("umull", "smull", "umlal", "smlal", "umaal", "smlald", "smlsld", "ldrd", "vmov")
_SWITCH = "__gnu_thumb1_case_"
"""Functions of gcc's library that return into the table of jumps behind their call."""
_PADDING = {("nop", ""), ("movs", "r0, r0"), ("mov", "r8, r8")}

Fact = tuple[str, int]
"""What a register may hold: `("sp", n)`, the stack pointer at the entry and n bytes less; `("is", n)`, the number n;
`("read", 0)`, what was read from memory that is no stack."""
Facts = Mapping[str | int, frozenset[Fact]]
"""By register, and by bytes below the entry's stack pointer, all that can be there; nothing where nobody knows."""
Listing = Mapping[int, tuple[int, str, str]]
"""Of each instruction by address its bytes, mnemonic without width, and operands."""


@dataclass(frozen=True)
class Reach:
    """A call: where to, None for a function whose address was read from memory, and bytes of stack in use then."""

    to: int | None
    depth: int


@dataclass(frozen=True)
class Frame:
    """A function.

    Attributes:
        name: of the symbol it begins with.
        own: bytes of stack that it uses at most by itself.
        calls: what it calls, jumps at its end included.
    """

    name: str
    own: int
    calls: tuple[Reach, ...]


class _At(NamedTuple):
    """Where the walk is: address, bytes of stack in use, and what registers are known to hold."""

    address: int
    depth: int
    facts: Facts


def frame(image: Image, listing: Listing, address: int) -> Frame:
    """The function that begins at an address. Raises ToolError for one that cannot be followed."""
    return _Walk(image, listing, address).frame()


@dataclass
class _Walk:
    image: Image
    listing: Listing
    start: int
    own: int = 0
    calls: dict[Reach, None] = field(default_factory=dict)
    jumps: set[int] = field(default_factory=set)
    within: set[int] = field(default_factory=set)
    returns: dict[int, int] = field(default_factory=dict)
    by_address: dict[int, tuple[int, frozenset[Fact]]] = field(default_factory=dict)
    seen: dict[int, _At] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)
    follows_registers: bool = False

    def __post_init__(self) -> None:
        symbol = self.image.symbol_at(self.start)
        self.name = f"{self.start:#x}" if symbol is None else symbol.name
        self.end = self.start if symbol is None else symbol.address + symbol.bytes
        body = (self.listing[place] for place in range(self.start, self.end, 2) if place in self.listing)
        self.follows_registers = any(
            _FROM_REGISTER.match(operands) or (name.startswith(("bx", "blx")) and operands != "lr")
            for _, name, operands in body
        )

    def frame(self) -> Frame:
        if "Thunk" in self.name or self.name.endswith("_veneer"):
            self._refuse(self.start, "is a jump that the linker has added")
        todo = {self.start: _At(self.start, 0, dict.fromkeys(_SAVED, frozenset()))}
        while todo:
            while todo:  # by address: what joins is mostly followed once
                for each in self._follow(todo.pop(min(todo))):
                    todo[each.address] = self._met(todo.get(each.address), each)
            todo = {at.address: at for at in self._led_to_by_tables()}
        self._called_by_address()
        for address, depth in self.returns.items():
            if depth and depth not in self.within:
                self._refuse(address, f"returns with {depth} B of stack in use")
        return Frame(self.name, self.own, tuple(self.calls))

    def _refuse(self, address: int, why: str) -> NoReturn:
        known = self.listing.get(address)
        said = "" if known is None else f": {known[1]} {known[2]}".rstrip()
        raise ToolError(
            f"the stack of {self.name} cannot be bounded: {self.image.describe(address)}{said} {why}",
            where=str(self.image.path),
            hint="the stack that was seen under emulation is counted all the same",
        )

    def _follow(self, at: _At) -> Iterator[_At]:
        """One instruction, or all that an IT instruction is about; yields what comes next."""
        known = self.seen.get(at.address)
        at = self._met(known, at)
        if known is not None and at.facts == known.facts:
            return
        self.seen[at.address] = at
        found = self.listing.get(at.address)
        if found is None:
            self._refuse(at.address, "is no instruction")
        size, name, operands = found
        if _IT.fullmatch(name):
            yield from self._either(at, size, name, operands)
        else:
            yield from self._step(at, size, name, operands)

    def _met(self, known: _At | None, at: _At) -> _At:
        """What holds at an address that is reached in two ways."""
        if known is None:
            return at
        if known.depth != at.depth:
            self._refuse(at.address, f"is reached with {known.depth} B and with {at.depth} B of stack")
        if known.facts == at.facts:
            return at
        facts = {place: fact | at.facts[place] for place, fact in known.facts.items() if place in at.facts}
        return _At(at.address, at.depth, {place: fact for place, fact in facts.items() if len(fact) <= _MOST})

    def _either(self, at: _At, size: int, name: str, condition: str) -> Iterator[_At]:
        """Both ways through the instructions behind an IT instruction."""
        behind, members = at.address + size, []
        for kind in "t" + name[2:]:
            width, mnemonic, operands = self.listing[behind]
            self.inside.add(behind)
            members.append((kind, behind, width, _bare(mnemonic, condition), operands))
            behind += width
        for way in "te":
            now: _At | None = _At(behind, at.depth, at.facts)
            for kind, address, width, mnemonic, operands in members:
                if kind == way and now is not None:
                    now = _At(address, now.depth, now.facts)
                    after = list(self._step(now, width, mnemonic, operands))
                    now = next((each for each in after if each.address == address + width), None)
                    yield from (each for each in after if each is not now)
            if now is not None:
                yield _At(behind, now.depth, now.facts)

    def _step(self, at: _At, size: int, name: str, operands: str) -> Iterator[_At]:
        """One instruction; yields what comes next."""
        behind = at.address + size
        if name == "udf":
            return
        if name == "b" or _BRANCH.fullmatch(name):
            yield from self._branch(at, int(operands.rsplit("#", 1)[1], 0))
            if name != "b":
                yield _At(behind, at.depth, at.facts)
        elif name in ("bl", "blx"):
            yield from self._call(at, behind, operands)
        elif name in ("tbb", "tbh"):
            self.jumps.add(at.depth)
        else:
            depth = self._depth(at, name, operands)
            self.own = max(self.own, depth)
            if not self._leaves(at.address, depth, at.facts, name, operands):
                yield _At(behind, depth, self._facts(at, depth, name, operands))

    def _call(self, at: _At, behind: int, operands: str) -> Iterator[_At]:
        """A call, or a jump as far as branches of ARMv6-M do not reach; what is behind either has the same stack."""
        to = int(operands[1:], 0) if operands.startswith("#") else None
        if to is not None and self.start < to < self.end:
            self.within.add(at.depth)
            yield _At(to, at.depth, {})
            after = behind
            while after in self.listing and self.listing[after][1:] in _PADDING:
                after += self.listing[after][0]
            if after not in self.listing:  # numbers: it was a jump
                return
        elif to is None:
            self.by_address[at.address] = at.depth, at.facts.get(operands, frozenset())
        else:
            self.calls[Reach(to, at.depth)] = None
            symbol = self.image.symbol_at(to)
            if symbol is not None and symbol.name.startswith(_SWITCH):
                self.jumps.add(at.depth)
                return
        lost = ("r0", "r1", "r2", "r3", "ip", "lr")
        yield _At(behind, at.depth, {place: fact for place, fact in at.facts.items() if place not in lost})

    def _called_by_address(self) -> None:
        """Functions whose address is in a register, once all that it may hold is known."""
        for address, (depth, facts) in self.by_address.items():
            if not facts:
                self._refuse(address, "calls a function of which nobody knows where its address is from")
            for kind, number in sorted(facts):
                if kind == "sp":
                    self._refuse(address, "calls its stack")
                self.calls[Reach(None if kind == "read" else number & ~1, depth)] = None

    def _branch(self, at: _At, to: int) -> Iterator[_At]:
        symbol = self.image.symbol_at(to)
        begins = symbol is not None and symbol.address == to
        if begins and not self.start <= to < self.end:
            self.calls[Reach(to, at.depth)] = None
        else:
            yield _At(to, at.depth, at.facts)

    def _leaves(self, address: int, depth: int, facts: Facts, name: str, operands: str) -> bool:
        """Whether an instruction behind which so much stack is in use writes the program counter."""
        if name != "bx" and "pc" not in operands:
            return False
        first = operands.split(",")[0].strip()
        listed = _ELEMENT.findall(operands.partition("{")[2])
        returns = name in ("pop", "ldm", "ldmia") and "pc" in listed
        returns |= name == "ldr" and first == "pc" and bool(_AFTER.search(operands))
        returns |= (name, operands) in (("bx", "lr"), ("mov", "pc, lr")) and depth in (0, *self.within)
        if returns:
            self.returns[address] = depth
        elif name == "bx" and depth == 0:
            self.by_address[address] = 0, facts.get(first, frozenset())
        elif name == "bx" or (first == "pc" and name in ("mov", "add", "ldr")):
            self.jumps.add(depth)
        else:
            return False
        return True

    def _led_to_by_tables(self) -> Iterator[_At]:
        """The first instruction that nothing leads to but jumps to an address in a register."""
        if not self.jumps:
            return
        for address in range(self.start, self.end, 2):
            if address in self.listing and address not in self.seen and address not in self.inside:
                if self.listing[address][1:] in _PADDING or self._is_half(address):
                    continue
                if len(self.jumps) > 1:
                    self._refuse(address, f"is jumped to with one of {sorted(self.jumps)} B of stack")
                yield _At(address, next(iter(self.jumps)), {})
                return

    def _is_half(self, address: int) -> bool:
        """Whether an address is the second half of an instruction that is reached."""
        return address - 2 in self.listing and self.listing[address - 2][0] == 4

    # -- what an instruction does --------------------------------------------------------------------------------------

    def _depth(self, at: _At, name: str, operands: str) -> int:
        """Bytes of stack in use behind an instruction. Raises ToolError where nobody knows."""
        if "sp" not in operands and not name.endswith(("push", "pop")):
            return at.depth
        change = 0
        parts = [part.strip() for part in operands.split(",")]
        to_stack = name in ("push", "vpush") or (name in ("stmdb", "vstmdb") and parts[0] == "sp!")
        of_stack = name in ("pop", "vpop") or (
            name in ("ldm", "ldmia", "vldmia", "vldm") and parts[0] == "sp!"
        )
        if to_stack or of_stack:
            listed = _ELEMENT.findall(operands.partition("{")[2])
            change = sum({"d": 8, "q": 16}.get(r[0], 4) for r in listed) * (1 if to_stack else -1)
        elif moved := _BEFORE.search(operands) or _AFTER.search(operands):
            change = -int(moved[1], 0)
        elif parts[0] == "sp" and not name.startswith((*_READS_FIRST, "ldm", "vldm")):
            found = self._value(at, name, parts)
            if len(found) != 1 or next(iter(found))[0] != "sp":
                self._refuse(at.address, "moves the stack pointer by what is known only when it runs")
            change = next(iter(found))[1] - at.depth
        elif parts[0] == "sp!" or "[sp]!" in operands:
            self._refuse(at.address, "moves the stack pointer")
        if at.depth + change < 0:
            self._refuse(at.address, "takes more from the stack than was put there")
        return at.depth + change

    def _value(self, at: _At, name: str, parts: list[str]) -> frozenset[Fact]:
        """What an instruction may write into its first operand; nothing where nobody knows."""
        if name == "ldr":
            return self._read(at, ", ".join(parts[1:]))
        operands = parts[1:] if len(parts) > 2 or name.startswith("mov") else parts
        values = [self._operand(at, part) for part in operands]
        if name in ("mov", "movs", "movw") and len(values) == 1:
            return values[0]
        if name == "movt" and len(values) == 1:
            values = [self._operand(at, parts[0]), values[0]]
        if len(values) != 2 or not all(len(value) == 1 for value in values):
            return frozenset()
        (kind, a), (other, b) = (next(iter(value)) for value in values)
        found: Fact | None = None
        if "read" in (kind, other):
            pass
        elif name == "movt" and kind == "is":
            found = "is", a & 0xFFFF | b << 16
        elif name in ("add", "adds", "addw") and kind == other == "is":
            found = "is", (a + b) % 2**32
        elif name in ("add", "adds", "addw") and "is" in (kind, other):  # what is added leaves less in use
            found = "sp", a - _signed(b) if kind == "sp" else b - _signed(a)
        elif name in ("lsl", "lsls") and kind == other == "is":
            found = "is", (a << b) % 2**32
        elif name in ("rsb", "rsbs") and kind == other == "is":
            found = "is", (b - a) % 2**32
        elif name in ("sub", "subs", "subw") and other == "is":
            found = (kind, a + _signed(b)) if kind == "sp" else (kind, (a - b) % 2**32)
        return frozenset() if found is None else frozenset((found,))

    def _read(self, at: _At, place: str) -> frozenset[Fact]:
        """What a word of memory may hold."""
        if literal := _LITERAL.fullmatch(place):
            content = self.image.content((at.address + 4 & ~3) + int(literal[1] or "0", 0), 4)
            return (
                frozenset((("is", int.from_bytes(content, "little")),)) if len(content) == 4 else frozenset()
            )
        if slot := _SLOT.fullmatch(place):
            return at.facts.get(at.depth - int(slot[1] or "0", 0), frozenset())
        is_stack = any(kind == "sp" for r in _ELEMENT.findall(place) for kind, _ in self._operand(at, r))
        return frozenset() if is_stack else frozenset((("read", 0),))

    def _operand(self, at: _At, text: str) -> frozenset[Fact]:
        if text == "sp":
            return frozenset((("sp", at.depth),))
        number = _NUMBER.fullmatch(text)
        if number:
            return frozenset((("is", int(number[1], 0) % 2**32),))
        return at.facts.get(text, frozenset())

    def _facts(self, at: _At, depth: int, name: str, operands: str) -> Facts:
        """What is known behind an instruction, in functions where stack or calls depend on it."""
        if not self.follows_registers:
            return {}
        parts = [part.strip() for part in operands.split(",")]
        facts = {p: fact for p, fact in at.facts.items() if isinstance(p, str) or p <= depth}
        value = self._value(at, name, parts) if name in _KNOWN else frozenset()
        for found in _WRITEBACK.finditer(operands):
            for register in found.groups():
                facts.pop(register or "", None)
        if name.startswith(("str", "stm", "vst")):
            self._stored(at, facts, name, operands)
        elif not name.startswith(_READS_FIRST):
            written = _ELEMENT.findall(operands.partition("{")[2]) if name.startswith(("pop", "ldm")) else []
            for register in (*parts[: 2 if name.startswith(_WRITES_TWO) else 1], *written):
                facts.pop(register, None)
            if name.startswith("ldm") and not any(
                kind == "sp" for kind, _ in self._operand(at, parts[0].rstrip("!"))
            ):
                facts |= dict.fromkeys(written, frozenset((("read", 0),)))
            if value:
                facts[parts[0]] = value
        return facts

    def _stored(self, at: _At, facts: dict[str | int, frozenset[Fact]], name: str, operands: str) -> None:
        """Write what a store does into facts. What is not written by the stack pointer is an array, and no pointer."""
        registers, _, place = operands.partition(", [")
        slot = _SLOT.fullmatch(f"[{place}")
        if slot is None:
            return
        for i, register in enumerate(registers.split(", ")):
            below = at.depth - int(slot[1] or "0", 0) - 4 * i
            facts.pop(below & ~3, None)
            if name in ("str", "strd") and register in at.facts:
                facts[below] = at.facts[register]


def _signed(word: int) -> int:
    return word - 2**32 if word >= 2**31 else word


def _bare(mnemonic: str, condition: str) -> str:
    """A mnemonic without the condition under which it is executed, or its opposite."""
    number = _CONDITIONS.index(condition)
    for each in (condition, _CONDITIONS[number ^ 1]):
        if mnemonic.endswith(each) and mnemonic != each:
            return mnemonic.removesuffix(each)
    return mnemonic
