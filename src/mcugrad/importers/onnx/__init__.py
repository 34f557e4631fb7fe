"""ONNX files as graphs."""

from __future__ import annotations

from pathlib import Path

from mcugrad.graph import Graph

__all__ = ["load_onnx"]


def load_onnx(source: str | Path | bytes, *, name: str | None = None, label: str = "") -> Graph:
    """Read an ONNX model as a float graph: `load.load_onnx`, imported with the first.

    What reads ONNX takes most of a second to import, for which nobody should wait who has a TFLite file, or misspelled
    the name of one.
    """
    from mcugrad.importers.onnx.load import load_onnx as load

    return load(source, name=name, label=label)
