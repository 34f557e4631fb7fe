"""Checks that firmware holds only instructions its core has, and none that rounds otherwise than the twin.

The emulator runs some instructions that the chip would refuse (SMLAD on a Cortex-M3, floating point without
an FPU), so a run alone proves nothing about them. Nor does it prove that no sum of a product was contracted:
few of them differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mcugrad.errors import ToolError
from mcugrad.targets import Core
from mcugrad.toolchain.disassembler import disassembler
from mcugrad.toolchain.elf import Image

_CONDITION = r"(?:eq|ne|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?(?:\.w)?"
_DSP = re.compile(
    r"(?:"
    r"(?:s|q|sh|u|uq|uh)(?:add8|add16|sub8|sub16|asx|sax)"
    r"|qd?(?:add|sub)|sel|usada?8|[su]sat16|umaal|pkhbt|pkhtb"
    r"|[su]xta?b16|[su]xtab|[su]xtah"
    r"|smla[bt][bt]|smlal[bt][bt]|smlaw[bt]|smul[bt][bt]|smulw[bt]"
    r"|sml[as]l?dx?|smuadx?|smusdx?|smml[as]r?|smmulr?"
    r")" + _CONDITION
)
_FUSED = re.compile(r"vfn?m[as]" + _CONDITION + r"\.f\d+")
_ARMV6M_WIDE = {"bl", "dmb", "dsb", "isb", "mrs", "msr", "udf.w", "udf"}
_NOT_ARMV6M_NARROW = re.compile(r"cbz|cbnz|it[te]{0,3}")


def disassemble(image: Image) -> Iterator[tuple[int, int, str, str]]:
    """Address, bytes, mnemonic and operands of every instruction. Raises ToolError without capstone."""
    decoder = disassembler(skip=True)
    for start, code in image.code:
        yield from decoder.disasm_lite(code, start)


def _fault(core: Core, width: int, mnemonic: str) -> str:
    """Why the instruction must not be there; empty when it may."""
    if _FUSED.fullmatch(mnemonic):
        return "one rounding where two are meant"
    if mnemonic.startswith("v"):
        if not core.has_fpu:
            return "no FPU"
        if ".f64" in mnemonic:
            return "no double precision"
    if not core.has_dsp and _DSP.fullmatch(mnemonic):
        return "no DSP extension"
    if core.architecture == "armv6-m":
        if width == 4 and mnemonic not in _ARMV6M_WIDE:
            return "not in ARMv6-M"
        if width == 2 and _NOT_ARMV6M_NARROW.fullmatch(mnemonic):
            return "not in ARMv6-M"
    return ""


def violations(image: Image, core: Core) -> list[str]:
    """One line per instruction that `core` does not have or that is fused: where, what, why."""
    found, known = [], dict[tuple[int, str], str]()  # of some thousand instructions some hundred differ
    for address, width, mnemonic, operands in disassemble(image):
        reason = known.get((width, mnemonic))
        if reason is None:
            reason = known[width, mnemonic] = _fault(core, width, mnemonic)
        if reason:
            found.append(f"{image.describe(address)}: {mnemonic} {operands}: {reason}")
    return found


def check(image: Image, core: Core) -> None:
    """Raises ToolError listing the first instructions that `core` does not have or that are fused."""
    found = violations(image, core)
    if found:
        raise ToolError(
            f"{len(found)} of the firmware's instructions must not run on {core.name}:\n    "
            + "\n    ".join(found[:8]),
            where=str(image.path),
            hint="check compiler flags, and assembler sources that are not meant for this core",
        )
