"""TFLite files as graphs."""

from mcugrad.importers.tflite.load import load_tflite

__all__ = ["load_tflite"]
