"""The families: one list by which operators, kernels, headers, tests of kernels and documentation are ordered.

Whatever is sorted by what it computes has a room per family and no other, so that who knows one room knows all of
them: `ops/<family>/`, `runtime/src/<family>/`, `mcg_<family>.h`, `tests/kernels/<family>.py`, `docs/operators.md`.
What operators of every family share is in the room `core`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Family:
    """A family.

    Attributes:
        name: of its rooms.
        what: what belongs there, in a few words.
    """

    name: str
    what: str

    @property
    def kernels(self) -> bool:
        """Whether any of it is computed on the device: whether it has a folder of C files."""
        return (files("mcugrad") / "runtime/src" / self.name).is_dir()


FAMILIES = (
    Family("convolution", "convolutions: ordinary, pointwise, depthwise, grouped, transposed"),
    Family("linear", "fully connected layers"),
    Family("pooling", "largest values and means of windows"),
    Family("joining", "what makes one activation of several: sums, products, concatenation"),
    Family("activation", "functions of one value: clipping, tables, slopes"),
    Family("normalization", "bringing values to a common mean and spread"),
    Family("movement", "what moves values and changes none: shapes, slices, enlarging"),
    Family("loss", "losses, and the errors that begin with them"),
    Family("update", "what changes weights and biases"),
    Family("selection", "which channels and samples take part in a step"),
    Family("tracking", "scales and ranges that follow the data"),
    Family("life", "what goes on around steps: schedules, replay, augmentation, watching, checking"),
)
CORE = "core"
"""The room of what all families share."""
