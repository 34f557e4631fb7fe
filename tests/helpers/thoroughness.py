"""How much is tried: what shows a mistake within minutes, or every combination, by `make test-long`."""

from __future__ import annotations

import os

LONG = "MCUGRAD_TEST_LONG" in os.environ
"""Whether every combination is tried."""
