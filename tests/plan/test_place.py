"""Places: the lowest free offset, by the definition, and whichever way blocks are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcugrad.plan import place
from mcugrad.plan.lifetimes import Lifetime
from mcugrad.plan.place import Unit, aligned, placed, placed_within

Drawn = tuple[int, int, int]


def units_of(rows: list[list[tuple[Drawn, int]]]) -> list[Unit]:
    """Of (size, first call, calls) and words from the lowest of a row on."""
    return [
        Unit(
            tuple(
                (Lifetime(f"b{i}.{j}", size, first, first + calls), 4 * at if j else 0)
                for j, ((size, first, calls), at) in enumerate(row)
            )
        )
        for i, row in enumerate(rows)
    ]


BUFFERS = st.tuples(st.integers(0, 60), st.integers(0, 12), st.integers(0, 8))
UNITS = st.lists(
    st.lists(st.tuples(BUFFERS, st.integers(0, 12)), min_size=1, max_size=3), min_size=1, max_size=14
).map(units_of)


def by_definition(units: list[Unit]) -> dict[str, int]:
    """The first word at which no member of a unit meets a buffer that is needed when it is."""
    found: dict[str, int] = {}
    known: dict[str, Lifetime] = {}
    for unit in units:
        base = 0
        while any(
            life.first <= other.last
            and other.first <= life.last
            and base + at < found[name] + aligned(other.size)
            and found[name] < base + at + aligned(life.size)
            for life, at in unit.members
            for name, other in known.items()
        ):
            base += 4
        known |= {life.name: life for life, _ in unit.members}
        found |= {life.name: base + at for life, at in unit.members}
    return found


@given(UNITS.filter(lambda units: all(life.size for unit in units for life, _ in unit.members)))
def test_each_lies_as_low_as_it_can(units: list[Unit]) -> None:
    assert placed(units) == by_definition(units)


@given(UNITS, st.integers(0, 400))
def test_few_lie_where_many_do(units: list[Unit], most: int) -> None:
    few = placed(units), placed_within(units, most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, "FEW", 0)
        assert (placed(units), placed_within(units, most)) == few
    ends = [few[0][life.name] - at + unit.size for unit in units for life, at in unit.members]
    assert few[1] == (few[0] if max(ends) <= most else None)
