"""ONNX files as graphs."""

from mcugrad.importers.onnx.load import load_onnx

__all__ = ["load_onnx"]
