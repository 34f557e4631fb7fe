"""The processor: a build is for what it can, and for any where that is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import Cli
from mcugrad import toolchain
from mcugrad.errors import UsageError
from mcugrad.toolchain import compilers, processor

CPUINFO = """processor : 0
vendor_id : GenuineIntel
cpu family : 6
model : {model}
cpu MHz : {mhz}
flags : {flags}
"""


def identity(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    monkeypatch.setattr(processor, "_cpuinfo", lambda: text)
    processor.identity.cache_clear()
    try:
        return processor.identity()
    finally:
        processor.identity.cache_clear()


def test_builds_are_keyed_by_what_the_processor_can(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(flags: str, model: int = 1, mhz: int = 2) -> str:
        return identity(monkeypatch, CPUINFO.format(flags=flags, model=model, mhz=mhz))

    base = of("sse2 avx2")
    assert of("avx2 sse2", mhz=3) == base
    assert base not in (of("sse2"), of("sse2 avx2", model=2))
    monkeypatch.setattr("platform.node", lambda: "another")
    assert of("sse2 avx2") == base, "the computer's name says nothing"
    monkeypatch.setattr(processor.sys, "platform", "unknown")
    nameless = identity(monkeypatch, "")
    monkeypatch.setattr("platform.node", lambda: "a third")
    assert identity(monkeypatch, "") != nameless, "but where nothing else is known"


def test_a_library_for_any_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    (tmp_path / "f.c").write_text("int f(int a);\nint f(int a) { return a * 3; }\n")
    monkeypatch.setenv("MCUGRAD_HOST_CPU", "baseline")
    paths = {toolchain.build_shared([tmp_path / "f.c"], native=native) for native in (True, False)}
    assert len(paths) == 1
    monkeypatch.setattr(compilers, "_PACKAGES", ())
    assert "baseline: any" in cli("doctor").out
    assert cli("doctor", "--json").facts["host_cpu"].startswith("baseline")
    for usual in ("native", ""):
        monkeypatch.setenv("MCUGRAD_HOST_CPU", usual)
        assert toolchain.build_shared([tmp_path / "f.c"]) not in paths
    monkeypatch.setenv("MCUGRAD_HOST_CPU", "haswell")
    with pytest.raises(UsageError, match="MCUGRAD_HOST_CPU is 'haswell'") as caught:
        toolchain.build_shared([tmp_path / "f.c"])
    assert "baseline" in caught.value.hint


LOOP = """
void scale(float *x, int n);
void scale(float *x, int n) { for (int i = 0; i < n; i++) x[i] = x[i] * 3.0f + 1.0f; }
"""


def test_a_processor_gets_what_it_can_run(tmp_path: Path) -> None:
    """AVX2 where it is there and asked for; an emulated processor without it, and any processor, the portable body."""
    (tmp_path / "f.c").write_text(LOOP)
    probe = Path(__file__).parents[1] / "kernels/probe_simd.c"
    code = (
        "import ctypes; from pathlib import Path; from mcugrad import toolchain;"
        "from mcugrad.emit.amalgamate import RUNTIME; from mcugrad.toolchain import processor;"
        f"path = toolchain.build_shared([Path({str(tmp_path / 'f.c')!r})]);"
        "x = (ctypes.c_float * 64)(*range(64)); ctypes.CDLL(str(path)).scale(x, 64);"
        f"path = toolchain.build_shared([Path({str(probe)!r})], [RUNTIME / 'include']);"
        "has = processor.is_native() and processor._numpy_features().get('AVX2', False);"
        "print(int(sum(x)), ctypes.CDLL(str(path)).probe_body(), 2 * has)"
    )
    # NumPy's BLAS must not be told to run what the emulated processor does not have.
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    emulators = [["qemu-x86_64", "-cpu", "Nehalem"]] if shutil.which("qemu-x86_64") else []
    found = []
    for emulator, choice in [([], "native"), ([], "baseline"), *((one, "native") for one in emulators)]:
        done = subprocess.run(
            [*emulator, sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            env={**environment, "MCUGRAD_HOST_CPU": choice},
        )
        assert done.returncode == 0, done.stderr
        found.append([int(word) for word in done.stdout.split()])
    assert all((total, taken) == (6112, expected) for total, taken, expected in found)
    assert all(expected == 0 for _, _, expected in found[1:])
