"""What firmware can be built for: cores and boards, as data in TOML files beside this module.

A *core* is an instruction set with compiler flags; a *board* is a core with memories, clock and (when a
public source gives one) energy per cycle. Every core is also a target by itself, with generous memories and
no clock, to ask "how many instructions" before a board is chosen.
"""

from mcugrad.targets._load import cores, emulated, load, names
from mcugrad.targets._model import Core, EnergyPerCycle, Region, Target, kib, shortage

__all__ = [
    "Core",
    "EnergyPerCycle",
    "Region",
    "Target",
    "cores",
    "emulated",
    "kib",
    "load",
    "names",
    "shortage",
]
