"""The schedules that a command line has words for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mcugrad.errors import UsageError

if TYPE_CHECKING:
    from mcugrad.commands.recipe import Recipe
    from mcugrad.training.schedules import Kind

SCHEDULES = ("cosine", "linear", "constant")
"""What --schedule may be; others have options that a command line has no words for."""


def schedule_choice(schedule: str) -> Kind:
    """The schedule of that name. Raises UsageError."""
    if schedule not in SCHEDULES:
        raise UsageError(
            f"unknown schedule {schedule!r}", where="--schedule", hint="cosine, linear or constant"
        )
    return cast("Kind", schedule)


def delivered_schedule(recipe: Recipe, schedule: str, steps: int | None) -> Kind:
    """The schedule that a firmware begins with, over so many steps. Raises UsageError."""
    kind = schedule_choice(schedule)
    if kind == "constant":
        if steps is not None:
            raise UsageError(
                "a constant learning rate has no number of steps", where="--steps", hint="--schedule cosine"
            )
        return kind
    if steps is None:
        raise UsageError(
            f"a {kind} ends after some steps, and how many a device will take is not said",
            where="--schedule",
            hint="--steps 5000, or --schedule constant",
        )
    if recipe.train == "none":
        raise UsageError(
            f"nothing trains, so that there is no learning rate to follow a {kind}",
            where="--schedule",
            hint="--train last:1, or all",
        )
    if recipe.resume is not None:
        raise UsageError(
            "what --resume brings has a schedule of its own, which goes on where it was",
            where="--schedule",
            hint="no --schedule, and <name>_set_schedule on the device",
        )
    return kind
