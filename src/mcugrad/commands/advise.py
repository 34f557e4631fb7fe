"""mcugrad advise: what to train within a budget, found out by short trainings."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcugrad.commands.options import Json
from mcugrad.commands.output import demand_places
from mcugrad.commands.recipe import Recipe, spelled_out

if TYPE_CHECKING:
    from mcugrad.advised import Advice

_TOLD = ("loss", "name", "seed", "calibration", "scale", "target")
"""Options that the call that comes next has, too, where they are not the usual ones."""
_USUAL = {each.name: each.default for each in fields(Recipe)}


@spelled_out(only=("model", "data", "loss", "name", "target", "seed", "calibration", "scale"))
def advise(
    recipe: Recipe,
    ram: Annotated[
        str | None,
        typer.Option(
            "--ram",
            metavar="BYTES",
            help="RAM that model, sample and stack may take: 64K; else the target's.",
        ),
    ] = None,
    flash: Annotated[
        str | None,
        typer.Option("--flash", metavar="BYTES", help="Flash for constants: 256K; else the target's."),
    ] = None,
    milliseconds: Annotated[
        float | None,
        typer.Option("--milliseconds", help="That a training step may take on the target: 50."),
    ] = None,
    epochs: Annotated[
        int, typer.Option("--epochs", min=1, help="Passes over the training samples that there will be.")
    ] = 5,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Try every number of layers, not just most and fewest."),
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE.svg",
            help="Draw what was tried: what each way takes, and what it brings.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Find out which layers to train, and by which rule, within RAM, flash and time.

    What ways to train take is counted; what they bring, short trainings on the data tell, with an eighth held out.
    """
    from mcugrad.choosing import advise as find
    from mcugrad.files import write_file
    from mcugrad.report.ways import picture as drawn
    from mcugrad.training.losses import LabelKind, Loss

    output = recipe.output
    demand_places(files=[picture])
    found = recipe.network()
    given = recipe.samples(found)
    output.say(f"data  {given.text}")
    output.show_notes()
    advice = find(
        found,
        given.x,
        given.y,
        ram=ram,
        flash=flash,
        milliseconds=milliseconds,
        target=recipe.target,
        epochs=epochs,
        calibration=given.x[given.spaced(recipe.calibration)],
        loss=recipe.loss,
        typical_labels=given.y if Loss(recipe.loss).label_kind is LabelKind.VALUES else None,
        seed=recipe.seed,
        thorough=thorough,
    )
    columns, rows = _table(advice)
    output.table(f"within {advice.limits.text}", columns, rows, "lll" + "r" * (len(columns) - 3))
    output.say(f"\n{advice.why}", strong=True)
    output.say("RAM and constants: counted, 4 KiB or more for stack and caller among them; code comes on top")
    if advice.best.instructions is not None:
        estimated = "" if advice.best.milliseconds is None else "; ms: estimated"
        output.say(f"instructions: of a step of each way, counted under emulation{estimated}")
    if picture is not None:
        write_file(picture, drawn(advice))
        output.say(f"{picture}: all that was tried")
    output.say(f"next: {_next(recipe, advice, epochs, ram)}")
    output.finish(
        {
            "model": found.name,
            "data": given.text,
            "epochs": epochs,
            **advice.facts(),
            "picture": None if picture is None else str(picture),
        }
    )


def _next(recipe: Recipe, advice: Advice, epochs: int, ram: str | None) -> str:
    """The call that trains as advised: with all that the advice was told of network and data."""
    from shlex import join

    best = advice.best
    how: list[tuple[str, object]] = [
        ("--train", best.train),
        ("--rule", best.rule),
        *([("--sparse", f"{best.updates:g}"), ("--sparse-policy", "split")] if best.updates < 1 else []),
    ]
    more: list[tuple[str, object]] = [("--rate", f"{best.rate:.3g}"), ("--epochs", epochs)]
    told: list[tuple[str, object]] = [
        *((f"--{name}", getattr(recipe, name)) for name in _TOLD if getattr(recipe, name) != _USUAL[name]),
        *([] if ram is None else [("--ram", ram)]),
    ]
    again = ["--recompute"] * best.recompute
    spread = [[str(word) for pair in pairs for word in pair] for pairs in (how, more, told)]
    return join(
        ["mcugrad", "train", recipe.model, "--data", recipe.data, *spread[0], *again, *spread[1], *spread[2]]
    )


def _table(advice: Advice) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings, and a row for each choice that is worth one; of time only what is known."""
    from mcugrad.measure.cost import short
    from mcugrad.targets import kib

    best = advice.best
    shares = ("updates",) * any(choice.updates < 1 for choice in advice.kept)
    again = ("recompute",) * any(choice.recompute for choice in advice.kept)
    costs = ("instructions",) * (best.instructions is not None) + ("ms",) * (best.milliseconds is not None)
    rows = []
    for choice in advice.kept:
        how = (*(f"{100 * choice.updates:g} %" for _ in shares), *("yes" * choice.recompute for _ in again))
        sizes = (kib(choice.ram), kib(choice.flash))
        spent = [
            *([] if choice.instructions is None else [f"{choice.instructions:,.0f}"]),
            *([] if choice.milliseconds is None else [short(choice.milliseconds)]),
        ]
        mark = "*" if choice is best else ""
        rows.append((mark, choice.train, choice.rule, *how, *sizes, *spent, advice.score(choice.score)))
    return ("", "train", "rule", *shares, *again, "RAM", "constants", *costs, "held out"), rows
