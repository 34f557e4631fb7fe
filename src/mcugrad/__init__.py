"""mcugrad: networks that keep learning on ARM Cortex-M, in 8-bit arithmetic.

>>> import mcugrad as mg
>>> model = mg.load("keyword.onnx")
>>> trainer = mg.compile(model, calibration=x[:256], train="last:3", target="nrf52840")
>>> history = trainer.fit(x, y, epochs=5)
>>> trainer.verify(x[:64], y[:64], on="emulator")
>>> trainer.export("firmware/keyword")
"""

from mcugrad._version import __version__
from mcugrad.errors import (
    DataError,
    DeviceError,
    FitError,
    McugradError,
    MismatchError,
    ModelError,
    ToolError,
    UsageError,
)
from mcugrad.model import Model, load
from mcugrad.trainer import Epoch, Trainer, Verification, compile  # noqa: A004

__all__ = [
    "DataError",
    "DeviceError",
    "Epoch",
    "FitError",
    "McugradError",
    "MismatchError",
    "Model",
    "ModelError",
    "ToolError",
    "Trainer",
    "UsageError",
    "Verification",
    "__version__",
    "compile",
    "load",
]
