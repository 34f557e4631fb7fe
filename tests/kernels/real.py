"""Arguments for kernels in float32: what is drawn for int8 ones, with real numbers in the place of integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.draws import Arguments, Draw, Rng, rngs
from mcugrad.abi.headers import Param, prototypes

LARGEST = float(np.finfo(np.float32).max)
More = Callable[[Draw, Rng, Arguments], Arguments]
"""Draws what a float kernel takes and the int8 one does not, or not so, given what was drawn for that."""


def reals(draw: Draw, rng: Rng, count: int) -> NDArray[np.float32]:
    """Real numbers: usual ones, many zeros, whose products are denormal or overflow, not finite, few different."""
    values = rng.normal(0, 1, count)
    match draw(st.sampled_from(["usual", "usual", "sparse", "zero", "tiny", "huge", "odd", "coarse"])):
        case "sparse":
            values = values * (rng.random(count) < 0.2)
        case "zero":
            values = values * 0
        case "tiny":
            values = values * 1e-20
        case "huge":
            values = values * 1e19
        case "odd":
            values = rng.choice([1, -1, 0, -0.0, np.inf, -np.inf, np.nan, 1e-45, LARGEST], count)
        case "coarse":
            values = np.round(values)
    return values.astype(np.float32)


BOUNDS = st.sampled_from([(-LARGEST, LARGEST), (0, LARGEST), (0, 6), (-0.5, 0.5), (0, 0), (-3, -1)])
"""Of an activation function: none, ReLU, ReLU6, tight, closed."""
NAMED = {"clip": BOUNDS, "rate": st.sampled_from([(0.0,), (0.01,), (1.0,), (1e-30,)])}
"""Values of parameters that mean the same wherever they occur."""


@st.composite
def arguments(
    draw: Draw, kernel: str, more: More, twins: Sequence[st.SearchStrategy[Arguments]]
) -> Arguments:
    """What one of the int8 kernels `twins` is given, and `more`; a number in the place of an array is its length.

    What is only written is drawn as well: whatever was there before must not matter.
    """
    rng = rngs(draw)
    given = draw(st.one_of(*twins))
    given = {**given, **more(draw, rng, given)}

    def value(param: Param) -> Any:
        if param.name in NAMED:
            return np.asarray(draw(NAMED[param.name]), np.float32)
        found = given[param.name]
        if param.ctype != "float" or found is None or getattr(found, "dtype", None) == np.float32:
            return found
        return reals(draw, rng, found if isinstance(found, int) else found.size)

    return {param.name: value(param) for param in prototypes()[kernel]}


def nothing(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    return {}


def by_channel(draw: Draw, rng: Rng, given: Arguments) -> Arguments:
    """Real numbers that the int8 kernels have as float32, too, or as factors."""
    return {"bias": given["channels"], "slope": given["channels"]}


Plan = dict[str, tuple[More, *tuple[str, ...]]]
"""By name: what is drawn besides, and the int8 kernels whose arguments serve."""


def real_cases(
    plan: Plan, twins: dict[str, st.SearchStrategy[Arguments]]
) -> dict[str, st.SearchStrategy[Arguments]]:
    """Strategies of the arguments of float kernels, by their C names, made of those of int8 kernels."""
    return {
        f"mcg_{name}_f32": arguments(f"mcg_{name}_f32", more, [twins[f"mcg_{twin}"] for twin in others])
        for name, (more, *others) in plan.items()
    }
