"""Where bytes are: the parts of RAM and flash are the linked image, and no call takes more stack than was said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

import mcugrad as mg
from builds import built_with
from mcugrad import targets, toolchain
from mcugrad.measure.cost import measure
from mcugrad.measure.memory import Memory, Part, memory, total
from mcugrad.program import Space
from mcugrad.program.reserve import INTERRUPTS, STACK
from mcugrad.report.memory import flash_rows, piece_rows, ram_rows
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.targets import Region
from mcugrad.toolchain import size
from mcugrad.toolchain.stack import Calls
from networks import Conv, Dense, Pool, model, samples
from thoroughness import LONG

pytestmark = pytest.mark.mcu

SMALL = (Conv(4, pads=(1, 1, 1, 1)), Pool(), Dense(3))
MEDIUM = (*(Conv(out, stride=(2, 2), pads=(1, 1, 1, 1)) for out in (5, 8)), Dense(12, "relu"), Dense(4))
NETWORKS = {"small": ((1, 8, 8), SMALL), "medium": ((1, 10, 10), MEDIUM)}
PAIRS = (
    ("small", "int8", "zig", "cortex-m4f"),
    ("small", "float32", "arm-none-eabi-gcc", "cortex-m33"),
    ("medium", "int8", "arm-none-eabi-gcc", "cortex-m4f"),
    ("medium", "float32", "zig", "cortex-m0plus"),
)
OTHERS = (
    ("small", "int8", "arm-none-eabi-gcc", "cortex-m0plus"),
    ("small", "float32", "zig", "cortex-m0plus"),
    ("medium", "int8", "zig", "cortex-m7"),
    ("medium", "float32", "arm-none-eabi-gcc", "cortex-m7"),
)
BUILDS = [way for way in PAIRS + OTHERS * LONG if way[2] in toolchain.firmware_compilers()]
CALLS = ("init", "predict", "train_step", "train_soft", "replay_init", "replay_add", "train_replay", "guard")


@cache
def made(network: str, precision: str) -> mg.Trainer:
    shape, layers = NETWORKS[network]
    net = model(shape, layers)
    rule = {} if precision == "float32" else {"rule": "sr12"}
    return mg.compile(net, calibration=samples(net, 8)[0], precision=precision, train="last:2", **rule)


@cache
def linked(network: str, precision: str, compiler: str, core: str) -> tuple[EmulatedDevice, Memory]:
    """-Os, where a tail of a function is shared and less is inlined; all that a model can do is linked."""
    build = made(network, precision).build
    device = EmulatedDevice(
        build.compiled, targets.load(core), compiler=compiler, opt="-Os", replay=3, guard=3, augment=True
    )
    return device, memory(build, device.device)


@pytest.fixture(params=BUILDS, ids="-".join)
def build(request: pytest.FixtureRequest) -> tuple[EmulatedDevice, Memory]:
    return linked(*request.param)


def in_headers(elf: Path, region: Region, *, loaded: bool) -> tuple[int, int]:
    """Bytes of sections in a memory, by the headers alone, and those from its beginning to the end of the last one."""
    with elf.open("rb") as file:
        image = ELFFile(file)
        places = [
            (s["sh_addr"], s["sh_size"]) for s in image.iter_sections() if s["sh_flags"] & 2 and s["sh_size"]
        ]
        if loaded:  # initial values of variables lie in flash, too
            data = image.get_section_by_name(".data")
            at = next(
                s["st_value"]
                for s in image.get_section_by_name(".symtab").iter_symbols()
                if s.name == "mcg_ld_data_load"
            )
            places += [(at, data["sh_size"])] if data is not None and data["sh_size"] else []
    inside = [(at, count) for at, count in places if region.address <= at < region.end]
    return sum(n for _, n in inside), max(at + n for at, n in inside) - region.address


def demand_equal(device: EmulatedDevice, found: Memory) -> None:
    firmware = device.device.firmware
    for parts, region in ((found.ram, firmware.target.ram), (found.flash, firmware.target.flash)):
        sections, end = in_headers(firmware.elf, region, loaded=region is firmware.target.flash)
        gaps = sum(part.bytes for part in parts if part.key in ("ram_gaps", "flash_gaps"))
        assert total(parts) == end
        assert total(parts) - gaps == sections
        assert gaps < 8 * 5
    assert sum(piece.bytes for piece in found.pieces) == total(found.flash) - gaps


def part(parts: tuple[Part, ...], key: str) -> int:
    return next(part.bytes for part in parts if part.key == key)


def test_parts_are_the_image_to_the_byte(build: tuple[EmulatedDevice, Memory]) -> None:
    device, found = build
    demand_equal(device, found)
    for parts in (found.ram, found.flash):
        assert len({p.key for p in parts}) == len(parts)
        sizes = {p.key: p.bytes for p in parts}
        for p in parts:
            assert 0 <= p.bytes <= sizes[p.of or p.key]
    assert sum(p.bytes for p in found.ram if p.of == "learned") == part(found.ram, "learned")
    assert sum(part(found.flash, key) for key in ("kernels", "model", "library")) == part(found.flash, "code")


def test_parts_are_what_the_program_says(build: tuple[EmulatedDevice, Memory]) -> None:
    device, found = build
    compiled = device._compiled
    place, program = compiled.layout, compiled.program
    model_parts = ("weights", "learned", "state", "arena")
    assert sum(part(found.ram, key) for key in model_parts) == place.size
    weights = {b.name: b.size for b in program.buffers.values() if b.note.startswith("weights")}
    state = {b.name for b in program.in_space(Space.STATE)}
    assert part(found.ram, "weights") == sum(n for name, n in weights.items() if name in state)
    assert part(found.flash, "frozen") == sum(n for name, n in weights.items() if name not in state)
    assert part(found.flash, "initial") == place.params_size
    assert part(found.ram, "sample") == program.buffers[program.input].size
    assert part(found.ram, "arena_train_step") <= part(found.ram, "arena") == compiled.plan.size
    assert 0 < part(found.flash, "code_predict") < part(found.flash, "code")
    pieces = {piece.name: piece.bytes for piece in found.pieces}
    assert all(pieces[f"net_initial.{b.name}"] == b.size for b in place.params)


def _forget(name: str) -> Callable[[Path], tuple[size.SymbolSize, ...]]:
    every = size.placed
    return lambda elf: tuple(symbol for symbol in every(elf) if symbol.section != name)


@pytest.mark.parametrize("section", [".rodata", ".text", ".mcg_vectors"])
def test_a_section_that_is_left_out_is_noticed(section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device, whole = linked(*BUILDS[0])
    demand_equal(device, whole)
    monkeypatch.setattr(size, "placed", _forget(section))
    with pytest.raises(AssertionError):
        demand_equal(device, memory(made(*BUILDS[0][:2]).build, device.device))


def test_no_stack_is_deeper_than_its_bound(build: tuple[EmulatedDevice, Memory]) -> None:
    device, found = build
    bounds = {depth.function: depth.bound for depth in found.stack}
    declared = re.findall(r"\b(net_\w+)\(", device._compiled.files["net.h"])
    assert set(declared) == set(bounds), "a function of the interface, called by the harness or not"
    linked = {f"net_{call}" for call in (*CALLS, "set_schedule", "augment", "replay_remember")}
    assert linked < set(bounds)
    assert all(bound is not None for bound in bounds.values()), found.stack
    calls = Calls(device.device.firmware.elf)
    found_depths = deepest(device)
    assert found_depths["predict"] > 100
    for call, seen in found_depths.items():
        function = f"device_{call}"  # what the harness has of its own around some
        most = calls.bound(function).bytes if function in calls.image else bounds[f"net_{call}"]
        assert most is not None
        assert 0 <= seen <= most, call
    assert max(bound for bound in bounds.values() if bound) + INTERRUPTS <= STACK, (
        "less is kept than there can be"
    )
    assert found.stack_bound == max(n for n in (bounds["net_predict"], bounds["net_train_step"]) if n)


def deepest(device: EmulatedDevice) -> dict[str, int]:
    """Bytes of stack of each call, as the core painted them."""
    inner = device.device
    random = np.random.default_rng(0)
    x = random.integers(-128, 128, (3, inner._x.size), np.int8)
    found = {}

    def call(name: str, run: Callable[..., Any], *arguments: Any) -> None:
        run(*arguments)
        found[name] = max(found.get(name, 0), inner.last_stack)

    call("init", inner.init)
    for sample in x:
        call("predict", inner.predict, sample)
        call("train_step", inner.train_step, sample, 1)
        call("train_soft", inner.train_soft, sample, np.full(device._compiled.program.classes, 20, np.uint8))
        call("augment", inner.augment, sample)
    call("replay_init", inner.replay_init, 1)
    for sample in x:
        call("replay_add", inner.replay_add, sample, 1)
        call("train_replay", inner.train_replay, sample, 0)
    call("replay_remember", inner.replay_remember)
    inner.begin_guard()
    call("guard", inner.guard, x, np.asarray([0, 1, 0], np.uint32), 0.1)
    return found


def test_measuring_says_what_was_seen_beside_the_bound() -> None:
    trainer = made("small", "int8")
    x, y = samples(trainer.model, 2)
    with built_with("-Os", EmulatedDevice):
        cost = trainer.measure(x, y, target="cortex-m4f")
        alone = measure(trainer.build, targets.load("cortex-m4f"), trainer.quantize(x), None, 0.01)
    assert cost.memory is not None
    assert cost.stack_bound == cost.memory.stack_bound
    assert cost.stack_bound is not None
    assert cost.stack <= cost.stack_bound
    assert f" and never over {cost.stack_bound / 1024:.1f})" in str(cost)
    seen = {depth.function: depth.seen for depth in cost.memory.stack if depth.seen is not None}
    assert set(seen) == {"net_predict", "net_train_step"}
    assert max(seen.values()) == cost.stack
    assert alone.memory is not None
    assert alone.stack == {depth.function: depth.seen for depth in alone.memory.stack}["net_predict"]


def test_tables_say_the_parts(build: tuple[EmulatedDevice, Memory]) -> None:
    _, found = build
    for rows, parts in ((ram_rows(found), found.ram), (flash_rows(found), found.flash)):
        assert rows[-1][1] == f"{total(parts):,}"
        outer = [int(n.replace(",", "")) for label, n, _ in rows[:-1] if not label.startswith(" ")]
        assert sum(outer) == total(parts)
        assert all(n != "0" for _, n, _ in rows)
    named = sum(piece.bytes for piece in found.pieces if piece.name)
    assert sum(int(n.replace(",", "")) for _, n, _ in piece_rows(found)) == named
    facts = found.facts()
    assert [each["bytes"] for each in facts["symbols"]] == [piece.bytes for piece in found.pieces]
    few = replace(found, pieces=found.pieces[:3])
    assert len(piece_rows(few)) == 3
