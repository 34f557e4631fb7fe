"""Every option of every verb: given alone it changes what is done or written, or it is refused."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from command_line import Cli, save
from mcugrad import api
from mcugrad import cli as command_line
from mcugrad.errors import UsageError
from mcugrad.footprint import limit
from networks import Conv, Dense, Pool, write_onnx

NET = ("net.onnx", "--data", "data.npz")
VERBS: dict[str, tuple[str, ...]] = {
    "compile": ("compile", *NET, "--no-measure"),
    "bench": ("bench", *NET, "--train", "last:1"),
    "train": ("train", *NET, "--train", "last:1", "--rate", "0.01", "--epochs", "1"),
    "run": ("run", *NET, "--train", "last:1", "--on", "reference", "--steps", "2", "--save", "r.npz"),
    "report": ("report", *NET, "--train", "last:1"),
    "advise": ("advise", *NET, "--ram", "64K"),
}
"""Verbs that compile, as a call each."""
COMPILED: dict[str, tuple[str, ...]] = {
    "data": ("--data", "other.npz"),
    "loss": ("--loss", "huber", "--data", "values.npz"),
    "name": ("--name", "reader"),
    "train": ("--train", "fc1"),
    "rule": ("--rule", "sr8"),
    "batch": ("--batch", "4"),
    "momentum": ("--momentum", "0.9"),
    "velocity_bits": ("--velocity-bits", "8", "--momentum", "0.9"),
    "weight_decay": ("--weight-decay", "0.01"),
    "clip": ("--clip", "0.1", "--momentum", "0.9"),
    "precision": ("--precision", "mixed"),
    "sparse": ("--sparse", "0.5"),
    "sparse_policy": ("--sparse", "0.5", "--sparse-policy", "topk"),
    "sparse_samples": ("--sparse-samples", "0.5"),
    "target": ("--target", "cortex-m0plus"),
    "rate": ("--rate", "0.02"),
    "seed": ("--seed", "7"),
    "calibration": ("--calibration", "3"),
    "scale": ("--scale", "2"),
    "prefer": ("--prefer", "speed"),
    "ram": ("--ram", "60000"),
    "plan": ("--plan", "exact"),
    "recompute": ("--recompute",),
    "class_names": ("--class-names", "a,b,c"),
    "features": ("--features", "none"),
    "replay_of": ("--replay-of", "latents"),
}
"""Options that a model is compiled with, by the name of their parameter; with what else each of them needs."""
IN_CODE = ("class_names", "features", "replay_of")
"""Those among them that change generated code, and what is saved with a model, alone."""
OWN: dict[str, dict[str, tuple[str, ...]]] = {
    "compile": {
        "out": ("--out", "there"),
        "measure": ("--measure",),
        "schedule": ("--schedule", "cosine", "--steps", "9"),
        "steps": ("--schedule", "cosine", "--steps", "8"),
        "format": ("--format", "arduino"),
        "selftest": ("--selftest",),
        "save": ("--save", "a.npz"),
    },
    "train": {
        "epochs": ("--epochs", "2"),
        "schedule": ("--schedule", "constant"),
        "augment": ("--augment", "noise=0.5"),
        "old": ("--old", "other.npz"),
        "replay": ("--old", "other.npz", "--replay", "4"),
        "remember": ("--old", "other.npz", "--replay", "4", "--remember"),
        "as_delivered": ("--as-delivered",),
        "inference": ("--inference",),
        "format": ("--format", "arduino"),
        "selftest": ("--selftest",),
        "out": ("--out", "there"),
        "save": ("--save", "a.npz"),
        "resume": ("--resume", "before.mcgstate"),
    },
    "run": {
        "on": ("--on", "emulator"),
        "schedule": ("--schedule", "cosine"),
        "steps": ("--steps", "3"),
        "save": ("--save", "a.npz"),
    },
    "inspect": {
        "target": ("--target", "nrf52840"),
        "name": ("--name", "reader"),
        "picture": ("--picture", "a.svg"),
    },
}
"""Options of their own, tried to the end."""
ELSEWHERE = {
    "compile": {"resume"},
    "bench": {"samples"},
    "run": {"resume"},
    "report": {"epochs", "steps", "out", "format", "resume", "save"},
    "advise": {"target", "ram", "flash", "milliseconds", "epochs", "picture", "thorough"},
    "demo": {"out", "steps", "picture"},
    "doctor": set[str](),
    "inspect": set[str](),
    "train": set[str](),
}
"""What other tests try to the end, as it takes long: of each verb its own file, of the others test_cli_state.py."""


def options_of(verb: str) -> set[str]:
    """Names of all options of a verb, but for `--json` and what is no option."""
    commands = typer.main.get_command(command_line.app).commands  # type: ignore[attr-defined]
    return {str(p.name) for p in commands[verb].params if p.param_type_name == "option"} - {"json", "help"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    write_onnx(tmp_path / "net.onnx", (1, 8, 8), (Conv(4, (3, 3)), Pool(), Dense(3)))
    for name, shift in (("data", 0), ("other", 1)):
        x = random.standard_normal((32, 8, 8, 1)).astype(np.float32) + np.float32(shift)
        held_out = {"x_test": x[:8], "y_test": np.arange(8) % 3}
        save(tmp_path / f"{name}.npz", x, np.arange(32) % 3, **held_out)
    save(tmp_path / "values.npz", x, random.standard_normal((32, 3)).astype(np.float32))
    return tmp_path


def test_no_option_is_left_out() -> None:
    for verb in ("compile", "bench", "train", "run", "report", "advise", "inspect", "demo", "doctor"):
        known = {*OWN.get(verb, {}), *ELSEWHERE.get(verb, ()), *(COMPILED if verb in VERBS else ())}
        assert options_of(verb) <= known, (verb, options_of(verb) - known)


def asked(verb: str, arguments: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `compile` is asked for by a call, or its exit code and the message where it is refused before."""
    found: list[Any] = []

    def stop(model: Any, **options: Any) -> None:
        arrays = {k: (v.shape, v.sum()) if isinstance(v, np.ndarray) else str(v) for k, v in options.items()}
        found.append((model.name, arrays))
        raise UsageError("enough is known")

    with monkeypatch.context() as patched:
        for module in (api, __import__("mcugrad.choosing", fromlist=["choosing"])):
            patched.setattr(module, "compile" if module is api else "compile_model", stop)
        result = cli(*VERBS[verb], *arguments)
    return found[0] if found else (result.code, result.err)


