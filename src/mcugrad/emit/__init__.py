"""Writing programs as C."""

from mcugrad.emit.c import Origin, emit, host_loops, host_source
from mcugrad.emit.layout import Layout, layout

__all__ = ["Layout", "Origin", "emit", "host_loops", "host_source", "layout"]
