"""Stages of the way from a network to a program that learns: what each relies on, what it does, what it leaves behind.

A `Property` is what can be said of a graph or a program between stages. `through` runs stages one after the other;
where `checked` is on, as in every test, the rules of graph/spec.py or program/spec.py and the properties are looked at
after each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mcugrad.builders.node import BackwardNode
from mcugrad.graph import Graph, Operator
from mcugrad.graph import spec as graph_spec
from mcugrad.graph.spec import IllegalGraphError
from mcugrad.program import Program
from mcugrad.program import spec as program_spec
from mcugrad.program.spec import IllegalProgramError

Form = TypeVar("Form", Graph, Program)


@dataclass(frozen=True)
class Property(Generic[Form]):
    """What a graph or a program is like.

    Attributes:
        text: a sentence.
        broken: where it does not hold.
    """

    text: str
    broken: Callable[[Form], Iterator[str]]


@dataclass(frozen=True)
class Stage(Generic[Form]):
    """One pass on the way.

    Attributes:
        name: of what is done, in a word or two.
        run: the pass; the second argument is what the user wants.
        requires: what it relies on.
        ensures: what holds afterwards.
    """

    name: str
    run: Callable[[Form, Any], Form]
    requires: tuple[Property[Form], ...] = ()
    ensures: tuple[Property[Form], ...] = ()


_checks = False


@contextmanager
def checked() -> Iterator[None]:
    """Look at what is between two stages, as tests do: it takes about as long as the stages themselves."""
    global _checks  # noqa: PLW0603
    before, _checks = _checks, True
    try:
        yield
    finally:
        _checks = before


def through(stages: Sequence[Stage[Form]], form: Form, wanted: Any) -> Form:
    """A graph or a program after some stages.

    Raises what they raise; IllegalGraphError or IllegalProgramError where checks are on and one has a bug.
    """
    for stage in stages:
        if _checks:
            _demand(form, stage.requires, f"before {stage.name}")
        form = stage.run(form, wanted)
        looked_at(form)
        if _checks:
            _demand(form, stage.ensures, f"after {stage.name}")
    return form


def looked_at(form: Form) -> Form:
    """The same graph or program. Raises IllegalGraphError or IllegalProgramError where checks are on and it is none."""
    if _checks:
        _check(form)
    return form


def _check(form: Graph | Program) -> None:
    if isinstance(form, Graph):
        graph_spec.check(form)
    else:
        program_spec.check(form)


def _demand(form: Form, properties: Sequence[Property[Form]], when: str) -> None:
    found: list[str] = [f"  {each.text}: {where}" for each in properties for where in each.broken(form)]
    if found:
        _refuse(form, [f"{form.name}, {when}, is not what stages have agreed on:", *found])


def _refuse(form: Graph | Program, lines: list[str]) -> None:
    kind = IllegalGraphError if isinstance(form, Graph) else IllegalProgramError
    raise kind("\n".join(lines))


# -- what can be said of a graph -----------------------------------------------------------------------------------


def _no_operators(graph: Graph) -> Iterator[str]:
    yield from (n.name for n in graph.nodes if not isinstance(n, Operator))


def _without_precision(graph: Graph) -> Iterator[str]:
    yield from (n.name for n in graph.nodes if isinstance(n, Operator) and n.precision is None)


def _without_form(graph: Graph) -> Iterator[str]:
    activations = (graph.input, *(n.y for n in graph.nodes if isinstance(n, Operator)))
    yield from (name for name in activations if graph[name].quant is None)


def _without_update(graph: Graph) -> Iterator[str]:
    updated = {
        name for n in graph.nodes if isinstance(n, BackwardNode) and n.CHANGES_STATE for name in n.inputs
    }
    yield from (name for name, t in graph.tensors.items() if t.trainable and name not in updated)


def _without_use(graph: Graph) -> Iterator[str]:
    needed = {graph.output}
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs) or (isinstance(node, BackwardNode) and node.CHANGES_STATE):
            needed.update(node.inputs)
        else:
            yield node.name


FOLDED = Property("every node is an operator that has a kernel", _no_operators)
ASSIGNED = Property("every operator says what it computes in", _without_precision)
QUANTIZED = Property("every activation has the form in which it is computed", _without_form)
COMPLETE = Property("what trains is updated", _without_update)
NEEDED = Property("every node serves the output or an update", _without_use)
