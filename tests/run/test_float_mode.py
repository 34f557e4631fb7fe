"""A thread that flushes small numbers to zero, as fast-math of a library makes it, changes no byte of the twin's."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest

import mcugrad as mg
from mcugrad import toolchain
from mcugrad.run.host import HostTwin
from networks import Dense, model, samples

SETTER = """
unsigned mode(void);
void set_mode(unsigned wanted);
float product(float a, float b);
#if defined(__x86_64__)
unsigned mode(void) { return __builtin_ia32_stmxcsr() & 0xffc0U; }
void set_mode(unsigned wanted) { __builtin_ia32_ldmxcsr(wanted); }
#else
unsigned mode(void)
{
    unsigned long long found;
    __asm__ volatile("mrs %0, fpcr" : "=r"(found));
    return (unsigned)found;
}
void set_mode(unsigned wanted)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((unsigned long long)wanted) : "memory");
}
#endif
float product(float a, float b) { return a * b; }
"""
MODES = {"flush to zero": (0x8040, 1 << 24), "round down": (0x2000, 2 << 22)}
"""Bits of MXCSR, of FPCR."""
FADING = 800
"""Steps after which 0.9 times what was there is denormal, and not yet zero."""


@pytest.fixture
def processor(tmp_path: Path) -> Any:
    source = tmp_path / "mode.c"
    source.write_text(SETTER)
    ffi = cffi.FFI()
    ffi.cdef("unsigned mode(void); void set_mode(unsigned wanted); float product(float a, float b);")
    return ffi.dlopen(str(toolchain.build_shared([source], opt="-O0")))


def small(processor: Any) -> list[float]:
    """Denormal products of either sign, as the mode has them rounded."""
    return [processor.product(sign * 1e-30, 1e-10) for sign in (-1, 1)]


def lived(twin: HostTwin, x: np.ndarray, y: np.ndarray) -> tuple[list[bytes], float]:
    """All that the twin computes: outputs, reports, errors, what is remembered and learned; its smallest number."""
    twin.init()
    order = np.tile(np.arange(len(x), dtype=np.uint32), 8)
    found = [twin.train(x, y, order, np.full(len(order), 0.02, np.float32)).info.tobytes()]
    # Kept changes of biases fade away: numbers become small.
    quiet = np.tile(order, 100)[:FADING]
    found.append(twin.train(x, y, quiet, np.zeros(FADING, np.float32)).info.tobytes())
    state = twin.state()
    found += [value.tobytes() for value in state.values()]
    sizes = np.abs(np.concatenate([v.ravel() for v in state.values() if v.dtype == np.float32]))
    found.append(twin.predict(x).tobytes())
    soft = np.full((len(x), 3), 85, np.uint8)
    found.append(twin.train_soft(x, soft, order[:32]).info.tobytes())
    twin.begin_guard()
    found.append(repr(twin.guard(x, y, 0.1)).encode())
    twin.begin_replay(4, 1, True, 0)
    twin.replay_add(x[:4], y[:4])
    twin.replay_remember()
    found.append(twin.replay().memory.tobytes())
    twin.end_replay()
    return found, float(sizes[sizes > 0].min())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [{"rule": mg.Update("sr16", momentum=0.9)}, {"precision": "float32"}])
def test_the_twin_computes_in_its_own_mode(mode: str, options: dict[str, Any], processor: Any) -> None:
    net = model((6,), (Dense(8, "relu"), Dense(3)), name="moded")
    real, y = samples(net, 16)
    trainer = mg.compile(net, calibration=real, **options)
    x, y = trainer.quantize(real), y % 3
    twin = HostTwin(trainer.build.compiled)
    expected, smallest = lived(twin, x, y)
    if "rule" in options:
        assert smallest < np.finfo(np.float32).tiny  # there is what can be lost
    plain = processor.mode()
    wanted = plain | MODES[mode][platform.machine() not in ("x86_64", "AMD64")]
    processor.set_mode(wanted)
    try:
        found, _ = lived(twin, x, y)
        left = processor.mode()
        there = small(processor)
    finally:
        processor.set_mode(plain)
    assert left == wanted  # and the caller keeps his
    assert there != small(processor)
    assert found == expected
