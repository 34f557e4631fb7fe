"""What tests of costs share."""

from __future__ import annotations

import pytest

from mcugrad.measure import cost, layers


@pytest.fixture
def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bounds of stack, which take longer than all that is counted; test_linked_memory.py shows them."""
    for module in (cost, layers):
        monkeypatch.setattr(module, "memory", lambda *_: None)
