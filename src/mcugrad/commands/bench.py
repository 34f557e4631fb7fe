"""mcugrad bench: what every layer costs on the device, pass by pass, against the least that its core could do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcugrad.commands.options import Json
from mcugrad.commands.output import otherwise
from mcugrad.commands.recipe import Recipe, spelled_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcugrad.commands.output import Output
    from mcugrad.measure.cost import Activity
    from mcugrad.measure.layers import Bench, LayerCost


@spelled_out(data=None, without=("save", "resume", "class_names", "features"))
def bench(
    recipe: Recipe,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Samples that predictions and steps are counted with.")
    ] = 4,
    json: Json = False,
) -> None:
    """Count what every layer costs: MACs, instructions, cycles, energy, in a prediction and in a training step.

    Firmware runs on an emulated core of --target. Without --data it sees noise.
    """
    import numpy as np

    from mcugrad.commands.compile import compiled_facts
    from mcugrad.commands.inputs import made_up
    from mcugrad.errors import UsageError
    from mcugrad.report.memory import COLUMNS, flash_rows, piece_rows, ram_rows
    from mcugrad.report.quantities import built_with

    output = recipe.output
    if not recipe.data and recipe.scale is not None:
        raise UsageError(
            "without --data there are no samples to divide, so that --scale has no effect",
            where="--scale",
            hint="--data samples.npz, or no --scale",
        )
    found = recipe.network()
    given = recipe.samples(found) if recipe.data else made_up(found, recipe.loss)
    made = recipe.trainer(found, given)
    if not made.trained_layers:
        output.note("nothing trains: there is a prediction, but no training step")
    if made.options.sparse is not None:
        output.note("a part of the channels or samples is updated: MACs are those of all")
    whole = made.options.updates.whole_batches(made.trained_layers, samples)
    if whole != samples:
        output.note(f"{whole} samples, not {samples}: a batch changes weights when it ends")
    few = np.resize(given.spaced(whole), whole)
    with (
        otherwise("mcugrad doctor, which says what there is"),
        output.busy("running the firmware on the emulated core, call by call"),
    ):
        table = made.bench(given.x[few], given.y[few])
    output.say(repr(made)[1:-1], strong=True)
    output.say(f"data  {given.text}")
    output.show_notes()
    _show(output, table, "prediction", table.prediction, table.predict)
    if table.training_step is not None:
        what = (
            "training step"
            if table.share == 1
            else f"training step that is taken, as {table.share:.3g} of all are,"
        )
        _show(output, table, what, table.training_step, table.step)
    program = made.build.compiled.program
    if table.stored_step is not None:
        output.say(
            f"\ntraining step on a stored sample: {table.stored_step}\n"
            f"from its latents, {program.stored:,} bytes where an input has {program.buffers[program.input].count:,}"
        )
    for title, rows in (
        ("RAM", ram_rows(table.memory)),
        ("flash", flash_rows(table.memory)),
        ("largest in flash", piece_rows(table.memory)),
    ):
        output.table(f"{title} on {table.target.title}", COLUMNS, rows, "lrl")
    output.say(f"\ninstructions: counted call by call under emulation, {built_with()}, mean of {len(few)}")
    output.say(f"cycles: {table.prediction.cycles.how}; {table.prediction.cycles.source}")
    if table.target.energy is None:
        output.say(f"energy: no public figure of energy per cycle for {table.target.name}")
    else:
        output.say(f"energy: estimated, these cycles x {table.target.energy.picojoules:g} pJ")
    least = table.target.core.least_instructions
    if least is not None:
        output.say(
            f"x least: times {least:.2f} per int8 MAC, of the best inner loop that the core's registers allow"
        )
    output.finish(
        {
            **compiled_facts(made, given.text),
            **facts(table),
            "samples": len(few),
            "training_notes": output.notes,
        }
    )


def _show(output: Output, table: Bench, what: str, whole: Activity, costs: Sequence[LayerCost]) -> None:
    """A table for people: every pass of every layer, and what the passes come to."""
    energy = table.target.energy is not None
    sums = table.sums(costs)
    rows = [_row(cost.layer, cost, energy) for cost in costs if cost.layer]
    rows += [_row("all" if cost.macs else "", cost, energy) for cost in sums]
    band = f"cycles ± {whole.cycles.band_percent:g} %"
    columns = (
        "layer",
        "pass",
        "MACs",
        "instructions",
        "per MAC",
        "x least",
        band,
        *(("µJ",) * energy),
        "share",
    )
    output.table(f"{what} on {table.target.title}: {whole}", columns, rows, "llrrrrrrr")


def _row(name: str, cost: LayerCost, energy: bool) -> tuple[str, ...]:
    from mcugrad.report.quantities import percent, significant

    each, times, spent = cost.per_mac, cost.times_least, cost.activity.energy
    return (
        name,
        cost.which,
        f"{cost.macs:,}" if cost.macs else "",
        f"{cost.activity.instructions:,.0f}",
        "" if each is None else f"{each:.2f}",
        "" if times is None else f"{times:.1f}",
        f"{cost.activity.cycles.cycles:,}",
        *((significant(spent.microjoules),) if energy and spent is not None else ()),
        percent(cost.share),
    )


def facts(table: Bench) -> dict[str, Any]:
    """The same for JSON."""
    step = table.training_step
    return {
        "target": table.target.name,
        "core": table.target.core.name,
        "least_instructions_per_mac": table.target.core.least_instructions,
        "least_cycles_per_mac": table.target.core.least_cycles,
        "cycles_band_percent": table.prediction.cycles.band_percent,
        "cycles_source": table.prediction.cycles.source,
        "energy_source": None if table.target.energy is None else table.target.energy.source,
        "prediction": {**_spent(table.prediction), "layers": [_layer(cost) for cost in table.predict]},
        "training_step": None
        if step is None
        else {**_spent(step), "layers": [_layer(cost) for cost in table.step]},
        "stored_step": None if table.stored_step is None else _spent(table.stored_step),
        "steps_taken_share": table.share,
        "memory": table.memory.facts(),
    }


def _layer(cost: LayerCost) -> dict[str, Any]:
    return {
        "layer": cost.layer or None,
        "what": cost.what,
        "pass": cost.which,
        "precision": cost.precision or None,
        "macs": cost.macs,
        "instructions_per_mac": cost.per_mac,
        "times_least": cost.times_least,
        "share": cost.share,
        **_spent(cost.activity),
    }


def _spent(activity: Activity) -> dict[str, Any]:
    energy = activity.energy
    return {
        "instructions": activity.instructions,
        "cycles": activity.cycles.cycles,
        "cycles_low": activity.cycles.low,
        "cycles_high": activity.cycles.high,
        "milliseconds": activity.milliseconds,
        "microjoules": None if energy is None else energy.microjoules,
        "microjoules_low": None if energy is None else energy.low,
        "microjoules_high": None if energy is None else energy.high,
    }
