"""Networks and data sets by name.

`model_path` gives the networks that come with the package, `mcugrad.zoo.data.load` the data sets,
`mcugrad.zoo.worlds` the ways in which the world of a deployed network changes.
"""

from __future__ import annotations

from pathlib import Path

from mcugrad.errors import UsageError

_MODELS = Path(__file__).parent / "models"

__all__ = ["model_names", "model_path"]


def model_names() -> tuple[str, ...]:
    """Names of the networks that come with the package, sorted."""
    return tuple(sorted(path.stem for path in _MODELS.glob("*.onnx")))


def model_path(name: str) -> Path:
    """The ONNX file of a network that comes with the package.

    Args:
        name: one of `model_names()`.

    Raises:
        UsageError: there is no network of that name.
    """
    if name not in model_names():
        raise UsageError(
            f"no network named {name!r} comes with mcugrad", hint=f"one of {', '.join(model_names())}"
        )
    return _MODELS / f"{name}.onnx"
