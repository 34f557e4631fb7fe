"""Cycles and energy: the tables give what the manuals say, loop by loop, and every figure carries its band."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.emulator.cpu import Emulator
from mcugrad.errors import ToolError
from mcugrad.measure import cycles, energy
from mcugrad.measure.cycles import CycleEstimate, CycleModel
from mcugrad.measure.decode import _instruction, decode
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.toolchain import startup
from mcugrad.toolchain.disassembler import disassembler
from networks import Dense, model, samples

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m33", "cortex-m7")

# Body of a loop and cycles of one turn, SUBS and the taken BNE included: 3 on the single-issue cores, on the M7
# half a cycle each (they share one with a neighbour) and 1 for the jump. None = the core lacks the instruction.
# r4 points to memory, r0 counts.
LOOPS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "nothing": ("", (3, 3, 3, 3, 2)),
    "two single cycles": ("nop\n nop", (5, 5, 5, 5, 3)),
    "multiply": ("muls r1, r2, r1", (4, 4, 4, 4, 3)),
    "one load": ("ldr r1, [r4]", (5, 5, 5, 5, 2.5)),
    "loads in a row": ("ldr r1, [r4]\n ldr r2, [r4, #4]\n ldr r3, [r4, #8]", (9, 7, 7, 7, 4)),
    "a load that waits for a load": ("ldr r1, [r4]\n ldr r1, [r1]", (7, 7, 7, 7, 4)),
    "chained loads": ("ldr r5, [r4]\n ldr r5, [r5]\n ldr r5, [r5]", (9, 9, 9, 9, 6)),
    "load with update, then its use": ("mov r1, r4\n ldr r2, [r1], #4\n adds r2, r2, #1", (None, 7, 7, 7, 5)),
    "load, then its use": ("ldr r1, [r4]\n adds r1, r1, r1", (6, 6, 6, 6, 4)),
    "store": ("str r1, [r4]", (5, 4, 4, 4, 2.5)),
    "load multiple": ("mov r1, r4\n ldm r1!, {r2, r3}", (7, 7, 7, 7, 3)),
    "push and pop": ("push {r1, r2, r3}\n pop {r1, r2, r3}", (11, 11, 11, 11, 8)),
    "multiply-accumulate": ("mla r1, r2, r3, r1\n mla r1, r2, r3, r1", (None, 7, 5, 5, 3)),
    "long multiply": ("smull r1, r2, r3, r3", (None, 7, 4, 4, 2.5)),
    "long accumulate": ("smlal r1, r2, r3, r3", (None, 8, 4, 4, 2.5)),
    "load pair": ("ldrd r1, r2, [r4]", (None, 6, 6, 6, 3)),
    "divide": ("udiv r1, r2, r3", (None, 10, 10, 10, 8)),
    "four dual 16-bit multiplies": (
        "smlad r1, r5, r6, r1\n smlad r2, r5, r6, r2\n smlad r3, r5, r6, r3\n smlad r7, r5, r6, r7",
        (None, None, 7, 7, 5),
    ),
    "float add waits for float multiply": (
        "vmul.f32 s0, s1, s2\n vadd.f32 s3, s0, s3",
        (None, None, 6, 6, 5),
    ),
    "float accumulate": ("vfma.f32 s0, s1, s2", (None, None, 6, 6, 6)),
    "float divide": ("vdiv.f32 s0, s1, s2", (None, None, 17, 17, 15)),
    "float load": ("vldr s0, [r4]", (None, None, 5, 5, 2.5)),
    "call": ("bl cycles_leaf", (8, 7, 7, 7, None)),
}


def loops_for(core: str) -> dict[str, float]:
    column = CORES.index(core)
    return {name: turn for name, (_, turns) in LOOPS.items() if (turn := turns[column]) is not None}


def assembler(core: str) -> str:
    """One function per loop: void f(int turns). Aligned, so that no jump goes to a split word."""
    text = ".syntax unified\n.thumb\n"

    def function(name: str, body: str) -> str:
        return (
            f'.section .text.{name}, "ax", %progbits\n.balign 8\n.global {name}\n.type {name}, %function\n'
            f".thumb_func\n{name}:\n{body} .size {name}, . - {name}\n"
        )

    text += function("cycles_leaf", " bx lr\n")
    for number, name in enumerate(loops_for(core)):
        body = LOOPS[name][0]
        text += function(
            f"cycles_{number}",
            " push {r4, r5, r6, r7, lr}\n ldr r4, =0x20008000\n str r4, [r4]\n b 1f\n .balign 8\n"
            f"1: {body}\n subs r0, r0, #1\n bne 1b\n pop {{r4, r5, r6, r7, pc}}\n .ltorg\n",
        )
    return text


@pytest.fixture(scope="module")
def cores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Emulator]:
    """Every core with its loops linked."""
    ready = {}
    for core in CORES:
        folder = tmp_path_factory.mktemp(core)
        (folder / "loops.S").write_text(assembler(core))
        keep = [f"cycles_{number}" for number in range(len(loops_for(core)))]
        sources = [folder / "loops.S", startup.source(startup.IDLE_MAIN)]
        target = targets.load(core)
        ready[core] = Emulator(toolchain.build_firmware(sources, target, keep=keep).elf, target)
        ready[core].run()
    return ready


def estimate(emulator: Emulator, function: str, turns: int) -> CycleEstimate:
    emulator.forget_blocks()
    emulator.call(function, turns)
    return cycles.estimate(emulator.blocks(), emulator.image, emulator.target.core)


@pytest.mark.mcu
@pytest.mark.parametrize(("core", "name"), [(core, name) for core in CORES for name in loops_for(core)])
def test_cycles_of_a_loop(cores: dict[str, Emulator], core: str, name: str) -> None:
    function = f"cycles_{list(loops_for(core)).index(name)}"
    short, long = (estimate(cores[core], function, turns).cycles for turns in (100, 1100))
    assert (long - short) / 1000 == loops_for(core)[name]


@pytest.mark.mcu
def test_a_jump_to_a_split_instruction_costs_one_more(tmp_path: Path) -> None:
    turns = {}
    for gap in (0, 1):
        (tmp_path / f"gap{gap}.S").write_text(
            ".syntax unified\n.thumb\n.section .text.f\n.balign 8\n.global f\n.type f, %function\n.thumb_func\nf:\n"
            + " nop\n" * gap
            + "1: add.w r1, r1, r1\n subs r0, r0, #1\n bne 1b\n bx lr\n.size f, . - f\n"
        )
        for core in CORES[1:]:
            target = targets.load(core)
            sources = [tmp_path / f"gap{gap}.S", startup.source(startup.IDLE_MAIN)]
            emulator = Emulator(toolchain.build_firmware(sources, target, keep=["f"]).elf, target)
            emulator.run()
            turns[core, gap] = estimate(emulator, "f", 1100).cycles - estimate(emulator, "f", 100).cycles
    assert [turns[core, 1] - turns[core, 0] for core in CORES[1:]] == [1000, 1000, 1000, 0]


@pytest.mark.mcu
def test_an_estimate_says_how_it_was_got(cores: dict[str, Emulator]) -> None:
    bands = {}
    for core, emulator in cores.items():
        found = estimate(emulator, "cycles_0", 1000)
        assert found.how == "estimated, zero wait states"
        assert found.source
        assert found.low < found.cycles < found.high
        bands[core] = found.band_percent
    assert bands == {
        "cortex-m0plus": 10,
        "cortex-m3": 10,
        "cortex-m4f": 10,
        "cortex-m33": 25,
        "cortex-m7": 20,
    }


@pytest.mark.mcu
def test_cost_of_each_function(cores: dict[str, Emulator]) -> None:
    emulator = cores["cortex-m4f"]
    function = f"cycles_{list(loops_for('cortex-m4f')).index('call')}"
    emulator.forget_blocks()
    emulator.call(function, 500)
    model = CycleModel(emulator.image, emulator.target.core)
    costs = {cost.name: cost for cost in model.by_function(emulator.blocks())}
    assert costs["cycles_leaf"].instructions == 500
    assert costs["cycles_leaf"].cycles == 1000
    assert costs[function].instructions == 3 * 500 + 5
    total = sum(cost.instructions for cost in costs.values())
    assert total == emulator.last_instructions + 1, "and the marker"


def test_text_of_an_estimate() -> None:
    found = CycleEstimate(1_000_000, 10, cycles.HOW, "manual")
    assert str(found) == "1000000 cycles +-10 % (estimated, zero wait states)"
    assert (found.low, found.high) == (900_000, pytest.approx(1_100_000))
    assert found.seconds(64e6) == 0.015625


def test_energy_widens_the_band() -> None:
    found = energy.estimate(CycleEstimate(1_000_000, 10, cycles.HOW, "manual"), targets.load("nrf52840"))
    assert found is not None
    assert found.microjoules == pytest.approx(155)
    assert found.low == pytest.approx(155 * 0.9 * 0.6)
    assert found.high == pytest.approx(155 * 1.1 * 1.4)
    assert str(found) == "155 uJ (83.7 to 239 uJ, 155 pJ per cycle; cycles estimated, zero wait states)"
    assert "Nordic" in found.source


@pytest.mark.parametrize("name", ["rp2040", "stm32l4r5", "stm32f746", "stm32u585", "cortex-m4f"])
def test_unknown_energy_stays_unknown(name: str) -> None:
    assert energy.estimate(CycleEstimate(1000, 10, cycles.HOW, "manual"), targets.load(name)) is None


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4f"])
def test_what_is_known_of_an_instruction_is_what_is_read_of_it(core: str) -> None:
    """In a whole firmware, with conditions of IT instructions, jumps, and what is in no block."""
    net = model((6,), (Dense(5, "relu"), Dense(3)))
    made = mg.compile(net, calibration=samples(net, 8)[0])
    image = EmulatedDevice(made.build.compiled, targets.load(core), opt="-Os").device.emulator.image
    decoder = disassembler(detail=True)
    names = []
    for address, code in image.code:
        read = [*decoder.disasm(code, address)]
        expected = [_instruction(decoder, insn) for insn in read]
        for _ in range(2):  # what was read now is known
            assert [*decode(code, address)] == expected
        names += [insn.mnemonic for insn in read]
    assert any(name.startswith("it") for name in names) == (core == "cortex-m4f")


def test_missing_disassembler_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    with pytest.raises(ToolError, match="disassembler capstone cannot be loaded") as caught:
        disassembler(detail=True)
    assert caught.value.hint == "pip install capstone, with --force-reinstall if it is there"
