"""Emulator: exact counts and stack on every core, and a clear word for everything that can go wrong."""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mcugrad import targets, toolchain
from mcugrad.emulator import cpu
from mcugrad.emulator.cpu import Emulator
from mcugrad.emulator.firmware import DeviceModel
from mcugrad.errors import DataError, DeviceError, ToolError, UsageError
from mcugrad.toolchain import startup

pytestmark = pytest.mark.mcu

FUNCTIONS = r"""
#include <stdint.h>
#define LOOP(body, n) __asm__ volatile("1:\n" body "subs %0, #1\n bne 1b" : "+l"(n)::"cc", "memory")
void narrow(int n) { LOOP("nop\n nop\n", n); }
void nested(int n, int m) { do { int inner = m; LOOP("", inner); } while (--n); }
#if __ARM_ARCH >= 7
void wide(int n) { LOOP("nop.w\n add.w r3, r3, r3\n ite eq\n addeq r2, #1\n addne r2, #2\n", n); }
uint32_t pair(const uint32_t *p) {
    uint32_t a, b;
    __asm__ volatile("ldrd %0, %1, [%2]" : "=r"(a), "=r"(b) : "r"(p) : "memory");
    return a ^ b;
}
#endif
uint32_t load(const volatile uint32_t *p) { return *p; }
void store(volatile uint32_t *p) { *p = 1; }
int jump(int (*f)(void)) { return f() + 1; }
void undefined(void) { __asm__ volatile("udf #3"); }
void supervisor(void) { __asm__ volatile("svc #3"); }
void forever(void) { for (;;) __asm__ volatile(""); }
int six(int a, int b, int c, int d, int e, int f) { return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f; }
void dig(int bytes) {  /* a stack frame of exactly so many bytes, its last word written */
    __asm__ volatile("mov r2, sp\n mov r3, sp\n subs r3, r3, %0\n mov sp, r3\n str %0, [r3]\n mov sp, r2"
                     :: "l"(bytes) : "r2", "r3", "memory", "cc");
}
int initialised = 41;
int next(void) { return ++initialised; }
"""
KEPT = [
    "narrow",
    "nested",
    "load",
    "store",
    "jump",
    "undefined",
    "supervisor",
    "forever",
    "six",
    "dig",
    "next",
]

