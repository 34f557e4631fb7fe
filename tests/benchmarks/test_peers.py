"""Our kernels beside CMSIS-NN's, which is there only where `MCUGRAD_CMSIS_NN` says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"


@pytest.fixture
def peers(benchmark: Any) -> Any:
    return benchmark("peers")


def said(*words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "benchmarks/peers.py", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_it_has_to_be_fetched(tmp_path: Path) -> None:
    nothing = said("--json", str(tmp_path / "found.json"))
    assert nothing.returncode == 1
    assert "error: --cmsis-nn PATH says where CMSIS-NN is" in nothing.stderr
    wrong = said("--json", str(tmp_path / "found.json"), "--cmsis-nn", str(tmp_path))
    assert wrong.returncode == 1
    assert f"error: {tmp_path} holds no CMSIS-NN" in wrong.stderr


def test_factors_in_31_bits(peers: Any) -> None:
    scale = np.asarray([0.75, 1.0, 0.001, np.nextafter(np.float32(1), np.float32(0))], np.float32)
    found = peers.fixed_point(scale)
    real = found["multiplier"].astype(np.float64) * 2.0 ** (found["shift"] - 31.0)
    assert np.allclose(real, scale, rtol=2**-31)
    assert (found["multiplier"] >= 2**30).all()


def test_what_is_committed_clears_the_bars(peers: Any) -> None:
    results = json.loads((FOLDER / "results/peers.json").read_text())
    assert [str(bar) for bar in peers.bars(results) if not bar.holds] == []
    assert {case["layer"] for case in results["cases"]} == set(peers.SIDE_BY_SIDE)
    assert len(results["cmsis_nn"]) == 40
    assert max(case["apart"] for case in results["cases"]) <= peers.APART
    assert said("--check").returncode == 0


@pytest.mark.mcu
def test_both_are_counted_in_one_run(peers: Any) -> None:
    root = os.environ.get("MCUGRAD_CMSIS_NN")
    if not root:
        pytest.skip("MCUGRAD_CMSIS_NN names no checkout of CMSIS-NN")
    peers.SIDE_BY_SIDE = (peers.FC, peers.SMALL)
    for case in peers.both(Path(root), "arm-none-eabi-gcc"):
        assert case["macs"] < case["theirs"] < 4 * case["macs"]
        assert case["apart"] <= 1
