"""Generated C when it is called: it says no to bad calls, and does nothing that C leaves undefined."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from generated import HOSTS, LABEL, NULL, OK, RATE, STATE, Api, built, folder, need
from mcugrad import targets, toolchain
from mcugrad.emulator.firmware import DeviceModel
from thoroughness import LONG, turns

# --- it says no to bad calls ----------------------------------------------------------------------------------


def test_bad_calls_change_nothing() -> None:
    api = Api("all_sr8")
    api.sample(0)
    m, x, y, null = api.memory, api.x, api.y, api.null
    for content in (b"\0", b"\xc5", b"\xff"):  # memory before init may hold anything
        api.ffi.buffer(m)[:] = content * api.layout.size
        before = api.all()
        assert [api.predict(m, x, y), api.step(m, x, 0, null), api.set_rate(m, 0.1)] == [STATE] * 3
        assert api.all() == before
    assert [api.init(null), api.init(m), api.step(m, x, 1, null)] == [NULL, OK, OK]
    before = api.all()
    assert [api.predict(null, x, y), api.predict(m, null, y), api.predict(m, x, null)] == [NULL] * 3
    assert [api.step(null, x, 0, null), api.step(m, null, 0, null), api.set_rate(null, 0.1)] == [NULL] * 3
    assert [api.quantize(null, x), api.quantize(api.ffi.new("float[]", len(x)), null)] == [NULL] * 2
    assert [api.step(m, x, label, null) for label in (3, 4, 2**31, 2**32 - 1)] == [LABEL] * 4
    assert [api.set_rate(m, rate) for rate in (-1e-30, -1.0, float("nan"), float("inf"), -float("inf"))] == [
        RATE
    ] * 5
    assert api.all() == before
    assert [api.set_rate(m, rate) for rate in (0.0, 1e-38, 3e38)] == [OK] * 3


def test_predicting_changes_nothing_that_was_learned() -> None:
    api, other = Api("all_sr16"), Api("all_sr16")
    for each in (api, other):
        assert each.init(each.memory) == OK
    for step in range(20):
        for each in (api, other):
            each.sample(step)
            assert each.step(each.memory, each.x, step % 3, each.null) == OK
        before = api.params()
        api.sample(100 + step)
        assert api.predict(api.memory, api.x, api.y) == OK
        assert api.params() == before == other.params()


def test_rate_zero_stops_weights_and_biases() -> None:
    api = Api("all_sr8")
    assert [api.init(api.memory), api.set_rate(api.memory, 0.0)] == [OK, OK]
    place = api.layout.offsets
    kept = [b for b in api.layout.params if re.fullmatch(r"\w+_[wb]", b.name)]
    assert len(kept) == 8

    def values() -> list[bytes]:
        return [api.all()[place[b.name] :][: b.size] for b in kept]

    before = values()
    for step in range(10):
        api.sample(step)
        assert api.step(api.memory, api.x, step % 3, api.null) == OK
    assert values() == before


def test_quantizing_on_the_device_is_quantizing_here() -> None:
    api = Api("linear")
    random = np.random.default_rng(0)
    scale = api.trainer.build.graph[api.trainer.build.graph.input].quant.scale
    rows = [
        *random.normal(0, 1, (200, 5)).astype(np.float32),
        *(np.arange(-150, 150).reshape(-1, 5) + 0.5).astype(np.float32) * np.float32(scale),
        np.asarray([3e38, -3e38, 1e-40, -0.0, 0.0], np.float32),
    ]
    for row in rows:
        assert api.quantize(api.ffi.cast("float *", row.ctypes.data), api.x) == OK
        np.testing.assert_array_equal(
            np.frombuffer(api.ffi.buffer(api.x), np.int8), api.trainer.quantize(row[None])[0]
        )


# --- undefined behaviour ----------------------------------------------------------------------------------------

# zig would link libc and build it first, which takes long; nothing here calls it.
TRAP = {
    "zig": ("-fsanitize=undefined", "-fsanitize-trap=undefined", "-nostdlib"),
    "gcc": ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"),
}
STEPS = """
import sys, cffi, numpy as np
library, name, size, inputs, classes, steps = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
every = steps // 10
ffi = cffi.FFI()
ffi.cdef(f"int {name}_init(void *m); int {name}_predict(void *m, const int8_t *x, int8_t *y);"
         f"int {name}_train_step(void *m, const int8_t *x, uint32_t label, void *step);"
         f"int {name}_set_rate(void *m, float rate);"
         f"int {name}_train_soft(void *m, const int8_t *x, const uint8_t *soft, void *step);"
         f"int {name}_replay_init(void *r, uint32_t *memory, uint32_t words, uint32_t seed);"
         f"int {name}_replay_remember(void *m, void *r);"
         f"int {name}_train_replay(void *m, void *r, const int8_t *x, uint32_t label, void *step);"
         f"int {name}_augment(void *how, const int8_t *x, int8_t *y);")