MODEL_H = """\
#include <stdint.h>
typedef enum { MCG_OK = 0, MCG_ERR = -3 } mcg_status_t;
typedef struct { int8_t w[4]; int32_t steps; } tiny_t;
typedef struct { float loss; uint32_t label; } tiny_step_t;
mcg_status_t tiny_init(tiny_t *m);
mcg_status_t tiny_predict(tiny_t *m, const int8_t *x, int8_t *y);
mcg_status_t tiny_train_step(tiny_t *m, const int8_t *x, uint32_t label, tiny_step_t *info);
"""
MODEL_C = """\
#include "tiny.h"
mcg_status_t tiny_init(tiny_t *m) { for (int i = 0; i < 4; ++i) m->w[i] = (int8_t)i; m->steps = 0; return MCG_OK; }
mcg_status_t tiny_predict(tiny_t *m, const int8_t *x, int8_t *y) {
    int s = 0;
    for (int i = 0; i < 4; ++i) s += m->w[i] * x[i];
    y[0] = (int8_t)s; y[1] = (int8_t)-s;
    return x[0] == 99 ? MCG_ERR : MCG_OK;
}
mcg_status_t tiny_train_step(tiny_t *m, const int8_t *x, uint32_t label, tiny_step_t *info) {
    if (x[0] == 77) *(volatile int *)0x40000000 = 1;
    if (label > 3) return MCG_ERR;
    m->w[label] = (int8_t)(m->w[label] + x[label]);
    info->loss = (float)++m->steps / 4.0f; info->label = label;
    return MCG_OK;
}
"""
X = np.array([1, 2, 3, 4], np.int8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("device")
    (path / "functions.c").write_text(FUNCTIONS)
    (path / "tiny.c").write_text(MODEL_C)
    (path / "tiny.h").write_text(MODEL_H)
    return path


def functions(folder: Path, name: str, **options: object) -> Emulator:
    """A core with FUNCTIONS linked, waiting in main."""
    target = targets.load(name)
    keep = KEPT + (["wide", "pair"] if target.core.architecture != "armv6-m" else [])
    sources = [folder / "functions.c", startup.source(startup.IDLE_MAIN)]
    firmware = toolchain.build_firmware(sources, target, opt="-O1", keep=keep)
    emulator = Emulator(firmware.elf, target, **options)  # type: ignore[arg-type]
    assert emulator.run() == 0
    return emulator


def tiny(folder: Path, name: str = "cortex-m4f", **options: object) -> DeviceModel:
    settings = {"input_size": 4, "output_size": 2, "include_dirs": [folder], **options}
    return DeviceModel([folder / "tiny.c"], "tiny", targets.load(name), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("hook", ["native", "python"])
@pytest.mark.parametrize("core", targets.emulated())
def test_counts_of_closed_form_loops_are_exact(folder: Path, core: str, hook: str) -> None:
    emulator = functions(folder, core, hook=hook)
    for n in (1, 2, 1000):
        emulator.call("narrow", n)
        assert emulator.last_instructions == 4 * n + 1  # the loop and BX LR
    emulator.call("nested", 30, 70)
    fixed = emulator.last_instructions - 30 * 70 * 2
    emulator.call("nested", 30, 71)
    assert emulator.last_instructions == fixed + 30 * 71 * 2
    if core != "cortex-m0plus":
        emulator.call("wide", 1000)
        assert emulator.last_instructions == 7 * 1000 + 1  # both arms of ITE count, also the skipped one


@pytest.mark.parametrize("core", targets.emulated())
def test_both_hooks_see_the_same_blocks(folder: Path, core: str) -> None:
    seen = []
    for hook in ("native", "python"):
        emulator = functions(folder, core, hook=hook)
        emulator.call("narrow", 5)
        emulator.forget_blocks()
        emulator.call("nested", 3, 4)
        seen.append(emulator.blocks())
    assert seen[0] == seen[1]
    loop = max(seen[0], key=lambda block: block.executions)
    # Of four turns the first belongs to the block that leads into the loop; the last one falls out of it.
    assert (loop.instructions, loop.executions, loop.leaves) == (2, 3 * 3, 3 * 2)
    assert sum(b.instructions * b.executions for b in seen[0]) == emulator.last_instructions + 1


def test_native_hook_is_fast(folder: Path) -> None:
    emulator = functions(folder, "cortex-m4f", hook="native")
    emulator.call("narrow", 5_000_000, budget=30_000_000)
    assert emulator.last_instructions == 20_000_001


@pytest.mark.parametrize("core", targets.emulated())
def test_stack_is_measured_to_the_word(folder: Path, core: str) -> None:
    emulator = functions(folder, core)
    emulator.call("narrow", 1)
    assert emulator.last_stack == 0
    for depth in (4, 8, 400, 3000):
        emulator.call("dig", depth)
        assert emulator.last_stack == depth


def test_arguments_result_and_data(folder: Path) -> None:
    emulator = functions(folder, "cortex-m4f")
    assert emulator.call("six", 1, 2, 3, 4, 5, 6) == 654321
    assert emulator.call("six", -1, 0, 0, 0, 0, 0) == 0xFFFF_FFFF
    assert [emulator.call("next"), emulator.call("next")] == [42, 43]
    emulator.reset()
    emulator.run()
    assert emulator.call("next") == 42, "startup copies .data again"


def test_memory_not_yet_written_is_not_zero(folder: Path) -> None:
    emulator = functions(folder, "nrf52840")
    assert emulator.call("load", 0x2003_0000) == 0xC5C5_C5C5
    emulator.write(0x2003_0000, b"\x01\x02\x03\x04")
    assert emulator.call("load", 0x2003_0000) == 0x04030201
    assert emulator.read(0x2003_0001, 2) == b"\x02\x03"
    assert functions(folder, "nrf52840").read(0x2003_0000, 4) == b"\xc5" * 4, "a core has RAM of its own"
    emulator.reset()
    assert emulator.read(0x2003_0000, 4) == b"\xc5" * 4


RAM = 0x2000_0000
FAULTS = [
    ("load", [0x1000_0000], r"read 4 B at 0x10000000, nothing: \S+ has no memory there", "load+0x0"),
    ("store", [0x4000_0000], "wrote 4 B at 0x40000000, nothing", "store+0x"),
    ("store", [RAM + (256 << 10)], "wrote 4 B at 0x20040000, nothing", "store+0x"),
    ("store", [64], "wrote 4 B at 0x00000040, flash, which is read-only", "store+0x"),
    ("jump", [RAM + 0x8001], "jumped to 0x20008000, where no code is", "jump+0x4"),
    ("jump", [0x4000_0001], "a jump to where no code is|where no code is", "jump+0x4"),
    ("undefined", [], "undefined instruction 03de", "undefined+0x"),
    ("supervisor", [], "supervisor call", "supervisor+0x"),
    ("forever", [], "did not end within 100000 instructions", "forever+0x"),
    ("dig", [3080], "stack overflow: 3072 B are reserved and the program went 8 B below them", "dig+0x"),
]


@pytest.mark.parametrize(("function", "arguments", "what", "place"), FAULTS)
def test_faults_say_what_and_where(
    folder: Path, function: str, arguments: list[int], what: str, place: str
) -> None:
    emulator = functions(folder, "nrf52840")
    with pytest.raises(DeviceError, match=what) as caught:
        emulator.call(function, *arguments, budget=100_000)
    assert place in caught.value.where
    emulator.reset()
    emulator.run()
    assert emulator.call("six", 1, 0, 0, 0, 0, 0) == 1, "a reset brings it back"


@pytest.mark.parametrize("core", targets.emulated())
def test_faults_on_every_core(folder: Path, core: str) -> None:
    emulator = functions(folder, core)
    for function, arguments, what in (
        ("load", [0x1000_0000], "read 4 B at 0x10000000"),
        ("store", [64], "read-only"),
        ("undefined", [], "undefined instruction"),
        ("dig", [9000], "stack overflow"),
        ("forever", [], "did not end"),
    ):
        with pytest.raises(DeviceError, match=what):
            emulator.call(function, *arguments, budget=10_000)
        emulator.reset()
        emulator.run()


def test_unaligned_word_faults_on_m0plus(folder: Path) -> None:
    with pytest.raises(DeviceError, match="unaligned"):
        functions(folder, "cortex-m0plus").call("load", RAM + 0x8001)
    assert functions(folder, "cortex-m3").call("load", RAM + 0x8001) == 0xC5C5_C5C5


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33"])
def test_unaligned_pair_faults_when_checked(folder: Path, core: str) -> None:
    emulator = functions(folder, core, check_alignment=True)
    assert emulator.call("pair", RAM + 0x8004) == 0
    assert emulator.call("load", RAM + 0x8001) == 0xC5C5_C5C5
    with pytest.raises(DeviceError, match="unaligned address: 4 B at 0x20008002") as caught:
        emulator.call("pair", RAM + 0x8002)
    assert "pair+0x0" in caught.value.where


def test_wrong_use_of_the_emulator(folder: Path) -> None:
    emulator = functions(folder, "nrf52840")
    with pytest.raises(ToolError, match="no symbol nothing"):
        emulator.call("nothing")
    with pytest.raises(UsageError, match="unknown register 'r99'"):
        emulator.register("r99")
    with pytest.raises(UsageError, match="no memory of 8 B at 0x2003fffc"):
        emulator.read(0x2003_FFFC, 8)
    with pytest.raises(UsageError, match="unknown hook"):
        functions(folder, "nrf52840", hook="fast")
    with pytest.raises(ToolError, match="not an ELF file"):
        Emulator(folder / "tiny.c", targets.load("nrf52840"))
    with pytest.raises(ToolError, match="cannot read the firmware"):
        Emulator(folder / "none.elf", targets.load("nrf52840"))


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C is heard, as in a terminal: a shell's background jobs begin deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_ends_emulation(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A signal that comes while the core runs is handled inside unicorn's callback, which would swallow it."""
    emulator = functions(folder, "cortex-m4f")
    for _ in range(2):
        after = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
        after.start()
        with pytest.raises(KeyboardInterrupt):
            emulator.call("narrow", 50_000_000)
        emulator.reset()
        assert emulator.run() == 0
    assert capfd.readouterr().err == ""
    emulator.call("narrow", 1)
    assert emulator.last_instructions == 5


def test_ctrl_c_goes_to_who_asked_for_it(folder: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        emulator = functions(folder, "cortex-m4f")
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
        emulator.call("narrow", 50_000_000)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_a_core_runs_in_a_thread(folder: Path) -> None:
    emulator = functions(folder, "cortex-m4f")
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(emulator.call("six", 1, 2, 3, 4, 5, 6)))
    thread.start()
    thread.join()
    assert found == [654321]


def test_missing_emulator_names_the_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(ToolError, match="the emulator unicorn cannot be loaded") as caught:
        functions(folder, "cortex-m3")
    assert caught.value.hint == "pip install unicorn, with --force-reinstall if it is there"


def test_without_a_host_compiler_python_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> Path:
        raise ToolError("the compiler zig is not installed")

    functions(folder, "cortex-m3")  # into the cache
    monkeypatch.setattr(toolchain, "build_shared", missing)
    emulator = functions(folder, "cortex-m3")
    emulator.call("narrow", 10)
    assert emulator.last_instructions == 41
    with pytest.raises(ToolError):
        functions(folder, "cortex-m3", hook="native")


@pytest.mark.parametrize("compiler", toolchain.firmware_compilers())
@pytest.mark.parametrize("name", [*targets.emulated(), "rp2040", "imxrt1062", "stm32u585"])
def test_a_model_trains_on_every_core(folder: Path, name: str, compiler: str) -> None:
    model = tiny(folder, name, compiler=compiler, info_size=8)
    model.init()
    assert model.predict(X).tolist() == [20, -20]
    assert model.last_instructions > 8
    assert model.train_step(X, 2) == (0, struct.pack("<fI", 0.25, 2))
    assert model.train_step(X, 0) == (0, struct.pack("<fI", 0.5, 0))
    assert model.read_model() == struct.pack("<4bi", 1, 1, 5, 3, 2)
    assert model.predict(X).tolist() == [30, -30]
    assert model.peak_stack < 200


def test_counts_of_a_model_repeat(folder: Path) -> None:
    one, two = tiny(folder, hook="native"), tiny(folder, hook="python")
    for model in (one, two):
        model.init()
        model.predict(X)
        model.predict(X)
    assert one.last_instructions == two.last_instructions
    one.forget_blocks()
    one.predict(X)
    assert sum(b.instructions * b.executions for b in one.blocks()) == one.last_instructions


def test_a_models_memory_can_be_set(folder: Path) -> None:
    model = tiny(folder)
    model.init()
    model.write_model(0, b"\x01\x00\x00\x00")
    assert model.read_model(0, 4) == b"\x01\x00\x00\x00"
    assert model.predict(X).tolist() == [1, -1]
    assert model.model_size == 8
    with pytest.raises(UsageError, match="outside tiny_t of 8 B"):
        model.read_model(4, 8)


def test_a_status_is_passed_on(folder: Path) -> None:
    model = tiny(folder)
    model.init()
    assert model.train_step(X, 4)[0] == -3
    assert model.train_step(X, 2**32 - 1)[0] == -3
    with pytest.raises(DeviceError, match="tiny_predict returned the status -3"):
        model.predict(np.array([99, 0, 0, 0], np.int8))
    assert model.predict(X).shape == (2,), "a status is no fault"


def test_after_a_fault_only_reset_helps(folder: Path) -> None:
    model = tiny(folder)
    model.init()
    with pytest.raises(DeviceError, match="wrote 4 B at 0x40000000") as caught:
        model.train_step(np.array([77, 0, 0, 0], np.int8), 0)
    assert "tiny_train_step+0x" in caught.value.where
    with pytest.raises(DeviceError, match="faulted in an earlier call"):
        model.predict(X)
    model.reset()
    model.init()
    assert model.predict(X).tolist() == [20, -20]


def test_wrong_use_of_a_model(folder: Path) -> None:
    model = tiny(folder)
    model.init()
    with pytest.raises(DataError, match="4 elements of float64; tiny takes 4 of int8"):
        model.predict([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(DataError, match="3 elements of int8"):
        model.predict(X[:3])
    with pytest.raises(DataError, match="label -1"):
        model.train_step(X, -1)
    with pytest.raises(UsageError, match="tiny_step_t has 8 B on cortex-m4f, not 12 B"):
        tiny(folder, info_size=12)
    with pytest.raises(UsageError, match="built without training"):
        tiny(folder, training=False).train_step(X, 0)


def test_inference_only_leaves_training_out(folder: Path) -> None:
    assert tiny(folder, training=False).firmware.sizes.text < tiny(folder).firmware.sizes.text


def test_a_model_with_foreign_instructions_is_refused(folder: Path) -> None:
    (folder / "simd.c").write_text(
        MODEL_C.replace(
            "int s = 0;", 'int s = 0; __asm__ volatile(".inst.w 0xfa2ff081" ::: "r0"); /* sxtb16 r0, r1 */'
        )
    )
    settings = {"input_size": 4, "output_size": 2, "include_dirs": [folder]}
    with pytest.raises(
        ToolError,
        match=r"1 of the firmware's instructions must not run on cortex-m3:\n.*tiny_predict.*sxtb16.*no DSP",
    ):
        DeviceModel([folder / "simd.c"], "tiny", targets.load("cortex-m3"), **settings)  # type: ignore[arg-type]
    DeviceModel([folder / "simd.c"], "tiny", targets.load("cortex-m4f"), **settings)  # type: ignore[arg-type]


def test_ram_is_the_same_where_no_file_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for temporary files may be missing or full."""
    usual = cpu._fresh_ram(4096)
    monkeypatch.setattr(cpu, "TemporaryFile", partial(open, "/nowhere/at/all"))
    alone = cpu._fresh_ram(8192)
    assert alone.tolist() == usual.tolist() * 2
    alone[:] = 0  # it can be written
