"""A plan that the verifier rejects: said as a defect of mcugrad, with a file that shows it in another process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad import pipeline
from mcugrad.plan import Planned
from mcugrad.state import defect
from networks import Conv, Dense, Pool, model, samples, write_onnx

LAYERS = (Conv(4, (3, 3)), Pool(), Dense(3))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    usual: Callable[..., Planned] = pipeline.spent

    def spent(*given: Any) -> Planned:
        program, plan = usual(*given)
        return program, replace(plan, offsets=dict.fromkeys(plan.offsets, 0))

    monkeypatch.setattr(pipeline, "spent", spent)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def again(capsys: pytest.CaptureFixture[str], *files: Path) -> tuple[int, str, str]:
    """What is said of a file: exit code, stdout, stderr."""
    capsys.readouterr()
    return defect.main([*map(str, files)]), *capsys.readouterr()


def test_a_rejected_plan_is_a_defect_that_can_be_shown(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here with the planner that is broken, and in another process, where it is as it should be."""
    net = model((1, 8, 8), LAYERS)
    with pytest.raises(mg.DefectError) as error:
        mg.compile(net, calibration=samples(net, 8)[0], rule="sr12", prefer="speed", train="last:1")
    told = error.value
    assert told.exit_code == 3
    touched = r"call \d+ of \w+, mcg_\w+ of \w+, touches \w+, but \w+ has overwritten a part of it"
    found = re.fullmatch(rf"the plan of the working memory is wrong: ({touched})", told.what)
    assert found is not None
    file = broken / "net.mcgdefect"
    assert told.where == f"{file.name}: the network with its weights, options and ranges; no samples"
    assert "report it" in told.hint
    assert "python -m mcugrad.state.defect net.mcgdefect" in told.hint
    code, out, _ = again(capsys, file)
    assert code == 3
    assert out.splitlines() == [f"the plan in the file: {found[1]}", f"planned anew: {found[1]}"]
    command = [sys.executable, "-m", "mcugrad.state.defect", file.name]
    sound = subprocess.run(command, capture_output=True, text=True, check=False)
    assert sound.returncode == 0, sound.stderr
    assert sound.stdout.splitlines() == [f"the plan in the file: {found[1]}", "planned anew: sound"]


def test_of_inference(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    net = model((1, 8, 8), LAYERS)
    trainer = mg.compile(net, calibration=samples(net, 8)[0])
    usual = pipeline.spent

    def spent(*given: Any) -> Planned:
        program, plan = usual(*given)
        return program, replace(plan, size=8)

    monkeypatch.setattr(pipeline, "spent", spent)
    with pytest.raises(mg.DefectError, match="is outside 8 bytes or misaligned"):
        trainer.inference()
    monkeypatch.undo()
    code, out, _ = again(capsys, tmp_path / "net.mcgdefect")
    assert code == 0
    assert re.search(r"^the plan in the file: .* is outside 8 bytes or misaligned\nplanned anew: sound", out)


def test_weights_that_lie_in_other_files_are_asked_for(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnx

    path = write_onnx(broken / "net.onnx", (1, 8, 8), LAYERS)
    onnx.save(
        onnx.load(path), broken / "apart.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    net = mg.load(broken / "apart.onnx")
    with pytest.raises(mg.DefectError) as error:
        mg.compile(net, calibration=samples(net, 8)[0])
    assert error.value.where == "apart.mcgdefect: options and ranges; neither the network nor samples"
    assert again(capsys, broken / "apart.mcgdefect", broken / "apart.onnx")[0] == 3
    code, _, said = again(capsys, broken / "apart.mcgdefect")
    assert code == 2
    assert "the network is not in the file" in said


def test_a_folder_that_cannot_be_written(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it lies where temporary files do, or nowhere; the error is told in any case."""
    net = model((1, 8, 8), LAYERS)
    other = broken / "temporary"
    other.mkdir()
    monkeypatch.setattr(defect, "places", lambda: [broken / "none.onnx" / "below", other])
    (broken / "none.onnx").write_text("a file")
    with pytest.raises(mg.DefectError) as error:
        mg.compile(net, calibration=samples(net, 8)[0])
    assert error.value.where.startswith(f"{other / 'net.mcgdefect'}: ")
    monkeypatch.setattr(defect, "places", lambda: [broken / "none.onnx" / "below"])
    with pytest.raises(mg.DefectError) as error:
        mg.compile(net, calibration=samples(net, 8)[0])
    assert "could not be written" in error.value.where


def test_on_the_command_line(cli: Cli, broken: Path) -> None:
    write_onnx(broken / "net.onnx", (1, 8, 8), LAYERS)
    x = np.random.default_rng(0).standard_normal((16, 8, 8, 1)).astype(np.float32)
    data = save(broken / "data.npz", x, np.arange(16) % 3)
    result = cli("compile", "net.onnx", "--data", data, "--no-measure")
    assert result.code == 3
    assert result.err.startswith("error: the plan of the working memory is wrong: ")
    assert "  where  net.mcgdefect: " in result.err
    facts = cli("compile", "net.onnx", "--data", data, "--no-measure", "--json").facts
    assert (facts["kind"], facts["exit_code"]) == ("DefectError", 3)


@pytest.mark.parametrize("content", [b"", b"MCGDEFECT1\n", b"MCGDEFECT1\n\xff\xff\x00\x00{}", b"hello"])
def test_files_that_are_none(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.mcgdefect"
    path.write_bytes(content)
    assert defect.main([str(path)]) == 2
    assert "x.mcgdefect" in capsys.readouterr().err
    assert defect.main([str(tmp_path / "missing")]) == 2
    assert defect.main([]) == 2


def test_a_damaged_file_is_said_to_be_one(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = model((1, 8, 8), LAYERS)
    with pytest.raises(mg.DefectError):
        mg.compile(net, calibration=samples(net, 8)[0])
    path = broken / f"{net.name}.mcgdefect"
    whole = path.read_bytes()
    for at in range(0, len(whole), 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert defect.main([str(path)]) == 2
        path.write_bytes(whole[:at])
        assert defect.main([str(path)]) == 2
    assert "it is damaged" in capsys.readouterr().err
