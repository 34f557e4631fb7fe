"""mcugrad compile: a network becomes a firmware folder, with what it will cost on the device."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcugrad.commands.delivery import Delivery
from mcugrad.commands.options import MOST_STEPS, Format, Json, Selftest
from mcugrad.commands.output import Output, demand_places, otherwise
from mcugrad.commands.recipe import Recipe, spelled_out

if TYPE_CHECKING:
    from mcugrad.report.quantities import CostTable
    from mcugrad.trainer import Trainer


@spelled_out()
def compile_(
    recipe: Recipe,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the firmware.", show_default="firmware/NAME")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Run the firmware on an emulated core and count.")
    ] = True,
    schedule: Annotated[
        str,
        typer.Option(
            "--schedule",
            help="Of the learning rate on the device: constant; cosine or linear, down to 0 over --steps.",
        ),
    ] = "constant",
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            max=MOST_STEPS,
            help="Training steps until a cosine or linear schedule ends: 5000.",
        ),
    ] = None,
    format: Format = "c",  # noqa: A002
    selftest: Selftest = False,
    json: Json = False,
) -> None:
    """Write the firmware folder, and say what the firmware needs: memory, instructions, cycles, energy."""
    from mcugrad.commands.inputs import measured
    from mcugrad.commands.schedule import delivered_schedule
    from mcugrad.emit.folder import kept

    output = recipe.output
    demand_places(files=[recipe.save])
    recipe.demand_use(code=True, stored=recipe.has_replay)
    kind = delivered_schedule(recipe, schedule, steps)
    found = recipe.network()
    delivery = Delivery(out or Path("firmware") / found.name, format, selftest)
    delivery.demand(found.name)
    given = recipe.samples(found)
    made = recipe.trainer(found, given, kind, steps)
    table = loss = None
    if measure:
        with (
            otherwise("--no-measure, which runs nothing"),
            output.busy("building the firmware and running it on the emulated core"),
        ):
            table = measured(made, given)
            loss = recipe.fidelity(made, given)
    files = delivery.write(made)
    output.say(repr(made)[1:-1], strong=True)
    output.say(f"data  {given.text}")
    if loss is not None:
        output.say(f"{made.options.precision}  {loss}")
    for note in made.build.graph.notes:
        if note not in output.notes:
            output.say(f"note  {note}")
    output.show_notes()
    if table is not None:
        show_cost(output, made, table)
    output.say(f"\nwrote {delivery.folder}: {', '.join(files)}")
    output.say(f"      (the firmware begins {made.begins})")
    if steps is not None:
        output.say(
            f"      (its learning rate of {made.rate:.3g} follows a {kind} over {steps} training steps)"
        )
    show_ended(output, made)
    recipe.keep(made)
    facts = {**compiled_facts(made, given.text), "cost": None if table is None else table.facts()}
    facts |= {"memory": None if table is None or table.parts is None else table.parts.facts()}
    facts |= {"schedule": kind, "schedule_steps": steps}
    facts |= {"fidelity": None if loss is None else loss.facts(), "training_notes": output.notes}
    facts |= {"folder": str(delivery.folder), "format": format, "files": files}
    output.finish({**facts, "kept": list(kept(delivery.folder))})


def compiled_facts(made: Trainer, data: str) -> dict[str, Any]:
    """What was decided, for JSON."""
    from mcugrad.emit.fingerprint import word
    from mcugrad.training.sparse import choice_text

    plan = made.build.compiled.plan
    return {
        "model": made.model.name,
        "source": made.model.source,
        "sha256": made.model.digest,
        "data": data,
        "trained_layers": list(made.trained_layers),
        "loss": made.options.loss.name,
        "precision": made.options.precision,
        "sparse": None if made.options.sparse is None else choice_text(made.options.sparse),
        "rule": made.options.method,
        "rate": made.options.rate,
        "seed": made.options.seed,
        "target": None if made.target is None else made.target.name,
        "fingerprint": f"0x{word(made.build.compiled.fingerprint):08x}",
        "begins": made.begins,
        "features": sorted(made.options.features),
        "replay_of": made.options.replay_of,
        "stored_sample_bytes": made.build.compiled.program.stored,
        "runs_again": None if plan.again is None else asdict(plan.again),
        "ram_bytes": made.ram,
        "constants_bytes": made.build.constants,
        "notes": list(made.build.graph.notes),
    }


def show_cost(output: Output, made: Trainer, table: CostTable) -> None:
    """The tables of a cost, for people."""
    target = made.target.title if made.target is not None else "a plain Cortex-M4F"
    rows = [(q.label, q.text, q.how) for q in table.memory]
    output.table(f"memory on {target}", ("", "", "how it was got"), rows, "lrl")
    step = ("training step",) if table.step else ()
    columns = ("", "prediction", *step, "how it was got")
    output.table("work", columns, table.work_rows(), "lrrl" if table.step else "lrl")
    for source in table.sources():
        output.say(f"  source of {source}")


def show_ended(output: Output, made: Trainer) -> None:
    """Say so where the firmware begins with a schedule that has ended, so that it does not learn on by itself."""
    from mcugrad.training.schedules import has_ended

    ahead, name = made.rate_ahead, made.model.name
    if ahead is not None and has_ended(ahead, made.rate):
        output.say(f"      (its learning rate has ended at {ahead:.2g}: {name}_set_rate before it learns on)")
