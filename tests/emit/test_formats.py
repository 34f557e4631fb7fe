"""Formats: each is a folder whose files are known before there is a model, with the same code in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mcugrad as mg
from command_line import COMPILE, Cli
from generated import built
from mcugrad.emit import Proof
from mcugrad.emit.formats import FORMATS, USUAL
from mcugrad.emit.render import render
from networks import Dense, model, samples

DOCS = Path(__file__).parents[2] / "docs/device.md"
PROOF = Proof(0.01, 1)


@pytest.mark.parametrize("name", FORMATS)
def test_its_files_are_known_before_there_is_a_model(name: str) -> None:
    made, compiled = FORMATS[name], built("all_sr8").build.compiled
    assert list(made.files(compiled)) == made.paths("all_sr8")
    proved = made.files(replace(compiled, proof=PROOF))
    assert set(proved) == set(made.paths("all_sr8", with_selftest=True))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("network", ["all_sr8", "frozen"])
def test_its_code_is_that_of_every_format(name: str, network: str) -> None:
    compiled = replace(built(network).build.compiled, proof=PROOF)
    usual, found = FORMATS[USUAL].files(compiled), FORMATS[name].files(compiled)
    paths = [f.code_paths(network, with_selftest=True) for f in (FORMATS[USUAL], FORMATS[name])]
    assert [usual[path] for path in paths[0]] == [found[path] for path in paths[1]]
    assert usual["LICENSE"] == found["LICENSE"]


@pytest.mark.parametrize("name", FORMATS)
def test_its_readme_lists_its_files(name: str) -> None:
    made = FORMATS[name]
    readme = made.files(built("all_sr8").build.compiled)["README.md"]
    assert re.findall(r"^\| `([^`]+)` \|", readme, re.MULTILINE)[: len(made.parts) + 3] == [
        *made.code_paths("all_sr8"),
        *(part.path.format(name="all_sr8") for part in made.parts),
        "LICENSE",
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_users_are_told_of_it(name: str) -> None:
    assert f"| `{name}` |" in DOCS.read_text(encoding="utf-8")
    assert len(FORMATS[name].help) < 80


def test_nothing_is_written_before_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling writes no text, and what executes C has it written once."""
    written: list[str] = []

    def noted(template: str, context: Mapping[str, Any]) -> str:
        written.append(template)
        return render(template, context)

    monkeypatch.setattr("mcugrad.emit.code.render", noted)
    net = model((5,), (Dense(2),), name="later")
    trainer = mg.compile(net, calibration=samples(net, 32)[0])
    assert written == []
    trainer.twin.init()
    assert trainer.files() == trainer.files(delivered=True) == trainer.build.compiled.files
    assert sorted(written) == ["model.c.j2", "model.h.j2"]


def test_there_is_no_such_format(tmp_path: Path, cli: Cli) -> None:
    listed = ";  ".join(f"{name}: {made.help}" for name, made in FORMATS.items())
    with pytest.raises(mg.UsageError, match=r"^there is no format 'zip'") as error:
        built("linear").export(tmp_path / "fw", format="zip")
    assert error.value.hint == listed
    said = cli(*COMPILE, "--format", "zip", "--out", "fw")
    assert said.code == 2
    assert said.err == f"error: there is no format 'zip'\n  where  --format\n  try    {listed}\n"
    assert list(tmp_path.iterdir()) == []
