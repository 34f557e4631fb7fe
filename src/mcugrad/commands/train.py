"""mcugrad train: fit a network on this computer exactly as the device would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcugrad.commands.delivery import Delivery, demand_folder
from mcugrad.commands.options import Format, Json, Out, Selftest
from mcugrad.commands.output import demand_places
from mcugrad.commands.recipe import Recipe, spelled_out

if TYPE_CHECKING:
    from mcugrad.commands.inputs import Samples
    from mcugrad.commands.output import Output
    from mcugrad.fidelity import Fidelity
    from mcugrad.fitting import Epoch
    from mcugrad.report.scores import Score
    from mcugrad.trainer import Trainer

Pair = tuple[Any, Any]
"""Samples and their labels."""


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
    as_delivered: Annotated[
        bool,
        typer.Option("--as-delivered", help="Let the firmware begin with the network before training."),
    ] = False,
    inference: Annotated[
        bool, typer.Option("--inference", help="Leave training out of the firmware: less memory.")
    ] = False,
    format: Format = "c",  # noqa: A002
    selftest: Selftest = False,
    out: Out = None,
    json: Json = False,
) -> None:
    """Train on this computer, with the bytes the device would have, and test on the data's held-out part."""
    from mcugrad.commands.inputs import augment_choice, replay_choice
    from mcugrad.commands.schedule import schedule_choice
    from mcugrad.emit.folder import kept

    demand_places(files=[recipe.save], folders=[out])
    demand_folder(
        out, selftest=selftest, format=format != "c", inference=inference, as_delivered=as_delivered
    )
    stores = out is not None and not inference and recipe.has_replay
    recipe.demand_use(
        code=out is not None, stored=stores or replay is not None, what="--replay 64 --old DATA, --out"
    )
    kind, rate = schedule_choice(schedule), recipe.learning_rate
    found = recipe.network()
    delivery = None if out is None else Delivery(out, format, selftest)
    if delivery is not None:
        delivery.demand(found.name)
    given = recipe.samples(found)
    known = recipe.known(found, old)
    fitting = {
        "epochs": epochs,
        "rate": "auto" if rate is None else rate,
        "schedule": kind,
        "augment": augment_choice(augment, recipe.seed),
        "replay": replay_choice(known, replay, remember=remember, seed=recipe.seed),
    }
    made = recipe.learner(found, given)
    recipe.demand_room(made)
    facts = _trained(recipe, made, given, None if known is None else known.held_out, fitting)
    recipe.keep(made)
    if delivery is not None:
        _deliver(recipe.output, made, delivery, as_delivered=as_delivered, inference=inference)
    recipe.output.finish(
        {
            **facts,
            "training_notes": recipe.output.notes,
            "state": None if recipe.save is None else str(recipe.save),
            "begins": "as delivered" if as_delivered else made.begins,
            "folder": None if out is None else str(out),
            "kept": [] if out is None else list(kept(out)),
        }
    )


def _trained(
    recipe: Recipe, made: Trainer, given: Samples, old: Pair | None, fitting: dict[str, Any]
) -> dict[str, Any]:
    """Train, and say how it goes.

    Args:
        recipe: what the user decides.
        made: what is trained.
        given: samples.
        old: held-out samples that the network knows.
        fitting: what `fit` is told beside.

    Returns:
        What there is to say of it, for JSON.
    """
    from mcugrad.commands.compile import compiled_facts
    from mcugrad.commands.notes import became_worse
    from mcugrad.report.scores import Score

    output, validation = recipe.output, given.held_out
    score = Score(made.options.loss.label_kind, made.model.classes)
    loss = _introduced(recipe, made, given, old)
    before, old_before = _score(made, validation), _score(made, old)
    for head, part, value, what in (
        ("before       ", validation, before, "held-out"),
        ("             ", old, old_before, "held-out old"),
    ):
        _say_score(output, score, head, part, value, what)

    def on_epoch(epoch: Epoch) -> None:
        if epoch.epoch == 1 and made.rate_search is not None:
            output.say(made.rate_search.text)
        output.say(_line(epoch, fitting["epochs"], score))

    history = made.fit(
        given.x, given.y, validation=validation, seed=recipe.seed, on_epoch=on_epoch, **fitting
    )
    old_after = _score(made, old)
    _say_score(output, score, "after        ", old, old_after, "held-out old")
    for note in became_worse(made, given.y, history[-1], before):
        output.note(note)
    return {
        **compiled_facts(made, given.text),
        "rate": made.rate,
        "schedule": fitting["schedule"],
        "rate_search": None if made.rate_search is None else made.rate_search.facts(),
        f"held_out_{score.key}_before": before,
        f"old_held_out_{score.key}_before": old_before,
        "epochs": [_facts(epoch, score) for epoch in history],
        f"held_out_{score.key}": history[-1].validation_accuracy,
        f"old_held_out_{score.key}": old_after,
        "fidelity": None if loss is None else loss.facts(),
    }


def _introduced(recipe: Recipe, made: Trainer, given: Samples, old: Pair | None) -> Fidelity | None:
    """Say what is going to be trained, and what is odd about old samples, of which `fit` hears nothing."""
    output = recipe.output
    output.say(repr(made)[1:-1], strong=True)
    output.say(f"data  {given.text}")
    loss = recipe.fidelity(made, given)
    if loss is not None:
        output.say(f"{made.options.precision}  {loss}")
    if old is not None:
        made.quantize(old[0], "held-out old samples")
        made.labels(old[1], len(old[1]), "held-out old y")
    output.show_notes()
    output.say()
    return loss


def _deliver(
    output: Output, made: Trainer, delivery: Delivery, *, as_delivered: bool, inference: bool
) -> None:
    """Write the firmware, and say so."""
    from mcugrad.commands.compile import show_ended

    files = delivery.write(made, delivered=as_delivered, inference=inference)
    output.say(f"\nwrote {delivery.folder}: {', '.join(files)}")
    output.say(f"      (the firmware begins {'as delivered' if as_delivered else made.begins})")
    if not (as_delivered or inference):
        show_ended(output, made)


def _say_score(
    output: Output, score: Score, head: str, part: Pair | None, value: float | None, what: str
) -> None:
    """A line about held-out samples, where there are any."""
    if part is not None and value is not None:
        output.say(f"{head}{score.sentence(value, len(part[1]), what)}")


def _score(made: Trainer, part: Pair | None) -> float | None:
    """What held-out samples give; None without samples. What is odd about them is noted elsewhere."""
    from mcugrad import concerns

    if part is None:
        return None
    with concerns.told(lambda _: None):
        return made.evaluate(*part)


def _line(epoch: Epoch, epochs: int, score: Score) -> str:
    from mcugrad.report.scores import number

    loss = f"{epoch.loss:.4f}" if score.is_share else number(epoch.loss)
    parts = [f"epoch {epoch.epoch:{len(str(epochs))}}/{epochs}", f"loss {loss}"]
    if epoch.accuracy is not None:
        parts.append(f"while training {epoch.accuracy:6.1%}")
    if epoch.validation_accuracy is not None:
        name = "held out" if score.is_share else "held-out mean squared error"
        parts.append(f"{name} {score.text(epoch.validation_accuracy):>6}")
    return "   ".join(parts)


def _facts(epoch: Epoch, score: Score) -> dict[str, Any]:
    """An epoch, for JSON: held-out numbers under a name that says what they are."""
    from dataclasses import asdict

    facts = asdict(epoch)
    if not score.is_share:
        del facts["accuracy"]
        facts[f"held_out_{score.key}"] = facts.pop("validation_accuracy")
    return facts
