"""Reads machine code into what a timing model needs: kind of work, words moved, registers used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from mcugrad.toolchain.disassembler import disassembler


class Kind(Enum):
    """What an instruction keeps busy."""

    ALU = "alu"
    LOAD = "load"
    STORE = "store"
    MUL = "multiply"
    MLA = "multiply and accumulate"
    LONG_MUL = "multiply to 64 bits"
    LONG_MLA = "multiply and accumulate to 64 bits"
    DSP_MUL = "multiply of the DSP extension"
    DIV = "divide"
    BRANCH = "branch"
    FP = "float add, multiply, convert, compare"
    FP_MLA = "float multiply and accumulate"
    FP_DIV = "float divide, square root"
    FP_MOVE = "move to, from and between float registers"
    SYSTEM = "special register, barrier"


class Instruction(NamedTuple):
    """One decoded instruction.

    Attributes:
        name: mnemonic without condition and width, `add`.
        words: 32-bit words moved from or to memory.
        multiple: moves a list or a pair: LDM, PUSH, LDRD, VLDM.
        reads, writes: core registers and single float registers (`d1` is `s2` and `s3`).
        base: those of `reads` that form a memory address.
        updated: those of `base` that a load or store also moves on.
        accumulator: those of `reads` that a multiply adds to.
        jumps: may change the program counter.
        loop: jumps to this address, when that is written in the instruction.
    """

    address: int
    bytes: int
    name: str
    kind: Kind
    words: int
    multiple: bool
    reads: frozenset[str]
    writes: frozenset[str]
    base: frozenset[str]
    updated: frozenset[str]
    accumulator: frozenset[str]
    jumps: bool
    loop: int | None


_MULTIPLE = re.compile(r"v?(ldm|stm)(ia|db)?|v?push|v?pop|ldrd|strd")
_KINDS = [
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"b|bl|blx|bx|cbz|cbnz|tbb|tbh", Kind.BRANCH),
        (r"v?ldm(ia|db)?|v?pop|vldr|ldr.*|ldaex?[bh]?|lda[bh]?", Kind.LOAD),
        (r"v?stm(ia|db)?|v?push|vstr|str.*|stlex?[bh]?|stl[bh]?", Kind.STORE),
        (r"mul", Kind.MUL),
        (r"mla|mls", Kind.MLA),
        (r"[su]mull", Kind.LONG_MUL),
        (r"[su]mlal|umaal", Kind.LONG_MLA),
        (r"sm(la|ls|ul|us|ua|m).*", Kind.DSP_MUL),
        (r"[su]div", Kind.DIV),
        (r"vdiv|vsqrt", Kind.FP_DIV),
        (r"vn?ml[as]|vfn?m[as]", Kind.FP_MLA),
        (r"vmov|vmrs|vmsr|fmstat", Kind.FP_MOVE),
        (r"v.*", Kind.FP),
        (r"mrs|msr|dmb|dsb|isb|cps.*", Kind.SYSTEM),
    )
]
_ACCUMULATORS = {Kind.MLA: 3, Kind.DSP_MUL: 3}  # operand number of what is added


@cache
def _kind(name: str) -> Kind:
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(name)), Kind.ALU)


@cache
def _singles(name: str) -> tuple[str, ...]:
    """A float register as single ones; nothing of flags."""
    if re.fullmatch(r"d\d+", name):
        number = 2 * int(name[1:])
        return f"s{number}", f"s{number + 1}"
    return (name,) if re.fullmatch(r"r\d+|s\d+|sp|lr|sb|sl|fp|ip", name) else ()


def _single(names: set[str]) -> frozenset[str]:
    """Float registers as single ones, flags left out."""
    return frozenset(single for name in names for single in _singles(name))


def _words(name: str, kind: Kind, listed: list[str]) -> int:
    if kind not in (Kind.LOAD, Kind.STORE):
        return 0
    if name in ("ldrd", "strd"):
        return 2
    if not _MULTIPLE.fullmatch(name):
        return 2 if listed and listed[0].startswith("d") else 1
    if "ldm" in name or "stm" in name:
        listed = listed[1:]  # the first is the address
    return sum(2 if register.startswith("d") else 1 for register in listed)


def _instruction(decoder: Any, insn: Any) -> Instruction:
    from capstone import arm

    name = str(decoder.insn_name(insn.id))
    kind = _kind(name)
    listed = [insn.reg_name(o.reg) for o in insn.operands if o.type == arm.ARM_OP_REG]
    read, written = ({insn.reg_name(r) for r in group} for group in insn.regs_access())
    base = {
        insn.reg_name(register)
        for operand in insn.operands
        if operand.type == arm.ARM_OP_MEM
        for register in (operand.mem.base, operand.mem.index)
        if register
    }
    if _MULTIPLE.fullmatch(name):
        base |= {"sp"} if "p" in name[-4:] and name.endswith(("push", "pop")) else set(listed[:1])
    if kind is Kind.LONG_MLA:
        read |= set(listed[:2])
    if insn.cc not in (arm.ARM_CC_AL, arm.ARM_CC_INVALID) and kind is not Kind.BRANCH:
        read |= written  # a failed condition keeps the old value
    accumulators: set[str] = set()
    if kind is Kind.LONG_MLA:
        accumulators = set(listed[:2])
    elif kind in _ACCUMULATORS and len(listed) > _ACCUMULATORS[kind]:
        accumulators = {listed[3]} - {listed[1], listed[2]}
    loop = None
    if kind is Kind.BRANCH and insn.operands and insn.operands[-1].type == arm.ARM_OP_IMM:
        loop = int(insn.operands[-1].imm)
    return Instruction(
        address=insn.address,
        bytes=insn.size,
        name=name,
        kind=kind,
        words=_words(name, kind, listed),
        multiple=bool(_MULTIPLE.fullmatch(name)),
        reads=_single(read),
        writes=_single(written),
        base=_single(base),
        updated=_single(base) if insn.writeback or "sp" in base & written else frozenset(),
        accumulator=_single(accumulators),
        jumps=kind is Kind.BRANCH or "pc" in written,
        loop=loop,
    )


_KNOWN: dict[tuple[str, bytes], Instruction] = {}
"""Instructions by mnemonic, which has the condition that an IT instruction gives, and bytes: operands take most of the
time, and firmware has the same few thousand. Only addresses differ."""


def decode(code: bytes, address: int) -> Iterator[Instruction]:
    """The instructions in `code`, which lies at `address`. Raises ToolError without capstone."""
    for at, size, mnemonic, operands in disassembler().disasm_lite(code, address):
        key = mnemonic, code[at - address : at - address + size]
        if key not in _KNOWN:
            decoder = disassembler(detail=True)
            for insn in decoder.disasm(code, address):
                new = insn.mnemonic, bytes(insn.bytes)
                if new not in _KNOWN:
                    _KNOWN[new] = _instruction(decoder, insn)
        known = _KNOWN[key]
        loop = None if known.loop is None else int(operands.rpartition("#")[2], 0)
        yield known._replace(address=at, loop=loop)
