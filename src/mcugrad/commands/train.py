"""mcugrad train: fit a network on this computer exactly as the device would."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mcugrad.commands.options import Json, Out
from mcugrad.commands.output import Output, demand_places, write
from mcugrad.commands.recipe import Recipe, spelled_out

if TYPE_CHECKING:
    from mcugrad.fitting import Epoch
    from mcugrad.run.runner import State
    from mcugrad.trainer import Trainer
    from mcugrad.training.schedules import Kind

SCHEDULES = ("cosine", "linear", "constant")
"""What --schedule may be; others have options that a command line has no words for."""


@spelled_out()
def train(
    recipe: Recipe,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training samples.")] = 5,
    schedule: Annotated[
        str,
        typer.Option("--schedule", help="Of the learning rate: cosine or linear (down to 0), or constant."),
    ] = "cosine",
    augment: Annotated[
        str | None,
        typer.Option(
            "--augment",
            metavar="CHANGE=SIZE,...",
            help="Change new samples a little, each time anew: shift=2,gain=0.1,offset=0.05,noise=0.02.",
        ),
    ] = None,
    old: Annotated[
        str | None,
        typer.Option(
            "--old",
            metavar="DATA",
            help="Data that the network knows; tells what it forgets of the held-out part.",
        ),
    ] = None,
    replay: Annotated[
        int | None,
        typer.Option("--replay", help="Train one of so many samples of --old after each new one: 64."),
    ] = None,
    remember: Annotated[
        bool,
        typer.Option(
            "--remember",
            help="Train these towards what the network says of them now, not towards their labels.",
        ),
    ] = False,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Start from a state that --save wrote.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write what was learned to this .npz file.")
    ] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Train on this computer, with the bytes the device would have, and test on the data's held-out part."""
    from dataclasses import asdict

    from mcugrad.commands.compile import compiled_facts, show_files
    from mcugrad.commands.inputs import (
        augment_choice,
        replay_choice,
        samples,
    )
    from mcugrad.errors import UsageError
    from mcugrad.training.schedules import rates

    output = Output(json)
    demand_places(files=[save], folders=[out])
    if schedule not in SCHEDULES:
        raise UsageError(
            f"unknown schedule {schedule!r}", where="--schedule", hint="cosine, linear or constant"
        )
    kind = cast("Kind", schedule)
    rates(recipe.rate, kind, 1)
    found = recipe.network()
    given = recipe.samples(found)
    known = None if old is None else samples(old, found, recipe.scale, "--old")
    changes = augment_choice(augment, recipe.seed)
    replayed = replay_choice(known, replay, remember=remember, seed=recipe.seed)
    made = recipe.learner(found, given)
    if resume is not None:
        restore(resume, made)
    validation = given.held_out
    old_validation = None if known is None else known.held_out
    output.say(repr(made)[1:-1], strong=True)
    output.say(f"data  {given.text}\n")
    before, old_before = (_right(made, part) for part in (validation, old_validation))
    if validation is not None:
        output.say(f"before      {before:7.1%} of {len(validation[1])} held-out samples right")
    if old_validation is not None:
        output.say(f"            {old_before:7.1%} of {len(old_validation[1])} held-out old samples right")
    history = made.fit(
        given.x,
        given.y,
        epochs=epochs,
        schedule=kind,
        validation=validation,
        seed=recipe.seed,
        replay=replayed,
        augment=changes,
        on_epoch=lambda epoch: output.say(_line(epoch, epochs)),
    )
    old_after = _right(made, old_validation)
    if old_validation is not None:
        output.say(f"after       {old_after:7.1%} of {len(old_validation[1])} held-out old samples right")
    if save is not None:
        write(save, _packed(made.state))
        output.say(f"\nwrote {save}: what was learned, {len(made.state)} arrays")
    if out is not None:
        show_files(output, made, made.export(out))
        output.say("      (the firmware starts from the network as delivered; load the saved state to go on)")
    output.finish(
        {
            **compiled_facts(made, given.text),
            "schedule": schedule,
            "held_out_accuracy_before": before,
            "old_held_out_accuracy_before": old_before,
            "epochs": [asdict(epoch) for epoch in history],
            "held_out_accuracy": history[-1].validation_accuracy,
            "old_held_out_accuracy": old_after,
            "state": None if save is None else str(save),
            "folder": None if out is None else str(out),
        }
    )


def _right(made: Trainer, part: tuple[Any, Any] | None) -> float | None:
    """Share of held-out samples that are classified right; None without samples."""
    return None if part is None else made.evaluate(*part)


def _line(epoch: Epoch, epochs: int) -> str:
    held_out = "" if epoch.validation_accuracy is None else f"   held out {epoch.validation_accuracy:6.1%}"
    width = len(str(epochs))
    return (
        f"epoch {epoch.epoch:{width}}/{epochs}   loss {epoch.loss:.4f}   while training {epoch.accuracy:6.1%}"
        f"{held_out}"
    )


def _packed(state: State) -> bytes:
    """The arrays as an .npz file."""
    import numpy as np

    content = io.BytesIO()
    arrays: dict[str, Any] = dict(state)
    np.savez(content, **arrays)
    return content.getvalue()


def restore(path: Path, made: Trainer) -> None:
    """Give a trainer the learned state in an .npz file. Raises DataError."""
    import zipfile

    import numpy as np

    from mcugrad.errors import DataError

    hint = "a file that `mcugrad train --save` wrote, with the same --train and --rule"
    try:
        with np.load(path, allow_pickle=False) as file:
            state: dict[str, Any] = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or "not an .npz file"
        raise DataError(f"the learned state cannot be read: {reason}", where=str(path), hint=hint) from None
    try:
        made.state = state
    except DataError as error:
        raise DataError(error.what, where=str(path), hint=hint) from None
