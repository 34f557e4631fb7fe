"""What a user should know about a training although nothing failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mcugrad.collapse import ONE_ANSWER
from mcugrad.report.scores import Score, number
from mcugrad.training.losses import loss_of_one_answer

if TYPE_CHECKING:
    from mcugrad.fitting import Epoch
    from mcugrad.trainer import Trainer


def became_worse(made: Trainer, y: NDArray[Any], last: Epoch, before: float | None) -> list[str]:
    """Says of a training that held-out samples have become worse while all samples look alike to the network.

    What can be told without held-out samples, `Trainer.fit` has told.

    Args:
        made: what was trained.
        y: labels of the samples that it was trained with.
        last: the last epoch.
        before: score of held-out samples before training; None without any.
    """
    blind = loss_of_one_answer(made.options.loss, y, made.model.classes)
    score, after = Score(made.options.loss.label_kind, made.model.classes), last.validation_accuracy
    is_worse = before is not None and after is not None and score.is_better(before, after)
    if last.notes or blind == 0 or last.loss <= blind or not is_worse:
        return []
    return [
        f"the loss of the last epoch, {number(last.loss)}, is above {number(blind)}, {ONE_ANSWER}, and held-out "
        f"samples have become worse: training ran away; try {made.rates(made.rate).lower()}"
    ]
