"""The changes that benchmarks/mutants.py makes: always the same, each named by what it does, and one at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = '''
"""Nothing here changes."""
import math
LIMIT: int = 3

def bounded(a: int, b: float = 0.5) -> int:
    """Not this."""
    assert a != 7
    if not a and b < 2 <= a:
        raise ValueError("1 + 1")
    a += 1
    total[a] = a
    return f"{a + 1}" if a else a << True
'''
CHANGES = """
module: LIMIT: int = 3 -> LIMIT: int = 4
module: LIMIT: int = 3 -> LIMIT: int = 2
bounded: def bounded(a: int, b: float=0.5) -> int: -> def bounded(a: int, b: float=1.5) -> int:
bounded: def bounded(a: int, b: float=0.5) -> int: -> def bounded(a: int, b: float=0.53125) -> int:
bounded: if not a and b < 2 <= a: -> if not a or b < 2 <= a:
bounded: if not a and b < 2 <= a: -> if not not a and b < 2 <= a:
bounded: if not a and b < 2 <= a: -> if not a and b <= 2 <= a:
bounded: if not a and b < 2 <= a: -> if not a and b >= 2 <= a:
bounded: if not a and b < 2 <= a: -> if not a and b < 2 < a:
bounded: if not a and b < 2 <= a: -> if not a and b < 2 > a:
bounded: if not a and b < 2 <= a: -> if not a and b < 3 <= a:
bounded: if not a and b < 2 <= a: -> if not a and b < 1 <= a:
bounded: raise ValueError('1 + 1') -> pass
bounded: a += 1 -> pass
bounded: a += 1 -> a -= 1
bounded: a += 1 -> a += 2
bounded: a += 1 -> a += 0
bounded: total[a] = a -> pass
bounded: return f'{a + 1}' if a else a << True -> return f'{a + 1}' if not a else a << True
bounded: return f'{a + 1}' if a else a << True -> return f'{a + 1}' if a else a >> True
bounded: return f'{a + 1}' if a else a << True -> return f'{a + 1}' if a else a << False
"""
C = """
int32_t low(int32_t a)
{
    return a < 3 ? a : 3; /* a > b */
}

static bool {{ name }}_near(const float *x, float y)
{
    return p->x - y >= 1.0F && {{ "a < b" }};
}
"""


@pytest.fixture
def mutations(benchmark: Any) -> Any:
    """benchmarks/mutations.py."""
    return benchmark("mutations")


@pytest.fixture
def mutants(benchmark: Any) -> Any:
    """benchmarks/mutants.py."""
    return benchmark("mutants")


def test_changes_of_python(mutations: Any) -> None:
    found = list(mutations.of_python(PYTHON))
    assert [m.name for m in found] == CHANGES.strip().splitlines()
    texts = {m.text for m in found}
    assert len(texts) == len(found)
    assert found == list(mutations.of_python(PYTHON))
    for m in found:
        compile(m.text, "mutant", "exec")


def test_changes_of_c(mutations: Any) -> None:
    found = [m.name for m in mutations.of_c(C, "low|near")]
    assert found == [
        "low: return a < 3 ? a : 3; /* a > b */ -> return a <= 3 ? a : 3; /* a > b */",
        "low: return a < 3 ? a : 3; /* a > b */ -> return a >= 3 ? a : 3; /* a > b */",
        '{{ name }}_near: return p->x - y >= 1.0F && {{ "a < b" }}; -> return p->x - y > 1.0F && {{ "a < b" }};',
        '{{ name }}_near: return p->x - y >= 1.0F && {{ "a < b" }}; -> return p->x - y < 1.0F && {{ "a < b" }};',
        '{{ name }}_near: return p->x - y >= 1.0F && {{ "a < b" }}; -> return p->x - y >= 1.0F || {{ "a < b" }};',
        '{{ name }}_near: return p->x - y >= 1.0F && {{ "a < b" }}; -> return p->x + y >= 1.0F && {{ "a < b" }};',
    ]
    assert [m.name for m in mutations.of_c(C, "low")] == found[:2]


def test_what_is_broken_is_where_it_is_said_to_be(mutants: Any) -> None:
    """Files move, functions and statements change: a mutant that is no more says nothing of the tests."""
    known = mutants.equivalent()
    tried = json.loads((ROOT / "benchmarks/results/mutants.json").read_text(encoding="utf-8"))["files"]
    assert {s.path for s in mutants.SUBJECTS} - tried.keys() == mutants.UNTRIED
    assert known.keys() <= {subject.path for subject in mutants.SUBJECTS}
    for subject in mutants.SUBJECTS:
        text = (ROOT / "src/mcugrad" / subject.path).read_text(encoding="utf-8")
        names = {mutation.name for mutation in subject.mutations(text)}
        assert names, f"{subject.path} has nothing to break"
        files = [test.split("::")[0] for test in subject.tests if test.startswith("tests/")]
        assert files, f"nothing tests {subject.path}"
        assert all((ROOT / file).is_file() for file in files), subject.path
        # What has changed since the file was broken last is taken off the list by the next run.
        gone = (
            known.get(subject.path, {}).keys() - names - {*tried.get(subject.path, {}).get("survivors", ())}
        )
        assert not gone, f"{subject.path}: benchmarks/equivalent.toml lists what is no mutant of it"
