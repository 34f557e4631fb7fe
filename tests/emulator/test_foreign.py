"""What a core lacks: each instruction by itself, on every core."""

from __future__ import annotations

import pytest

from mcugrad import targets, toolchain
from mcugrad.toolchain import lint, startup
from mcugrad.toolchain.elf import Image

pytestmark = pytest.mark.mcu

FOREIGN = {  # an instruction as its code, and the cores that lack it
    "smlad r0, r0, r1, r2": (".inst.w 0xfb202001", {"cortex-m0plus", "cortex-m3"}),
    "sxtb16 r0, r1": (".inst.w 0xfa2ff081", {"cortex-m0plus", "cortex-m3"}),
    "vadd.f32 s0, s0, s1": (".inst.w 0xee300a20", {"cortex-m0plus", "cortex-m3"}),
    "vadd.f64 d0, d0, d1": (".inst.w 0xee300b01", set(targets.emulated())),
    "mov.w r0, #1": (".inst.w 0xf04f0001", {"cortex-m0plus"}),
    "cbz r0, .+4": (".inst.n 0xb100", {"cortex-m0plus"}),
    "it eq": (".inst.n 0xbf08\n moveq r0, r0", {"cortex-m0plus"}),
    "muls r0, r1, r0": (".inst.n 0x4348", set()),
    "smull r0, r1, r2, r3": (".inst.w 0xfb820103", {"cortex-m0plus"}),
}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Each of these instructions in a function of its own."""
    folder = tmp_path_factory.mktemp("foreign")
    text = ".syntax unified\n.thumb\n"
    for i, (code, _) in enumerate(FOREIGN.values()):
        code = code.replace("moveq r0, r0", ".inst.n 0x4600")
        text += f".section .text.f{i}\n.global f{i}\n.type f{i}, %function\n.thumb_func\n"
        text += f"f{i}: nop\n {code}\n bx lr\n .balign 4\n .word 0xfb202001\n.size f{i}, . - f{i}\n"
    (folder / "foreign.S").write_text(text)
    sources = [folder / "foreign.S", startup.source(startup.IDLE_MAIN)]
    keep = [f"f{i}" for i in range(len(FOREIGN))]
    return Image(toolchain.build_firmware(sources, targets.load("cortex-m7"), keep=keep).elf)


@pytest.mark.parametrize("instruction", FOREIGN)
def test_lint_knows_what_a_core_lacks(foreign: Image, instruction: str) -> None:
    lacking, function = FOREIGN[instruction][1], f"f{list(FOREIGN).index(instruction)}"
    for name in targets.emulated():
        core = targets.load(name).core
        # The rest of this image is for the M7, so only the line of our instruction counts, and none of its data.
        lines = [line.split(")")[0] for line in lint.violations(foreign, core) if f"({function}+" in line]
        expected = [foreign.describe(foreign.symbol(function).address + 2)[:-1]] * (name in lacking)
        assert lines[:1] == expected, f"{instruction} on {name}: {lines}"
