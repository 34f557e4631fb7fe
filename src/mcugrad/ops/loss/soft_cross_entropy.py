"""Soft cross-entropy: loss and output error towards a distribution, such as what a network said before.

Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015: both distributions at a temperature above
1, at which unlikely classes count, and the loss times its square, so that errors stay as large as those of labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcugrad.builders.node import BackwardNode
from mcugrad.graph import Precision
from mcugrad.ops.life.life import lower_prediction
from mcugrad.ops.loss.loss import lower_beside
from mcugrad.ops.selection.select_nodes import loss_ratio
from mcugrad.program import segment

if TYPE_CHECKING:
    from mcugrad.builders.program import ProgramBuilder


@dataclass(frozen=True, kw_only=True)
class SoftCrossEntropy(BackwardNode):
    """What takes the place of the loss, and of all that looks at the label, in a step towards a distribution.

    Running means and drift, which are about labels, stay as they are; so does the largest loss that partial updates
    compare with, for this one is on another scale. Their share follows how far both distributions are apart.

    Attributes:
        logits: the outputs.
        e: their error.
        precision: what both are.
        has_ratio: whether partial updates follow the loss.
    """

    logits: str
    e: str
    precision: Precision
    has_ratio: bool

    INPUTS = ("logits", "e")
    OUTPUTS = ()
    CHANGES_STATE = True

    def lower(self, to: ProgramBuilder) -> None:
        to.enter(segment.SOFT_LOSS)
        lower_beside(self, self.precision, to)
        lower_prediction(to, self.logits, self.precision)


def arguments(of: SoftCrossEntropy, to: ProgramBuilder) -> dict[str, Any]:
    """Those that kernels of all precisions take."""
    classes = to.graph[of.logits].size
    return {
        "note": f"soft cross-entropy  {classes} classes",
        "classes": classes,
        "logits": to.data(of.logits),
        "soft": to.soft_label(classes),
        "e": to.data(of.e),
        "loss": to.temporary("loss", "float", (1,), "cross-entropy of the sample, nats"),
        "confidence": to.temporary("confidence", "float", (1,), "probability of the predicted class"),
        "ratio": loss_ratio(to) if of.has_ratio else None,
    }
