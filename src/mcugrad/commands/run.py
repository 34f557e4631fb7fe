"""mcugrad run: training steps on emulated cores, compared bit by bit with this computer's twin."""

from __future__ import annotations

from typing import Annotated

import typer

from mcugrad.commands.options import MOST_STEPS, Json
from mcugrad.commands.output import demand_places, otherwise
from mcugrad.commands.recipe import Recipe, spelled_out


@spelled_out()
def run(
    recipe: Recipe,
    on: Annotated[
        list[str],
        typer.Option(
            "--on",
            help="emulator (the target's core), reference, or boards and cores; several: --on a --on b.",
        ),
    ] = ["emulator"],  # noqa: B006  (typer reads it, nobody writes it)
    schedule: Annotated[
        str,
        typer.Option("--schedule", help="Of the learning rate over these steps: constant, cosine or linear."),
    ] = "constant",
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=MOST_STEPS, help="Training steps to take and compare.")
    ] = 64,
    json: Json = False,
) -> None:
    """Train on emulated cores and compare every bit with the twin. Exits 1 if one differs.

    --save writes the state after these steps.
    """
    import numpy as np

    from mcugrad.commands.compile import compiled_facts
    from mcugrad.commands.schedule import schedule_choice

    output = recipe.output
    demand_places(files=[recipe.save])
    recipe.demand_use(code=False, stored=False, what="mcugrad train --replay 64 --old DATA")
    kind = schedule_choice(schedule)
    found = recipe.network()
    given = recipe.samples(found)
    made = recipe.learner(found, given)
    recipe.demand_room(made)
    order = np.resize(np.random.default_rng(recipe.seed).permutation(len(given.x)), steps)
    executors = [part for text in on for part in text.split(",")]
    output.say(repr(made)[1:-1], strong=True)
    output.say(f"data  {given.text}")
    output.show_notes()
    with (
        otherwise("--on reference, which is NumPy"),
        output.busy(f"{steps} training steps on {', '.join(executors)}"),
    ):
        proof = made.verify(given.x[order], given.y[order], on=executors, schedule=kind)
    output.say(f"\nequal: {proof}")
    if proof.instructions:
        rows = [(core, f"{count:,.0f}") for core, count in proof.instructions.items()]
        output.table(
            "instructions per training step: emulated, counted one by one, mean",
            ("on", "instructions"),
            rows,
            "lr",
        )
    if recipe.save is not None:
        made.fit(given.x[order], given.y[order], rate=made.options.rate, schedule=kind, shuffle=False)
        recipe.keep(made)
    output.finish(
        {
            **compiled_facts(made, given.text),
            "training_notes": output.notes,
            "equal": True,
            "steps": proof.steps,
            "schedule": kind,
            "on": list(proof.executors),
            "state_bytes": proof.bytes,
            "outputs": proof.outputs,
            "reported": list(proof.reported),
            "instructions_per_step": proof.instructions,
        }
    )