c = ffi.dlopen(library)
m, y = ffi.new("uint32_t[]", size // 4), ffi.new("int8_t[]", classes)
random = np.random.default_rng(0)
how, changed, replay, memory = (ffi.new(f"{t}[]", n) for t, n in
                                (("int32_t", 7), ("int8_t", inputs), ("uint64_t", 99), ("uint32_t", 5000)))
status = getattr(c, f"{name}_init")(m) | getattr(c, f"{name}_replay_init")(replay, memory, 5000, 1)
for step in range(steps):
    x = random.integers(-128, 128, inputs).astype(np.int8)
    x[random.random(inputs) < 0.3] = [-128, 127, 0][step % 3]
    if step % every == every - 1:  # rates from sensible to absurd: weights and scales reach every bound
        status |= getattr(c, f"{name}_set_rate")(m, 10.0 ** (step // every * 4 - 6))
    status |= getattr(c, f"{name}_train_step")(m, x.tobytes(), step % classes, ffi.NULL)
    for place, most in ((2, 65536), (3, 65280), (4, 65280)):
        how[place] = random.choice([0, 1, most // 9, most])
    status |= getattr(c, f"{name}_augment")(how, x.tobytes(), changed)
    soft = random.choice([0, 1, 128, 255], classes).astype(np.uint8)
    soft[step % classes] = 255
    status |= getattr(c, f"{name}_train_soft")(m, ffi.buffer(changed)[:], soft.tobytes(), ffi.NULL)
    if step % 20 == 19:
        status |= getattr(c, f"{name}_replay_remember")(m, replay)
    status |= getattr(c, f"{name}_train_replay")(m, replay, x.tobytes(), step % classes, ffi.NULL)
    status |= getattr(c, f"{name}_predict")(m, x.tobytes(), y)
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("name", "compiler"), turns(["all_sr8", "all_sr16", "middle", "biases", "one_input"], HOSTS)
)
def test_no_undefined_behaviour(name: str, compiler: str) -> None:
    """Hundreds of steps with traps at every overflow, bad shift and access out of bounds or alignment."""
    need(compiler)
    library = toolchain.build_shared(
        [folder(name) / f"{name}.c"], [folder(name)], compiler=compiler, opt="-O0", flags=TRAP[compiler]
    )
    compiled = built(name).build.compiled
    program = compiled.program
    sizes = compiled.layout.size, program.buffers[program.input].count, program.classes, 500 if LONG else 200
    command = [sys.executable, "-c", STEPS, str(library), name, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"


@pytest.mark.parametrize("compiler", HOSTS)
def test_undefined_behaviour_would_be_seen(compiler: str, tmp_path: Path) -> None:
    need(compiler)
    source = tmp_path / "wrong.c"
    source.write_text("int wrong(int a);\nint wrong(int a) { return a + 2147483647; }\n")
    library = toolchain.build_shared([source], compiler=compiler, opt="-O0", flags=TRAP[compiler])
    command = [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1]).wrong(1)", str(library)]
    assert subprocess.run(command, capture_output=True, check=False).returncode < 0


@pytest.mark.mcu
@pytest.mark.parametrize(("name", "core"), turns(["all_sr8", "all_sr16"], ["cortex-m0plus", "cortex-m7"]))
def test_no_unaligned_access_on_a_core(name: str, core: str) -> None:
    """Of portable bodies: while accesses are watched the emulator loses its way behind some conditional stores of the
    others, whose accesses tests/kernels/test_on_cores.py looks at one by one.
    """
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    program = built(name).build.compiled.program
    device = DeviceModel(
        [folder(name) / f"{name}.c"],
        name,
        targets.load(core),
        input_size=program.buffers[program.input].count,
        output_size=program.classes,
        include_dirs=[folder(name)],
        defines={"MCG_PORTABLE": None},
        check_alignment=True,
    )
    device.init()
    random = np.random.default_rng(0)
    for step in range(3):
        x = random.integers(-128, 128, program.buffers[program.input].count).astype(np.int8)
        assert device.train_step(x, step % 3)[0] == 0
        device.predict(x)
