"""Features: what of a model's life a firmware has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mcugrad.errors import UsageError
from mcugrad.given import shown

FEATURES = {
    "adc": "samples from raw values of a converter",
    "watch": "how sure predictions are, and whether they become less so",
    "augment": "samples that change at random before they are trained",
    "replay": "old samples trained between the new ones",
    "soft": "steps towards what a network said, and with replay its memories",
    "guard": "states to come back to, and a test when to",
}
"""What each is, in a few words. All else a model does is always there."""
EVERY = frozenset(FEATURES)
LATENTS = "latents"
"""In the place of a feature: what firmware has whose replay buffers hold latents."""
OF_PREDICTION = frozenset({"adc", "watch"})
"""Those that a model has that only infers."""


def features(wanted: Any) -> frozenset[str]:
    """Names of features: `all`, `none`, or some of them, in a list or between commas.

    Raises:
        UsageError: there is no such feature.
    """
    if isinstance(wanted, str):
        if wanted in ("all", "none"):
            return EVERY if wanted == "all" else frozenset()
        names = [name.strip() for name in wanted.split(",")]
    else:
        names = list(wanted) if isinstance(wanted, Iterable) else [wanted]
    unknown = [name for name in names if name not in EVERY]
    if unknown:
        raise UsageError(
            f"there is no feature {', '.join(map(shown, unknown))}",
            where="features",
            hint=f"all, none, or some of {', '.join(FEATURES)}",
        )
    return frozenset(names)
