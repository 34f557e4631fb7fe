"""mcugrad report: everything about a network on a device, on one page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcugrad.commands.delivery import Delivery
from mcugrad.commands.options import MOST_STEPS, Format, Json
from mcugrad.commands.output import as_json, demand_places
from mcugrad.commands.recipe import Recipe, spelled_out

if TYPE_CHECKING:
    from mcugrad.commands.inputs import Samples
    from mcugrad.fitting import Epoch
    from mcugrad.report.quantities import FunctionShare
    from mcugrad.report.scores import Score
    from mcugrad.targets import Target
    from mcugrad.trainer import Trainer


TARGET = "nrf52840"


@spelled_out(target=TARGET)
def report(
    recipe: Recipe,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training samples.")] = 3,
    steps: Annotated[
        int,
        typer.Option(
            "--steps", min=1, max=MOST_STEPS, help="Training steps to compare with the emulated core."
        ),
    ] = 32,
    out: Annotated[Path, typer.Option("--out", help="Folder for the firmware and the report.")] = Path(
        "report"
    ),
    format: Format = "c",  # noqa: A002
    json: Json = False,
) -> None:
    """Compile, train, compare and measure; writes firmware, report.html and report.json."""
    from mcugrad import targets
    from mcugrad.commands.compile import compiled_facts, show_ended
    from mcugrad.commands.inputs import measured
    from mcugrad.commands.inspect import choice_facts, layer_facts
    from mcugrad.emit.folder import write_folder
    from mcugrad.report.arena import arena
    from mcugrad.report.page import model_page
    from mcugrad.report.scores import Score
    from mcugrad.training.losses import LabelKind

    output = recipe.output
    delivery = Delivery(out / "firmware", format)
    demand_places(files=[out / "report.html", recipe.save], folders=[delivery.folder])
    recipe.demand_use(code=True, stored=recipe.has_replay)
    board = targets.load(recipe.target or TARGET)
    found = recipe.network()
    delivery.demand(found.name)
    given = recipe.samples(found)
    made = recipe.learner(found, given)
    recipe.demand_room(made)
    with output.busy("running the firmware on the emulated core"):
        table = measured(made, given)
        functions = _profile(made, given, board)
        few = given.spaced(steps)
        proof = made.verify(given.x[few], given.y[few], schedule="cosine")  # as `fit` will train it
    score = Score(made.options.loss.label_kind, found.classes)
    curve, late = _fit(made, given, score, epochs, recipe.seed)
    for note in late:
        output.note(note)
    facts = {
        **compiled_facts(made, given.text),
        "input_shape": list(found.input_shape),
        **({"classes": found.classes} if score.label_kind is LabelKind.CLASS else {}),
        "outputs": found.classes,
        "parameters": found.parameters,
        "macs": found.macs,
        "layers": layer_facts(found),
        "device": device_facts(board),
        "choices": choice_facts(found, board, made.options),
        "rate": made.rate,
        "schedule": "cosine",
        "rate_search": None if made.rate_search is None else made.rate_search.facts(),
        "curve": curve,
        "training_notes": output.notes,
        "compared": {"steps": proof.steps, "state_bytes": proof.bytes},
        "cost": table.facts(),
        "memory": None if table.parts is None else table.parts.facts(),
        "functions": [asdict(function) for function in functions],
        "sources": table.sources(),
    }
    delivery.write(made)
    memory = arena(made.build.compiled.program, made.build.compiled.plan)
    pages = {
        "report.html": model_page(facts, table.work_rows(), made.files(), memory, table.parts),
        "report.json": as_json(facts),
    }
    write_folder(pages, out, what="the report")
    output.say(repr(made)[1:-1], strong=True)
    output.say(f"data  {given.text}")
    output.show_notes()
    if made.rate_search is not None:
        output.say(made.rate_search.text)
    start, end = (point[score.curve_keys[1]] for point in (curve[0], curve[-1]))
    if start is not None and end is not None:
        output.say(
            f"{score.what('held-out')}: {score.text(start)} before, {score.text(end)} after {epochs} epochs"
        )
    output.say(f"equal: {proof}")
    output.say(f"\nwrote {out / 'report.html'}, {out / 'report.json'}, {delivery.folder}")
    output.say(f"      (the firmware begins {made.begins})")
    show_ended(output, made)
    recipe.keep(made)
    output.finish(facts)


def device_facts(board: Target) -> dict[str, Any]:
    """A target, for JSON."""
    return {
        "target": board.name,
        "title": board.title,
        "core": board.core.title,
        "clock_hz": board.clock_hz,
        "ram_bytes": board.ram.bytes,
        "flash_bytes": board.flash.bytes,
        "emulated": True,
    }


def _profile(made: Trainer, given: Samples, board: Target) -> tuple[FunctionShare, ...]:
    import numpy as np

    from mcugrad.commands.inputs import MEASURED_SAMPLES
    from mcugrad.report.quantities import profile

    few = given.spaced(MEASURED_SAMPLES)
    device = made.emulate(board)
    device.device.forget_blocks()
    device.train(
        made.quantize(given.x[few]),
        made.labels(given.y[few], len(few)),
        np.arange(len(few), dtype=np.uint32),
        np.full(len(few), made.options.rate, np.float32),
    )
    return profile(device, board, len(few))


def _fit(
    made: Trainer, given: Samples, score: Score, epochs: int, seed: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Score before training and after every epoch, of training samples while they are trained where that is known.

    Returns:
        The points of the curve, and what a user should know about it.
    """
    from mcugrad import concerns
    from mcugrad.commands.notes import became_worse

    training, held_out = score.curve_keys
    with concerns.told(lambda _: None):  # fit says what is odd about samples and labels
        start = None if given.held_out is None else made.evaluate(*given.held_out)
        curve = [{"step": 0, training: made.evaluate(given.x, given.y), held_out: start, "loss": None}]

    def add(epoch: Epoch) -> None:
        now = made.evaluate(given.x, given.y) if epoch.accuracy is None else epoch.accuracy
        curve.append(
            {"step": epoch.steps, training: now, held_out: epoch.validation_accuracy, "loss": epoch.loss}
        )

    history = made.fit(
        given.x,
        given.y,
        epochs=epochs,
        rate=None if made.options.rate_given else "auto",
        schedule="cosine",
        validation=given.held_out,
        seed=seed,
        on_epoch=add,
    )
    return curve, became_worse(made, given.y, history[-1], start)
