"""Exact: a smaller plan than the greedy ones, or the proof that there is none, by Google's CP-SAT solver.

Buffers are rectangles, calls by bytes, of which no two overlap; only their places are free. Where a kernel allows it,
what is written may begin a fixed distance from what is read in the same call, over it.

The solver begins with the greedy plan, has one worker, one seed and no floats, and stops after a number of its own
steps, never by the clock: the same program gets the same plan on every computer with the same series of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcugrad.errors import UsageError
from mcugrad.plan.lifetimes import Lifetime
from mcugrad.plan.place import ALIGNMENT, Unit, aligned, placed
from mcugrad.plan.sharing import Share

EFFORT = 0.5
"""Seconds of a computer that does not exist, which is how the solver counts its steps."""


def place_exactly(
    lives: Sequence[Lifetime],
    pairs: Mapping[str, Sequence[Share]],
    offsets: Mapping[str, int],
    size: int,
    least: int,
    *,
    effort: float = EFFORT,
) -> tuple[Mapping[str, int], bool]:
    """Places that take less, the given ones if none are found, and whether it is proven that none take less than these.

    Args:
        lives: of all buffers.
        pairs: by buffer those in whose place it may be.
        offsets: of a plan that is right.
        size: bytes that it takes.
        least: bytes that no plan can do without.
        effort: after which the solver stops.

    Raises:
        UsageError: the solver is not installed.
    """
    cp = solver()
    model = cp.CpModel()
    top = model.new_int_var(least // ALIGNMENT, size // ALIGNMENT, "")
    sizes = {life.name: aligned(life.size) // ALIGNMENT for life in lives}
    at = {life.name: model.new_int_var(0, size // ALIGNMENT, "") for life in lives}
    for name, place in at.items():
        model.add(place + sizes[name] <= top)
        model.add_hint(place, offsets[name] // ALIGNMENT)
    over: dict[tuple[str, str], list[Any]] = {}
    for new, shares in pairs.items():
        for share in shares:
            shared = model.new_bool_var("")
            model.add(at[new] == at[share.old] - share.lead // ALIGNMENT).only_enforce_if(shared)
            model.add_hint(shared, offsets[new] == offsets[share.old] - share.lead)
            over.setdefault((share.old, new), []).append(shared)
    spans = _spans(lives, pairs)
    wide = {name: span for name, span in spans.items() if span[0] < span[1]}
    model.add_no_overlap_2d(
        [model.new_fixed_size_interval_var(begin, end - begin, "") for begin, end in wide.values()],
        [model.new_fixed_size_interval_var(at[name], sizes[name], "") for name in wide],
    )
    for one, other in _hidden(lives, spans):
        below, above = model.new_bool_var(""), model.new_bool_var("")
        model.add(at[one] + sizes[one] <= at[other]).only_enforce_if(below)
        model.add(at[other] + sizes[other] <= at[one]).only_enforce_if(above)
        model.add_bool_or([below, above, *over.get((one, other), []), *over.get((other, one), [])])
    model.minimize(top)
    run = cp.CpSolver()
    run.parameters.num_workers = 1
    run.parameters.random_seed = 0
    run.parameters.linearization_level = 0
    run.parameters.max_deterministic_time = effort
    status = run.solve(model)
    if status not in (cp.OPTIMAL, cp.FEASIBLE):
        return offsets, False
    proven = status == cp.OPTIMAL
    if int(run.value(top)) * ALIGNMENT == size:
        return offsets, proven
    return _settled(lives, pairs, {name: int(run.value(x)) * ALIGNMENT for name, x in at.items()}), proven


def solver() -> Any:
    """The module of the solver. Raises UsageError where it is not installed."""
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise UsageError(
            "plan='exact' needs the solver CP-SAT, which is not installed",
            where="plan",
            hint="pip install 'mcugrad[plan]', or plan='greedy'",
        ) from None
    return cp_model


def _spans(lives: Sequence[Lifetime], pairs: Mapping[str, Sequence[Share]]) -> dict[str, tuple[int, int]]:
    """When each buffer has its bytes for itself, in halves of a call.

    What is written has the second half of its first call where it may be over something, and what is read the first
    half of its last one where something may be over it. No rectangles keep the two of a pair apart; `_hidden` does.
    """
    read = {share.old for shares in pairs.values() for share in shares}
    return {
        life.name: (2 * life.first + (life.name in pairs), 2 * life.last + 2 - (life.name in read))
        for life in lives
    }


def _hidden(lives: Sequence[Lifetime], spans: Mapping[str, tuple[int, int]]) -> list[tuple[str, str]]:
    """Pairs of buffers that are there at the same time, and are not kept apart as rectangles."""
    found = set()
    for one in lives:
        begin, end = spans[one.name]
        if (begin, end) == (2 * one.first, 2 * one.last + 2):
            continue
        for other in lives:
            start, stop = spans[other.name]
            together = one.first <= other.last and other.first <= one.last and one is not other
            if together and max(begin, start) >= min(end, stop):
                found.add((min(one.name, other.name), max(one.name, other.name)))
    return sorted(found)


def _settled(
    lives: Sequence[Lifetime], pairs: Mapping[str, Sequence[Share]], offsets: Mapping[str, int]
) -> Mapping[str, int]:
    """The same places, or lower ones where there is room, so that what is free lies above."""
    known = {life.name: life for life in lives}
    group = {name: name for name in known}
    for new, shares in pairs.items():
        for share in shares:
            if offsets[new] == offsets[share.old] - share.lead:
                one, other = group[new], group[share.old]
                group = {name: one if found == other else found for name, found in group.items()}
    rows: dict[str, list[Lifetime]] = {}
    for life in lives:
        rows.setdefault(group[life.name], []).append(life)
    units = []
    for row in rows.values():
        base = min(offsets[life.name] for life in row)
        units.append((base, Unit(tuple((life, offsets[life.name] - base) for life in row))))
    found = placed([unit for _, unit in sorted(units, key=lambda each: (each[0], each[1].name))])
    ends = (max(places[n] + aligned(known[n].size) for n in known) for places in (found, offsets))
    return found if next(ends) <= next(ends) else offsets
