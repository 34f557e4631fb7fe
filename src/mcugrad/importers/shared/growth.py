"""What a small file may grow to: nodes once functions are written out, and numbers once weights are; one tensor."""

from __future__ import annotations

from mcugrad.errors import ModelError

NODE_LIMIT = 20_000
"""Nodes, or operators, that a network may have: ten times as many as the largest for microcontrollers."""
WEIGHT_LIMIT = 1 << 26
"""Numbers that all constants of a network together may have."""
ELEMENT_LIMIT = 1 << 24
"""Elements that any one tensor may have: far beyond every microcontroller, far below this computer's memory."""
_MANY = 10**15


def demand_few_nodes(count: int, label: str) -> None:
    """Refuse a network of too many nodes. Raises ModelError."""
    if count > NODE_LIMIT:
        number = f"{count:,}" if count < _MANY else f"more than {_MANY:,}"
        raise ModelError(
            f"the network has {number} nodes, functions written out; at most {NODE_LIMIT:,} are supported",
            where=label,
            hint="a smaller network, or one without functions that call functions",
        )


def demand_few_weights(count: int, label: str) -> None:
    """Refuse constants of too many numbers. Raises ModelError."""
    if count > WEIGHT_LIMIT:
        raise ModelError(
            f"the weights up to {label} are {count:,} numbers; at most {WEIGHT_LIMIT:,} are supported",
            where=label,
            hint="a smaller network",
        )
