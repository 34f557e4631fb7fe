"""mcugrad: networks that keep learning on ARM Cortex-M, in 8-bit arithmetic.

>>> import mcugrad as mg
>>> model = mg.load("keyword.onnx")
>>> trainer = mg.compile(model, calibration=x[:256], train="last:3", target="nrf52840")
>>> history = trainer.fit(x, y, epochs=5)
>>> trainer.verify(x[:64], y[:64], on="emulator")
>>> trainer.export("firmware/keyword")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mcugrad._version import __version__
from mcugrad.errors import (
    DataError,
    DefectError,
    DeviceError,
    FitError,
    McugradError,
    McugradWarning,
    MismatchError,
    ModelError,
    ToolError,
    UsageError,
)

if TYPE_CHECKING:
    from mcugrad.advised import Advice
    from mcugrad.api import compile  # noqa: A004
    from mcugrad.choosing import advise
    from mcugrad.fitting import Epoch
    from mcugrad.model import Model, load
    from mcugrad.trainer import Trainer
    from mcugrad.training.augment import Augment
    from mcugrad.training.guard import Guard
    from mcugrad.training.losses import Loss
    from mcugrad.training.replay import Replay
    from mcugrad.training.rules import Update
    from mcugrad.training.schedules import Schedule
    from mcugrad.training.sparse import Sparse, Static
    from mcugrad.verification import Verification

__all__ = [
    "Advice",
    "Augment",
    "DataError",
    "DefectError",
    "DeviceError",
    "Epoch",
    "FitError",
    "Guard",
    "Loss",
    "McugradError",
    "McugradWarning",
    "MismatchError",
    "Model",
    "ModelError",
    "Replay",
    "Schedule",
    "Sparse",
    "Static",
    "ToolError",
    "Trainer",
    "Update",
    "UsageError",
    "Verification",
    "__version__",
    "advise",
    "compile",
    "load",
]

# Imported when first asked for: reading ONNX takes a second to import, and `mcugrad --help` needs none of it.
_LATER = {
    "Model": "mcugrad.model",
    "load": "mcugrad.model",
    "Loss": "mcugrad.training.losses",
    "Update": "mcugrad.training.rules",
    "Sparse": "mcugrad.training.sparse",
    "Static": "mcugrad.training.sparse",
    "Augment": "mcugrad.training.augment",
    "Guard": "mcugrad.training.guard",
    "Replay": "mcugrad.training.replay",
    "Schedule": "mcugrad.training.schedules",
    "Epoch": "mcugrad.fitting",
    "Trainer": "mcugrad.trainer",
    "Verification": "mcugrad.verification",
    "compile": "mcugrad.api",
    "advise": "mcugrad.choosing",
    "Advice": "mcugrad.advised",
}

if not TYPE_CHECKING:  # with it, type checkers would accept every name

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_LATER[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return list(__all__)
