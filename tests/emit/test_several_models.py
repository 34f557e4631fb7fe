"""Several models in one firmware: each a source of its own, and each learns what it learns alone, to the last bit."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from generated import HOSTS, need
from mcugrad import targets, toolchain
from mcugrad.errors import ToolError
from mcugrad.toolchain import startup
from networks import Dense, model, samples

STEPS = 40
LAYERS = {"alpha": (Dense(9, "relu"), Dense(4)), "beta": (Dense(5, "relu"), Dense(3)), "gamma": (Dense(2),)}
OPTIONS: dict[str, dict[str, Any]] = {
    "alpha": {"rule": mg.Update("sr12", momentum=0.9, batch=2), "sparse": mg.Sparse(0.5, policy="split")},
    "beta": {"rule": "sr8"},
    "gamma": {"train": "none"},
}
DRIVER = """\
#include <stddef.h>
#include "alpha.h"
#include "beta.h"
#include "gamma.h"
extern alpha_t a; extern beta_t b; extern gamma_t c;
extern int8_t xa[ALPHA_INPUT_SIZE], xb[BETA_INPUT_SIZE], yc[GAMMA_OUTPUT_SIZE];
alpha_t a; beta_t b; gamma_t c;
_Alignas(8) int8_t xa[ALPHA_INPUT_SIZE], xb[BETA_INPUT_SIZE], yc[GAMMA_OUTPUT_SIZE];
int begin(void);
int both(int la, int lb);
int begin(void) { return (int)alpha_init(&a) + (int)beta_init(&b) + (int)gamma_init(&c); }
int both(int la, int lb)
{
    return (int)alpha_train_step(&a, xa, (uint32_t)la, NULL) + (int)beta_train_step(&b, xb, (uint32_t)lb, NULL) +
           (int)gamma_predict(&c, xb, yc);
}
"""


@cache
def trainers() -> dict[str, mg.Trainer]:
    made = {}
    for name, layers in LAYERS.items():
        net = model((6 if name == "alpha" else 8,), layers, name=name)
        made[name] = mg.compile(net, calibration=samples(net, 32)[0], **OPTIONS[name])
    return made


def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    made = trainers()[name]
    x, y = samples(made.model, STEPS)
    return made.quantize(x), made.labels(y, STEPS)


@cache
def alone(name: str) -> bytes:
    """What a model has learned after these steps in a twin of its own."""
    made = trainers()[name]
    made.twin.init()
    made.twin.train(*data(name), np.arange(STEPS, dtype=np.uint32))
    return learned(made, made.twin.state())


def learned(made: mg.Trainer, state: dict[str, np.ndarray]) -> bytes:
    return b"".join(state[buffer.name].tobytes() for buffer in made.build.compiled.layout.params)


def from_memory(made: mg.Trainer, memory: bytes) -> bytes:
    place = made.build.compiled.layout
    return b"".join(memory[place.offsets[b.name] :][: b.size] for b in place.params)


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    for made in trainers().values():
        for name, text in made.build.compiled.files.items():
            if name.endswith((".c", ".h")) and "/" not in name:
                (tmp_path / name).write_text(text)
    (tmp_path / "driver.c").write_text(DRIVER)
    return [tmp_path / f"{name}.c" for name in (*LAYERS, "driver")]


@pytest.mark.parametrize("compiler", HOSTS)
def test_on_this_computer(sources: list[Path], compiler: str) -> None:
    need(compiler)
    path = toolchain.build_shared(sources, [sources[0].parent], compiler=compiler, opt="-O0")
    library = ctypes.CDLL(str(path))
    assert library.begin() == 0
    (xa, la), (xb, lb) = data("alpha"), data("beta")
    for i in range(STEPS):
        for place, x in (("xa", xa[i]), ("xb", xb[i])):
            (ctypes.c_int8 * len(x)).in_dll(library, place)[:] = x.tolist()
        assert library.both(int(la[i]), int(lb[i])) == 0
    for place, name in (("a", "alpha"), ("b", "beta")):
        made = trainers()[name]
        memory = bytes((ctypes.c_uint8 * made.build.compiled.layout.size).in_dll(library, place))
        assert from_memory(made, memory) == alone(name)
    assert (
        list((ctypes.c_int8 * 2).in_dll(library, "yc"))
        == trainers()["gamma"].twin.predict(xb[-1:])[0].tolist()
    )


@pytest.mark.mcu
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4f"])
def test_on_a_core(sources: list[Path], core: str) -> None:
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    from mcugrad.emulator.cpu import Emulator

    target = targets.load(core)
    firmware = toolchain.build_firmware(
        [*sources, startup.source(startup.IDLE_MAIN)],
        target,
        opt="-O0",
        include_dirs=[sources[0].parent],
        keep=["begin", "both", "a", "b", "xa", "xb", "yc"],
    )
    emulator = Emulator(firmware.elf, target)
    assert emulator.run() == 0

    def view(symbol: str) -> np.ndarray:
        found = emulator.image.symbol(symbol)
        return emulator.view(found.address, found.bytes)

    assert emulator.call("begin") == 0
    (xa, la), (xb, lb) = data("alpha"), data("beta")
    for i in range(STEPS):
        view("xa").view(np.int8)[:] = xa[i]
        view("xb").view(np.int8)[:] = xb[i]
        assert emulator.call("both", int(la[i]), int(lb[i])) == 0
    for place, name in (("a", "alpha"), ("b", "beta")):
        assert from_memory(trainers()[name], view(place).tobytes()) == alone(name)
    assert view("yc").view(np.int8).tolist() == trainers()["gamma"].twin.predict(xb[-1:])[0].tolist()


@pytest.mark.parametrize("language", ["c", "c++"])
def test_one_source_may_include_all_headers(sources: list[Path], language: str) -> None:
    both = sources[0].parent / "both.h"
    both.write_text("".join(f'#include "{name}.h"\n' for name in (*LAYERS, "alpha")))
    toolchain.check_warnings([both], [both.parent], language=language)


def test_two_in_one_source_are_refused_by_a_message(sources: list[Path]) -> None:
    unity = sources[0].parent / "unity.c"
    unity.write_text('#include "alpha.c"\n#include "beta.c"\n')
    with pytest.raises(ToolError) as error:
        toolchain.build_shared([unity], [unity.parent], opt="-O0")
    assert "two models in one source file: compile the .c file of each by itself" in error.value.what
    unity.write_text('int before;\n#include "alpha.c"\nint after;\n')
    toolchain.build_shared([unity], [unity.parent], opt="-O0")


def test_no_name_with_a_linkage_is_another_models(sources: list[Path], tmp_path: Path) -> None:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")
    nm = shutil.which("nm")
    assert nm is not None
    for name in LAYERS:
        made = tmp_path / f"{name}.o"
        subprocess.run([gcc, "-O0", "-c", str(tmp_path / f"{name}.c"), "-o", str(made)], check=True)
        listed = subprocess.run(
            [nm, "-g", "--defined-only", str(made)], capture_output=True, text=True, check=True
        )
        names = [line.split()[-1] for line in listed.stdout.splitlines()]
        assert names
        assert all(each.startswith(f"{name}_") for each in names)
