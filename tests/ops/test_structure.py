"""What operators are and how they are computed stay apart: files, imports, and how deep classes are derived."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import get_type_hints

import pytest

import mcugrad.ops
from mcugrad.graph import Operator, Precision
from mcugrad.graph.node import Node
from mcugrad.graph.spec import FORMS
from mcugrad.ops.core.beside import beside
from mcugrad.ops.core.computation import Computation, computed_by
from mcugrad.ops.life.life import ARGMAX
from mcugrad.ops.loss.loss import LossNode
from mcugrad.ops.loss.soft_cross_entropy import SoftCrossEntropy
from mcugrad.ops.registry import OPERATORS
from mcugrad.ops.selection.select import Errors
from mcugrad.passes.backward import SUMS
from test_imports import PACKAGE, ROOMS, When, of_the_package

ENDINGS = tuple(f"_{precision.value}" for precision in Precision)
DEEPEST = 4
"""Classes from the first one to the last, both included."""
FIRST = (Node, Computation)
BELOW = ROOMS[: ROOMS.index("graph") + 1]
"""Rooms that know no program."""
BY_NAME = ("getattr", "hasattr", "setattr", "attrgetter", "operator.attrgetter")
NAMES_OF_FIELDS = "graph/node.py"
"""Where names of fields become their values, and nowhere else."""


def classes() -> list[type]:
    """Of every node and computation."""
    for module in pkgutil.walk_packages(mcugrad.ops.__path__, "mcugrad.ops."):
        importlib.import_module(module.name)
    pending, found = list(FIRST), list[type]()
    while pending:
        kind = pending.pop()
        found.append(kind)
        pending += (other for other in kind.__subclasses__() if other.__module__.startswith("mcugrad."))
    return list(dict.fromkeys(found))


CLASSES = classes()
KINDS = [kind for kind in CLASSES if issubclass(kind, Operator) and not inspect.isabstract(kind)]
COMPUTED = [kind for kind in CLASSES if issubclass(kind, Computation) and not inspect.isabstract(kind)]


def chain(kind: type) -> list[type]:
    """The longest way from a class to what it is derived from in the package."""
    own = [base for base in kind.__bases__ if base.__module__.startswith("mcugrad.")]
    return [kind, *max((chain(base) for base in own), key=len, default=[])]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_no_class_is_derived_from_more_than_three_others_in_a_row(kind: type) -> None:
    found = chain(kind)
    assert len(found) <= DEEPEST, " < ".join(base.__name__ for base in found)


def test_an_operator_knows_no_program() -> None:
    """Its file imports what is below programs alone, and so does what that imports, of operators too."""
    found = of_the_package()
    of_operators = {kind.__module__.removeprefix("mcugrad.") for kind in KINDS}
    assert not [name for name in of_operators if name.endswith(ENDINGS)]
    seen, pending, wrong = set[str](), sorted(of_operators), list[str]()
    while pending:
        module = pending.pop()
        if module in seen:
            continue
        seen.add(module)
        for arrow in found:
            if arrow.source == module and arrow.when is not When.NEVER:
                room = arrow.target.split(".")[0]
                if room == "ops" and not arrow.target.endswith(ENDINGS):
                    pending.append(arrow.target)
                elif room not in BELOW:
                    wrong.append(str(arrow))
    assert not wrong, "say how it is computed in the file that ends in its precision"


def test_a_computation_lies_beside_its_operator() -> None:
    """Class and file have the names of the operator's and the ending of the precision, and are found by them."""
    for kind in COMPUTED:
        of = get_type_hints(kind)["of"]
        precision = Precision(kind.__module__.rpartition("_")[2])
        assert kind.__module__ == f"{of.__module__}_{precision.value}"
        assert kind.__name__ == f"{of.__name__}{precision.value.upper()}"
        assert computed_by(of, precision) is kind


def test_every_operator_is_computed_in_every_precision_or_folded() -> None:
    found = {entry.operator.__name__: entry.precisions for entry in OPERATORS}
    assert found.pop("BatchNorm") == ()
    assert set(found.values()) == {tuple(Precision)}


def test_a_node_that_is_named_after_a_precision_lies_in_its_file() -> None:
    for kind in CLASSES:
        for precision in Precision:
            if kind.__name__.endswith(precision.value.upper()):
                assert kind.__module__.endswith(f"_{precision.value}"), kind


def test_tables_have_a_row_for_every_precision() -> None:
    for table in (FORMS, SUMS, ARGMAX):
        assert list(table) == list(Precision)


def test_losses_and_errors_have_a_file_for_every_precision() -> None:
    kinds = [kind for kind in CLASSES if issubclass(kind, LossNode) and kind is not LossNode]
    assert len(kinds) == 3
    for kind in (*kinds, SoftCrossEntropy, Errors):
        found = [beside(kind, precision) for precision in Precision]
        assert all(inspect.isclass(one) and not inspect.isabstract(one) for one in found), kind


@pytest.mark.parametrize(
    "room", ["graph", "builders", "ops", "passes", "plan", "emit", "run", "measure", "report"]
)
def test_no_field_of_a_node_is_looked_for_by_its_name(room: str) -> None:
    """What has a field says so by its class; who asks for a name gets None from whoever calls it otherwise."""
    wrong = []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        calls = (n for n in ast.walk(ast.parse(Path(path).read_text("utf-8"))) if isinstance(n, ast.Call))
        found = [n.lineno for n in calls if ast.unparse(n.func) in BY_NAME]
        wrong += [f"{name}, line {line}" for line in found if name != NAMES_OF_FIELDS]
    assert not wrong
