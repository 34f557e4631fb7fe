"""mcugrad demo: the whole story on an emulated microcontroller, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcugrad.commands.delivery import Delivery
from mcugrad.commands.options import MOST_STEPS, Json
from mcugrad.commands.output import Output, as_json, demand_places, write

if TYPE_CHECKING:
    from mcugrad.demo import Demo, Point


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the firmware and the report.")] = Path(
        "demo"
    ),
    steps: Annotated[
        int,
        typer.Option(
            "--steps", min=1, max=MOST_STEPS, help="Stop after so many training steps; 6735 are all."
        ),
    ] = 6735,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Also draw the result as an SVG file.")
    ] = None,
    json: Json = False,
) -> None:
    """Let an emulated microcontroller learn a changed world. Writes firmware, report.html and report.json."""
    from mcugrad import targets
    from mcugrad.commands.compile import show_cost
    from mcugrad.demo import WORLD, Settings, run
    from mcugrad.demo.page import demo_page
    from mcugrad.emit.folder import write_folder

    output = Output(json)
    delivery = Delivery(out / "firmware")
    demand_places(files=[picture, out / "report.html"], folders=[delivery.folder])
    delivery.demand("digits_cnn")
    settings = Settings(steps=steps)
    board = targets.load(settings.target)
    output.say(f"digits_cnn, an 8-bit network, on a {board.title}: {board.core.title}, emulated", strong=True)
    output.say(f"Its world changes: {WORLD}.")
    output.say("It trains in place, one step per labelled digit; accuracy is that on held-out digits.\n")
    output.say("            new world   old world   loss")
    shown = _Lines(output, steps)
    done = run(settings, shown.point)
    delivery.write(done.trainer)
    facts = done.facts()
    pages = {
        "report.html": demo_page(done, done.trainer.build.compiled.files),
        "report.json": as_json(facts),
    }
    write_folder(pages, out, what="the report")
    if picture is not None:
        from mcugrad.demo.picture import demo_picture

        write(picture, demo_picture(done))
    _conclude(output, done)
    show_cost(output, done.trainer, done.cost)
    output.say(f"\nwrote {out / 'report.html'}, {out / 'report.json'}, {delivery.folder}")
    output.finish(facts)


class _Lines:
    """A line for the first and the last point and for some between."""

    def __init__(self, output: Output, steps: int) -> None:
        self._output = output
        self._steps = steps
        self._next = 0

    def point(self, point: Point) -> None:
        if point.step < self._next and point.step < self._steps:
            return
        self._next = point.step + max(1, self._steps // 10)
        loss = "" if point.loss is None else f"{point.loss:8.3f}"
        self._output.say(f"step {point.step:6,} {point.new:10.1%}  {point.old:10.1%} {loss}".rstrip())


def _conclude(output: Output, done: Demo) -> None:
    before, after, compared = done.curve[0], done.curve[-1], done.compared
    output.say(
        f"\nnew world: {before.new:.1%} before, {after.new:.1%} after; old world: {before.old:.1%} before, "
        f"{after.old:.1%} after.",
        strong=True,
    )
    output.say(
        f"With every {done.settings.replay_every}th step on one of {done.settings.replay_kept} old digits kept in "
        f"flash: new {done.replay.new:.1%}, old {done.replay.old:.1%} (on the twin)."
    )
    output.say(
        f"Device and twin agree in every bit: {compared['state_bytes']:,} bytes of learned state, compared "
        f"{compared['states']} times; {compared['losses']:,} losses; {compared['logits']:,} logits."
    )