@pytest.mark.parametrize("verb", VERBS)
def test_options_of_what_is_compiled(
    cli: Cli, folder: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reaches `compile`, and nothing else does; or it is said to be of no use."""
    monkeypatch.setitem(VERBS, "run", VERBS["run"][:-2])
    usual = asked(verb, (), cli, monkeypatch)
    assert isinstance(usual[0], str), usual
    for name in sorted((options_of(verb) & COMPILED.keys()) - ELSEWHERE.get(verb, set())):
        given = COMPILED[name]
        if verb == "compile" and name == "replay_of":
            given = (*given, "--train", "last:1")
        found = asked(verb, given, cli, monkeypatch)
        if name == "target" and verb == "report":
            assert found != asked(verb, ("--target", "cortex-m4f"), cli, monkeypatch)
        elif verb in ("train", "run") and name in IN_CODE:
            code, said = found
            option = given[0]
            assert code == 2
            assert "has no effect" in said
            assert option in said
            assert "  try    " in said
        else:
            assert isinstance(found[0], str), (verb, name, found)
            assert found != usual, (verb, name)
    written = {"train": ("--out", "there"), "run": ("--save", "a.mcgstate")}
    if verb in written:
        for name in IN_CODE:
            assert isinstance(asked(verb, (*COMPILED[name], *written[verb]), cli, monkeypatch)[0], str)


def outcome(result: Any, folder: Path) -> Any:
    """All that a call has said and written."""
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    return result.code, result.out, files


@pytest.mark.parametrize("verb", OWN)
@pytest.mark.mcu
def test_own_options_change_something_or_are_refused(cli: Cli, folder: Path, verb: str) -> None:
    whole = VERBS.get(verb, (verb, "net.onnx"))
    if verb == "train":
        assert cli(*whole, "--save", "before.mcgstate").code == 0
    usual = outcome(cli(*whole), folder)
    assert usual[0] == 0
    for name, given in OWN[verb].items():
        for path in ("firmware", "there"):
            shutil.rmtree(folder / path, ignore_errors=True)
        result = cli(*whole, *given)
        if result.code == 0:
            assert outcome(result, folder) != usual, name
        else:
            assert result.code == 2
            assert "effect" in result.err
            assert given[0] in result.err


TRAINING = (
    "rule",
    "batch",
    "momentum",
    "weight_decay",
    "clip",
    "sparse",
    "sparse_samples",
    "rate",
    "recompute",
)


@pytest.mark.parametrize("name", [*TRAINING, "replay_of", "features"])
def test_options_of_a_training_where_there_is_none(cli: Cli, folder: Path, name: str) -> None:
    given = ("--features", "replay") if name == "features" else COMPILED[name]
    result = cli("compile", *NET, "--no-measure", "--train", "none", *given)
    assert result.code == 2
    assert "nothing trains" in result.err
    assert given[0] in result.err
    assert "  try    " in result.err


def test_latents_need_a_buffer_that_holds_them(cli: Cli, folder: Path) -> None:
    """Firmware without replay has none, and arrays alone are no model."""
    latents = (*NET, "--train", "last:1", "--replay-of", "latents")
    for verb, more in (
        (("compile",), ("--features", "guard")),
        (("report",), ("--features", "none")),
        (("run",), ("--save", "a.npz")),
        (("train",), ("--save", "a.npz")),
        (("train",), ("--out", "there", "--inference")),
    ):
        result = cli(*verb, *latents, *more)
        assert (result.code, result.out) == (2, "")
        assert "no samples are stored, so that --replay-of latents has no effect" in result.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--ram", "0"), "--ram 0 is no number of bytes"),
        (("--ram", "-5"), "--ram -5 is no number of bytes"),
        (("--ram", "abc"), "--ram abc is no number of bytes"),
        (("--ram", "1e3"), "--ram 1e3 is no number of bytes"),
        (("--ram", "64KiBs"), "--ram 64KiBs is no number of bytes"),
        (("--ram", "0.3"), "--ram 0.3 is no number of bytes"),
        (("--ram", "1M", "--target", "nrf52840"), "--ram 1M is more than the 256.0 KiB that nrf52840 has"),
        (("--ram", "8K", "--prefer", "ram"), "--ram says how much all may take; with --prefer ram"),
        (("--recompute", "--train", "none"), "nothing trains, so that --recompute has no effect"),
        (("--plan", "best"), "--plan best is no way to look for places"),
        (("--prefer", "size"), "--prefer size is no way to spend memory"),
    ],
)
def test_contradictions_are_wrong_use(cli: Cli, folder: Path, options: tuple[str, ...], said: str) -> None:
    result = cli(*VERBS["compile"], *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {said}")
    assert "  try    " in result.err


@pytest.mark.parametrize("given", [("--ram", "1M"), ("--flash", "2M")])
def test_advice_is_not_asked_for_more_than_there_is(cli: Cli, folder: Path, given: tuple[str, str]) -> None:
    result = cli("advise", *NET, "--target", "nrf52840", *given)
    assert (result.code, result.err.startswith(f"error: {' '.join(given)} is more than the ")) == (2, True)


@pytest.mark.parametrize("size", ["65536", "64K", "64KiB", "64 KiB", "64kB", "0.0625M", "65536B"])
def test_sizes_as_people_write_them(size: str) -> None:
    assert limit("ram", size, None) == 65536


def test_a_size_is_a_limit(cli: Cli, folder: Path) -> None:
    ram = [
        cli(*VERBS["compile"], "--ram", size, "--prefer", "speed", "--json").facts["ram_bytes"]
        for size in ("64 KiB", "65536")
    ]
    assert ram[0] == ram[1]
    assert cli(*VERBS["compile"], "--ram", "4096B").code == 1


def test_a_solver_that_is_not_there(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    monkeypatch.setitem(sys.modules, "ortools.sat.python.cp_model", None)
    result = cli(*VERBS["compile"], "--plan", "exact")
    assert result.code == 2
    assert result.err.startswith("error: --plan exact")
    assert "pip install" in result.err


def test_noise_is_divided_by_nothing(cli: Cli, folder: Path) -> None:
    result = cli("bench", "net.onnx", "--scale", "2")
    assert result.code == 2
    assert "--scale has no effect" in result.err
