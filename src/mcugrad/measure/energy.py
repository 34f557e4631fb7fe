"""Energy, estimated: cycles times the published energy of a cycle on that chip."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.measure.cycles import CycleEstimate
from mcugrad.targets import Target


@dataclass(frozen=True)
class EnergyEstimate:
    """Energy in microjoules with both ends of its band, how it was got, and whose figure it rests on."""

    microjoules: float
    low: float
    high: float
    how: str
    source: str

    def __str__(self) -> str:
        return f"{self.microjoules:.3g} uJ ({self.low:.3g} to {self.high:.3g} uJ, {self.how})"


def estimate(cycles: CycleEstimate, target: Target) -> EnergyEstimate | None:
    """Energy of `cycles` on `target`; None = not known: nobody published what a cycle costs there.

    The band is that of the cycles widened by that of the energy per cycle.
    """
    energy = target.energy
    if energy is None:
        return None
    microjoules = energy.picojoules * 1e-6
    off = energy.band_percent / 100
    return EnergyEstimate(
        microjoules=cycles.cycles * microjoules,
        low=cycles.low * microjoules * (1 - off),
        high=cycles.high * microjoules * (1 + off),
        how=f"{energy.picojoules:g} pJ per cycle; cycles {cycles.how}",
        source=energy.source,
    )
