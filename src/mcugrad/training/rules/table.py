"""The table of update rules, by name."""

from __future__ import annotations

from mcugrad.errors import UsageError
from mcugrad.training.rules.family import FAMILY
from mcugrad.training.rules.qas import QAS
from mcugrad.training.rules.rule import InPlace, Rule
from mcugrad.training.rules.standardized import STANDARDIZED

IN_PLACE: dict[str, InPlace] = {rule.name: rule for rule in (*FAMILY, QAS)}
"""Rules that kernels step row by row: a table of C functions each."""

RULES: dict[str, Rule] = {**IN_PLACE, STANDARDIZED.name: STANDARDIZED}
"""All rules by name."""

PLANES = {8: IN_PLACE["sr8"], 16: IN_PLACE["sr16"]}
"""How a plane of changes is stored, by bits: as weights of the family are."""


def rule(name: str) -> Rule:
    """The update rule of that name. Raises UsageError naming the known ones."""
    try:
        return RULES[name]
    except KeyError:
        raise UsageError(
            f"unknown update rule {name!r}", where="rule", hint=f"one of {', '.join(RULES)}"
        ) from None
