"""What a user should know about a training although nothing failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mcugrad.advice import lower
from mcugrad.collapse import ONE_ANSWER
from mcugrad.report.scores import Score, number
from mcugrad.training.losses import loss_of_one_answer

if TYPE_CHECKING:
    from mcugrad.fitting import Epoch
    from mcugrad.trainer import Trainer


def beyond_range(made: Trainer, y: NDArray[Any] | None, kind: str) -> list[str]:
    """Says of held-out values that they lie outside of those which the network is trained with.

    Args:
        made: whose 8-bit labels span the values of the training part.
        y: values (n, outputs); None without any, and anything where the loss takes no values.
        kind: what they are called: `held-out`.
    """
    quant = made.options.label_scale
    if quant is None or y is None:
        return []
    low, high = ((code - quant.zero) * quant.scale for code in (-128, 127))
    count = int(((y < low - quant.scale / 2) | (y > high + quant.scale / 2)).sum())
    if count == 0:
        return []
    return [
        f"{count} of {y.size} {kind} values are outside of {number(low)} to {number(high)}, the range of the training "
        f"part: they count as the nearer end of it"
    ]


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
    tried = () if made.rate_search is None else made.rate_search.tried
    score, after = Score(made.options.loss.label_kind, made.model.classes), last.validation_accuracy
    is_worse = before is not None and after is not None and score.is_better(before, after)
    if last.notes or blind == 0 or last.loss <= blind or not is_worse:
        return []
    return [
        f"the loss of the last epoch, {number(last.loss)}, is above {number(blind)}, {ONE_ANSWER}, and held-out "
        f"samples have become worse: training ran away; try {lower(made.rate, tried)}"
    ]
