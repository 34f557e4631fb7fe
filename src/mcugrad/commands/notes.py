"""What a user should know about a training although nothing failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mcugrad.report.scores import Score, number
from mcugrad.training.losses import loss_of_one_answer

if TYPE_CHECKING:
    from mcugrad.fitting import Epoch
    from mcugrad.trainer import Trainer


def beyond_range(made: Trainer, y: NDArray[Any] | None, kind: str) -> list[str]:
    """Says of held-out values that they lie outside of those which the network is trained with.

    Args:
        made: whose 8-bit targets span the values of the training part.
        y: values (n, outputs); None without any, and anything where the loss takes no values.
        kind: what they are called: `held-out`.
    """
    quant = made.options.target
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


def ran_away(made: Trainer, y: NDArray[Any], last: Epoch, before: float | None) -> list[str]:
    """Says of a loss that it has grown to where all samples look alike.

    It is told where the loss is more than twice that of the same answer to every sample, or above it while held-out
    samples have become worse: a network that begins to learn may be above it for an epoch.

    Args:
        made: what was trained.
        y: targets of the samples that it was trained with.
        last: the last epoch.
        before: score of held-out samples before training; None without any.
    """
    blind = loss_of_one_answer(made.options.loss, y)
    score, after = Score(made.options.loss.target, made.model.classes), last.validation_accuracy
    is_worse = before is not None and after is not None and score.is_better(before, after)
    if blind == 0 or last.loss <= blind * (1 if is_worse else 2):
        return []
    return [
        f"the loss of the last epoch, {number(last.loss)}, is above {number(blind)}, that of the same answer to every "
        f"sample: training ran away; try --rate {made.options.rate / 3:.2g}"
    ]
