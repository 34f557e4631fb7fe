"""The processor that the host twin is built for: this one with all its instructions, or any of its kind.

`MCUGRAD_HOST_CPU=baseline` builds a twin that runs on every x86-64 or 64-bit Arm processor, with the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np

from mcugrad.errors import UsageError

VARIABLE = "MCUGRAD_HOST_CPU"
_CHOICES = ("native", "baseline")
_FACTS = re.compile(
    r"^(vendor_id|cpu family|model|flags|Features|CPU implementer|CPU architecture|CPU variant|CPU part|isa)\s*:(.*)$",
    re.MULTILINE,
)
_SAME = {  # what Linux calls a feature, and NumPy
    "sse4_2": "SSE42",
    "popcnt": "POPCNT",
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA3",
    "f16c": "F16C",
    "avx512f": "AVX512F",
    "asimddp": "ASIMDDP",
    "asimdhp": "ASIMDHP",
}
_GCC_BASELINE = {"x86_64": "-march=x86-64", "amd64": "-march=x86-64", "aarch64": "-march=armv8-a"}


def is_native() -> bool:
    """Whether to build for this very processor, as `MCUGRAD_HOST_CPU` says or does not say.

    Where this process is emulated, and its processor lacks what the computer has, the answer is no: a compiler that it
    starts looks at the computer.

    Raises:
        UsageError: the variable holds neither `native` nor `baseline`.
    """
    choice = os.environ.get(VARIABLE) or "native"
    if choice not in _CHOICES:
        raise UsageError(
            f"{VARIABLE} is {choice!r}",
            where="environment",
            hint="native, baseline, or leave it unset: native",
        )
    return choice == "native" and not _lacking()


def describe() -> str:
    """What the twin is built for, in words, for `doctor`. Raises UsageError."""
    if is_native():
        return "native: all instructions of this processor"
    if _lacking():
        return f"baseline: this process is emulated, without {', '.join(_lacking())}"
    return f"baseline: any {platform.machine()} processor"


def gcc_baseline() -> list[str]:
    """GCC's flags for any processor of this kind."""
    flag = _GCC_BASELINE.get(platform.machine().lower())
    return [flag] if flag else []


@cache
def identity() -> str:
    """A hash of the processor's features: what was built for one runs on another that has the same."""
    facts = [sys.platform, platform.machine(), *_described()]
    facts += sorted(name for name, there in _numpy_features().items() if there)
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _described() -> list[str]:
    """What the operating system says of the processor; the computer's name where it says nothing."""
    text = _cpuinfo()
    if text:
        facts = {(name, " ".join(sorted(value.split()))) for name, value in _FACTS.findall(text)}
        if facts:
            return [f"{name}: {value}" for name, value in sorted(facts)]
    if sys.platform == "darwin":
        command = ["sysctl", "hw.optional", "machdep.cpu"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.SubprocessError):
            done = None
        if done is not None and done.stdout:
            return sorted(done.stdout.splitlines())
    return [platform.node(), platform.processor()]


def _cpuinfo() -> str:
    """Linux's description of the processors; empty elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _numpy_features() -> dict[str, bool]:
    """What NumPy has found out by asking the processor itself; empty if it does not say."""
    core = getattr(getattr(np, "_core", None), "_multiarray_umath", None)
    return dict(getattr(core, "__cpu_features__", {}))


@cache
def _lacking() -> tuple[str, ...]:
    """Features that the computer has and this process has not: it runs on another, emulated processor."""
    found = _numpy_features()
    there = {word for name, value in _FACTS.findall(_cpuinfo()) for word in value.split()}
    return tuple(linux for linux, name in _SAME.items() if linux in there and found.get(name) is False)
