"""Writing programs as text: C, and what is around it in each of the formats."""

from mcugrad.emit.firmware import Firmware, Origin, Proof
from mcugrad.emit.layout import Layout, layout
from mcugrad.emit.twin import host_loops, host_source

__all__ = ["Firmware", "Layout", "Origin", "Proof", "host_loops", "host_source", "layout"]
