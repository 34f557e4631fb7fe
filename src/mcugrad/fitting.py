"""Fitting: epochs on the host twin, with what the device has for its life: schedule, replay, guard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.advice import Rates
from mcugrad.collapse import CAUSES, PROBED, Judge
from mcugrad.errors import UsageError
from mcugrad.given import is_whole
from mcugrad.health import LOOKS, Health
from mcugrad.progress import Pace, progress
from mcugrad.run.life import Life
from mcugrad.run.runner import State, Steps
from mcugrad.share import Share
from mcugrad.training.guard import Guarded
from mcugrad.training.replay import Replay
from mcugrad.training.schedules import Kind, Schedule, named, rates

CHUNK = 2000
"""Most training steps at once; fewer where a bar shows them."""

MOST_STEPS = 2**32 - 1
"""Most training steps in one call: as many as the device's counter of steps has values for."""

IDLE = "nothing is learned: the schedule is 0 in every step"

Samples = tuple[NDArray[np.int8], NDArray[Any]]
"""Samples and labels as the device takes them."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the samples gave.

    Attributes:
        epoch: from 1.
        steps: training steps so far, this epoch and replayed samples included.
        loss: mean loss of the samples before each step (nats for cross-entropies).
        accuracy: share of samples predicted right before each step; None where the label is no class.
        validation_accuracy: score of held-out samples after the epoch, as `Trainer.evaluate` gives it; None
            without any.
        guard: what the guard last found in this epoch; None without one.
        update_rate: share of the channels that a step updated, mean.
        taken: samples that were learned from; a share of the samples leaves the others out.
        notes: what looks wrong by then: a training that has collapsed or ran away, with what to try. Those of the last
            epoch are warnings, too.
    """

    epoch: int
    steps: int
    loss: float
    accuracy: float | None
    validation_accuracy: float | None
    guard: Guarded | None = None
    update_rate: float = 1.0
    taken: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Course:
    """How to train.

    Attributes:
        epochs: passes over the samples.
        rate: learning rate at the beginning, or after the warm-up.
        schedule: how it runs.
        shuffle: a new order for each epoch.
        seed: of the order.
        is_class: whether labels are classes, so that there is an accuracy.
        is_share: whether a score is a share of what is right; else it is an error.
        replay: the replay buffer, and its source as the device takes it; None for none.
        augment: one `mcg_augment_t`, how samples change before they are trained; None for none.
        guard: the guard set, steps between two looks (0 for epochs), and margin; None for none.
        judge: says whether anything is learned; None says nothing.
        health: says which layers learn, with a judge; None says nothing.
        share: counts what is learned from, with a judge, where a part of the samples was asked for; else None.
        remedy: what to try where the size of labels or outputs makes training diverge; empty where it is usable.
    """

    epochs: int
    rate: float
    schedule: Kind | Schedule | Callable[[float], float]
    shuffle: bool
    seed: int
    is_class: bool
    is_share: bool = True
    replay: tuple[Replay, Samples | None] | None = None
    augment: NDArray[Any] | None = None
    guard: tuple[Samples, int, float] | None = None
    judge: Judge | None = None
    health: Health | None = None
    share: Share | None = None
    remedy: str = ""


