"""docs/operators.md says what the classes and the importers say."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

import mcugrad.ops
from mcugrad.abi.headers import prototypes
from mcugrad.graph import Operator
from mcugrad.importers.onnx import operators as onnx_operators
from mcugrad.importers.tflite import operators as tflite_operators
from mcugrad.ops.core.computation_f32 import ComputationF32
from mcugrad.ops.core.dequantize import Dequantize
from mcugrad.ops.registry import LEFT_OUT, OPERATORS

ROOT = Path(__file__).parents[2]


def classes() -> set[type[Operator]]:
    """Every operator that a network may consist of; float layers are other forms of these."""
    for module in pkgutil.walk_packages(mcugrad.ops.__path__, "mcugrad.ops."):
        importlib.import_module(module.name)
    pending, found = [Operator], set()
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if not kind.__abstractmethods__ and kind.__module__.startswith("mcugrad."):
            found.add(kind)
    return {kind for kind in found if not issubclass(kind, ComputationF32 | Dequantize)}


def test_every_class_is_registered_once() -> None:
    registered = [entry.operator for entry in OPERATORS]
    assert len(registered) == len(set(registered))
    assert set(registered) == classes()


def test_onnx_names_are_those_that_the_importer_reads() -> None:
    named = {name for entry in OPERATORS for name in entry.onnx} | {
        n for o, _ in LEFT_OUT.values() for n in o
    }
    assert named == set(onnx_operators.RULES)


def test_an_onnx_operator_has_its_rule_in_one_room() -> None:
    assert sum(len(room.RULES) for room in onnx_operators.ROOMS) == len(onnx_operators.RULES)


def test_tflite_names_are_those_that_the_importer_reads() -> None:
    named = {name for entry in OPERATORS for name in entry.tflite} | {
        n for _, t in LEFT_OUT.values() for n in t
    }
    assert named == {*tflite_operators.RULES, *tflite_operators.AT_THE_END}


@pytest.mark.parametrize("entry", OPERATORS, ids=lambda e: e.operator.__name__)
def test_kernels_exist_and_the_summary_is_a_sentence(entry) -> None:
    assert set(entry.kernels) <= set(prototypes())
    assert entry.summary.endswith(".")


def test_the_page_is_up_to_date(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    write_operators = importlib.import_module("write_operators")
    try:
        expected = write_operators.document()
        page = tmp_path / "operators.md"
        monkeypatch.setattr(write_operators, "DOCUMENT", page)
        for arguments, status in ((["--check"], 1), ([], 0), (["--check"], 0)):
            monkeypatch.setattr(sys, "argv", ["write_operators.py", *arguments])
            assert write_operators.main() == status
        assert page.read_text(encoding="utf-8") == expected
        assert capsys.readouterr().err.count("out of date") == 1
    finally:
        for name in ("write_operators", "bars"):
            sys.modules.pop(name, None)
    written = (ROOT / "docs/operators.md").read_text(encoding="utf-8")
    assert written == expected, "python benchmarks/write_operators.py"
