"""The demonstration, and how it is shown."""

from mcugrad.demo.demo import WORLD, Answer, Demo, Point, Settings, Worlds, prepare, run, stream

__all__ = ["WORLD", "Answer", "Demo", "Point", "Settings", "Worlds", "prepare", "run", "stream"]
