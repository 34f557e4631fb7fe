"""mcugrad report: everything about a network on a device, on one page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcugrad.commands.options import Json
from mcugrad.commands.output import Output, as_json, demand_places, write
from mcugrad.commands.recipe import Recipe, spelled_out

if TYPE_CHECKING:
    from mcugrad.commands.inputs import Samples
    from mcugrad.report.quantities import FunctionShare
    from mcugrad.targets import Target
    from mcugrad.trainer import Trainer


TARGET = "nrf52840"


@spelled_out(target=TARGET)
def report(
    recipe: Recipe,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training samples.")] = 3,
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Training steps to compare with the emulated core.")
    ] = 32,
    out: Annotated[Path, typer.Option("--out", help="Folder for the firmware and the report.")] = Path(
        "report"
    ),
    json: Json = False,
) -> None:
    """Compile, train, compare and measure; writes firmware, report.html and report.json."""
    from mcugrad import targets
    from mcugrad.commands.compile import compiled_facts
    from mcugrad.commands.inputs import measured
    from mcugrad.commands.inspect import choice_facts, layer_facts
    from mcugrad.report.page import model_page

    output = Output(json)
    demand_places(files=[out / "report.html"], folders=[out / "firmware"])
    board = targets.load(recipe.target or TARGET)
    found = recipe.network()
    given = recipe.samples(found)
    made = recipe.learner(found, given)
    with output.busy("running the firmware on the emulated core"):
        table = measured(made, given)
        functions = _profile(made, given, board)
        few = given.spaced(steps)
        proof = made.verify(given.x[few], given.y[few])
    curve = _fit(made, given, epochs, recipe.seed)
    facts = {
        **compiled_facts(made, given.text),
        "input_shape": list(found.input_shape),
        "classes": found.classes,
        "parameters": found.parameters,
        "macs": found.macs,
        "layers": layer_facts(found),
        "device": device_facts(board),
        "choices": choice_facts(found, board),
        "schedule": "cosine",
        "curve": curve,
        "compared": {"steps": proof.steps, "state_bytes": proof.bytes},
        "cost": table.facts(),
        "functions": [asdict(function) for function in functions],
        "sources": table.sources(),
    }
    folder = made.export(out / "firmware")
    page = write(out / "report.html", model_page(facts, table.work_rows(), made.build.compiled.files))
    write(out / "report.json", as_json(facts))
    output.say(repr(made)[1:-1], strong=True)
    output.say(f"data  {given.text}")
    if curve[0]["held_out"] is not None:
        last = curve[-1]["held_out"]
        output.say(
            f"held-out samples right: {curve[0]['held_out']:.1%} before, {last:.1%} after {epochs} epochs"
        )
    output.say(f"equal: {proof}")
    output.say(f"\nwrote {page}, {out / 'report.json'}, {folder}")
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
        made.targets(given.y[few], len(few)),
        np.arange(len(few), dtype=np.uint32),
        np.full(len(few), made.options.rate, np.float32),
    )
    return profile(device, board, len(few))


def _fit(made: Trainer, given: Samples, epochs: int, seed: int) -> list[dict[str, Any]]:
    """Accuracy before training and after every epoch."""
    before = made.evaluate(given.x, given.y)
    start = None if given.held_out is None else made.evaluate(*given.held_out)
    history = made.fit(
        given.x, given.y, epochs=epochs, schedule="cosine", validation=given.held_out, seed=seed
    )
    first = {"step": 0, "training": before, "held_out": start, "loss": None}
    return [
        first,
        *(
            {"step": e.steps, "training": e.accuracy, "held_out": e.validation_accuracy, "loss": e.loss}
            for e in history
        ),
    ]
