"""Fidelity: what 8 bits cost a network before it learns anything, against its own float32 outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.graph import Graph
from mcugrad.passes.calibrate import BATCH, run_float
from mcugrad.training.losses import LabelKind

MACS = 2_000_000_000
"""Of the float32 passes that a report may cost, about the seconds of a calibration."""
FEWEST, MOST = 16, 256
"""Samples that it is made of, as far as there are."""


@dataclass(frozen=True)
class Fidelity:
    """How near a delivered network is to float32.

    Attributes:
        samples: compared.
        agreement: share of samples with the same class; where several labels apply share of the same labels; None where
            outputs are values.
        snr: signal-to-noise ratio of the outputs in dB: mean square of float32 over that of the difference; None where
            there is no difference, or nothing but zeros.
    """

    samples: int
    agreement: float | None
    snr: float | None

    def __str__(self) -> str:
        """`99.2% of answers as in float32, 31.5 dB signal to noise, 256 samples`."""
        noise = "no output differs" if self.snr is None else f"{self.snr:.1f} dB signal to noise"
        if self.agreement is None:
            return f"{noise} against float32, {self.samples} samples"
        return f"{self.agreement:.1%} of answers as in float32, {noise}, {self.samples} samples"

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"samples": self.samples, "agreement": self.agreement, "snr_db": self.snr}


def sample_count(macs: int, available: int) -> int:
    """How many samples are compared, by the multiply-accumulates that one takes."""
    return min(available, max(FEWEST, min(MOST, MACS // max(macs, 1))))


def float_outputs(graph: Graph, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outputs of a folded graph in float32, (n, outputs)."""
    parts = [run_float(graph, x[i : i + BATCH])[graph.output] for i in range(0, len(x), BATCH)]
    joined: NDArray[np.float32] = np.concatenate(parts).reshape(len(x), -1)
    return joined


def compared(kind: LabelKind, real: NDArray[np.float32], exact: NDArray[np.float32]) -> Fidelity:
    """Fidelity of outputs.

    Args:
        kind: what the loss takes.
        real: of the device in real units, (n, outputs).
        exact: of float32, likewise.
    """
    agreement = None
    if kind is LabelKind.CLASS:
        agreement = float((real.argmax(axis=1) == exact.argmax(axis=1)).mean())
    elif kind is LabelKind.BITS:
        agreement = float(((real > 0) == (exact > 0)).mean())
    signal, noise = (_squares(v) for v in (exact.astype(np.float64), real.astype(np.float64) - exact))
    ratio = 10 * math.log10(signal / noise) if signal and noise else None
    return Fidelity(len(real), agreement, None if ratio is None else round(ratio, 1))


def _squares(values: NDArray[np.float64]) -> float:
    """Sum of squares, rounded once, so that it is the same on every machine."""
    return math.fsum((values * values).ravel().tolist())