def run(
    twin: Life,
    data: Samples,
    course: Course,
    score: Callable[[], float | None],
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train.

    Args:
        twin: what trains.
        data: samples to learn from.
        course: how.
        score: called after each epoch, for held-out samples.
        on_epoch: called after each epoch.

    Raises:
        UsageError: an option makes no sense, or training diverged.
    """
    demand_course(course, len(data[0]))
    begin = twin.state()
    _look_before(twin, data, course, begin)
    rate_of = _begin(twin, course, int(course.epochs) * len(data[0]))
    if course.guard is not None:
        twin.begin_guard()
        _look(twin, course)
    try:
        return _epochs(twin, data, course, rate_of, begin, score, on_epoch)
    finally:
        twin.end_replay()
        twin.end_augment()


def demand_course(course: Course, count: int) -> None:
    """Raises UsageError for what is no number of passes over so many samples, or more than a device can count."""
    epochs = course.epochs
    if not is_whole(epochs):
        raise UsageError(f"epochs={epochs!r} is no number of passes", where="epochs", hint="a whole number")
    if epochs < 1:
        raise UsageError(f"epochs={epochs} trains nothing", where="epochs", hint="1 or more")
    steps = spanned(course, int(epochs) * count)
    if steps > MOST_STEPS and not callable(course.schedule):
        raise UsageError(
            f"{epochs} epochs of {count} samples take {steps} training steps; the device counts to {MOST_STEPS}",
            where="epochs",
            hint=f"at most {max(int(epochs) * MOST_STEPS // steps, 1)}",
        )


def demand_schedule(course: Course, total: int) -> None:
    """Raises UsageError for a schedule that cannot span so many new samples, and those that are replayed."""
    if callable(course.schedule):
        rates(course.rate, course.schedule, total)
    else:
        named(course.schedule).record(course.rate, spanned(course, total))


def spanned(course: Course, total: int) -> int:
    """Training steps with so many new samples, those of replayed ones included: what a schedule spans."""
    return total + (0 if course.replay is None else course.replay[0].draws(total))


def stretch(
    twin: Life,
    data: Samples,
    course: Course,
    order: NDArray[np.uint32],
    advance: Callable[[int], None],
) -> None:
    """Train with samples in this order, by a course whose schedule spans it; without epochs, guard and judge.

    Args:
        twin: what trains; whoever calls puts its state back.
        data: samples to learn from.
        course: how.
        order: indices of samples, one for each step.
        advance: told the number of steps done.

    Raises:
        UsageError: an option makes no sense, or training diverged.
    """
    rate_of = _begin(twin, course, len(order))
    pace = Pace(CHUNK, getattr(advance, "shown", False))
    done = 0
    try:
        while done < len(order):
            part = slice(done, done + pace.size)
            pace.start()
            steps = twin.train(*data, order[part], None if rate_of is None else rate_of[part])
            if not np.isfinite(steps.loss).all():
                raise UsageError("training diverged: the loss is no longer finite", where="rate")
            pace.done()
            advance(len(order[part]))
            done += len(order[part])
    finally:
        twin.end_replay()
        twin.end_augment()
    broken = not_finite(twin.state())
    if broken:
        raise UsageError(f"training diverged: {broken[0]} is no longer finite", where="rate")


def not_finite(state: State) -> list[str]:
    """Names of the arrays of a learned state that hold a number which is none."""
    return [k for k, v in state.items() if v.dtype.kind == "f" and not np.isfinite(v).all()]


def _epochs(
    twin: Life,
    data: Samples,
    course: Course,
    rate_of: NDArray[np.float32] | None,
    begin: State,
    score: Callable[[], float | None],
    on_epoch: Callable[[Epoch], None] | None,
) -> list[Epoch]:
    x, wanted = data
    count, random = len(x), np.random.default_rng(course.seed)
    every = 0 if course.guard is None else course.guard[1] or count
    history: list[Epoch] = []
    looks = -(-count // -(-LOOKS // int(course.epochs)))
    if course.health is not None:
        course.health.begin(begin)
    with progress("training", course.epochs * count) as advance:
        pace = Pace(CHUNK, advance.shown)
        for epoch in range(course.epochs):
            order = (random.permutation(count) if course.shuffle else np.arange(count)).astype(np.uint32)
            done, looked, told, info = 0, 0, 0, []
            found: Guarded | None = None
            while done < count:
                first = epoch * count + done
                size = min(pace.size, count - done, every - first % every if every else CHUNK)
                size = min(size, looks - done % looks)
                part = order[done : done + size]
                pace.start()
                steps = twin.train(
                    x, wanted, part, None if rate_of is None else rate_of[first : first + size]
                )
                info.append(steps.info)
                done += size
                last = epoch * count + done == course.epochs * count
                if every and ((first + size) % every == 0 or last):
                    found = _look(twin, course)
                if course.health is not None and (done % looks == 0 or done == count):
                    course.health.look(twin.state(), done - looked, sum(map(_taken, info[told:])))
                    looked, told = done, len(info)
                pace.done()
                advance(size)
            steps = Steps(np.concatenate(info))
            loss = float(steps.loss.mean(dtype=np.float64))
            _demand_finite(twin, "the loss", loss if course.guard is None else 0.0, begin, epoch, course)
            held_out = score()
            _demand_finite(twin, "the held-out score", held_out or 0.0, begin, epoch, course)
            begin = twin.state()
            accuracy = float((steps.predicted == wanted[order]).mean()) if course.is_class else None
            updated = float(steps.info["update_rate"].mean(dtype=np.float64))
            taken = _taken(steps.info)
            is_idle = rate_of is not None and course.rate > 0 and not rate_of.any()
            notes = (IDLE,) if is_idle else _judged(twin, data, course, order, steps)
            if course.share is not None:
                course.share.count(count, taken)
                if epoch + 1 == course.epochs and not any("learned from" in note for note in notes):
                    notes += course.share.notes(begin, _warmup(course))
            trained = spanned(course, (epoch + 1) * count)
            history.append(Epoch(epoch + 1, trained, loss, accuracy, held_out, found, updated, taken, notes))
            if on_epoch is not None:
                on_epoch(history[-1])
    return history


def _look_before(twin: Life, data: Samples, course: Course, begin: State) -> None:
    """Tell the judge the loss before training, of samples that change as those that are trained; nothing is learned."""
    count = len(data[0])
    probed = 0 if course.judge is None else course.judge.looks_before(course.epochs * count, count)
    if course.judge is None or not probed:
        return
    few = np.linspace(0, count - 1, probed).round().astype(np.uint32)
    losses, still = [], np.zeros(1, np.float32)
    if course.augment is not None:
        twin.begin_augment(course.augment)
    try:
        for one in few.reshape(-1, 1):
            losses.append(twin.train(*data, one, still).loss)
            twin.restore(begin)  # momentum, ranges and roundings move even at a rate of 0
    finally:
        twin.end_augment()
    course.judge.begin(np.concatenate(losses), data[1][few])


def _begin(twin: Life, course: Course, total: int) -> NDArray[np.float32] | None:
    """Let replay and augmentation begin, and a schedule over so many new samples.

    Returns:
        A rate for each of them where the schedule is a function; None where the twin has it.

    Raises:
        UsageError: an option makes no sense.
    """
    if course.replay is not None and course.augment is not None and twin.stores_latents:
        raise UsageError(
            "augmentation changes inputs, and of stored samples the model keeps latents, which have none any more",
            where="augment",
            hint="replay_of='inputs' when it is compiled, or no augmentation",
        )
    rate_of = _begin_schedule(twin, course, total)
    _begin_replay(twin, course)
    if course.augment is not None:
        twin.begin_augment(course.augment)
    return rate_of


def _begin_schedule(twin: Life, course: Course, total: int) -> NDArray[np.float32] | None:
    if callable(course.schedule):
        return rates(course.rate, course.schedule, total)
    twin.set_schedule(named(course.schedule).record(course.rate, spanned(course, total)))
    return None


def _begin_replay(twin: Life, course: Course) -> None:
    if course.replay is None:
        return
    replay, source = course.replay
    twin.begin_replay(replay.capacity, replay.every, replay.collects, replay.seed)
    if source is not None:
        twin.replay_add(*source)
    if replay.remember:
        twin.replay_remember()


def _look(twin: Life, course: Course) -> Guarded:
    assert course.guard is not None
    samples, _, margin = course.guard
    return twin.guard(*samples, margin)


def _taken(info: NDArray[Any]) -> int:
    """How many samples were learned from; the others were left out by a share of the samples."""
    return int((info["update_rate"] > 0).sum())


def _warmup(course: Course) -> int:
    return 0 if callable(course.schedule) else named(course.schedule).warmup


def _judged(
    twin: Life, data: Samples, course: Course, order: NDArray[np.uint32], steps: Steps
) -> tuple[str, ...]:
    """What the judge says of an epoch's steps, which took the samples in this order."""
    if course.judge is None:
        return ()
    few = np.unique(np.linspace(0, len(order) - 1, min(PROBED, len(order))).round().astype(np.intp))
    wanted = data[1][order]
    if len(data[0]) > 1 and all((row == data[0][0]).all() for row in data[0]):  # the second mostly differs
        return (
            f"all {len(data[0]):,} samples are the same to the network, which can learn but one answer to them: are "
            f"they those that were meant, and scaled as the calibration samples were?",
        )
    health: tuple[str, ...] = ()
    if course.health is not None:
        health = course.health.notes(steps, course.judge.blind(wanted), course.judge.rates)
    notes = course.judge.epoch(
        steps.loss,
        wanted,
        steps.predicted if course.is_class else None,
        lambda: twin.predict(data[0][few]),
        _taken(steps.info),
        course.health is not None and course.health.wants_smaller,
    )
    return notes if any(cause in note for note in notes for cause in CAUSES) else (*notes, *health)


def _demand_finite(twin: Life, name: str, value: float, begin: State, epoch: int, course: Course) -> None:
    """Refuse to go on from numbers that are none; what had been learned before the epoch is put back."""
    broken = not_finite(twin.state())
    if np.isfinite(value) and not broken:
        return
    twin.restore(begin)
    known = Rates(course.rate) if course.judge is None else course.judge.rates
    falls = callable(course.schedule) or named(course.schedule).kind != "constant"
    or_falling = "" if falls else ", or schedule='cosine'"
    raise UsageError(
        f"training diverged in epoch {epoch + 1}: {', '.join(broken[:3]) or name} is no longer finite",
        where="rate; the state before that epoch has been put back",
        hint=course.remedy or f"{known.lower()}{or_falling}",
    )
