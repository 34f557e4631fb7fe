"""Amalgamate: what a kernel calls is taken, and nothing that it only talks about."""

from __future__ import annotations

import pytest

from mcugrad.emit import amalgamate as module
from mcugrad.emit.amalgamate import amalgamate

FUNCTIONS = sorted(module._files())
OTHERS = " ".join(FUNCTIONS)
TALK = {
    "block": f"/* As in {OTHERS}, but for the rest. */\n",
    "lines": "".join(f"// see {name}()\n" for name in FUNCTIONS),
    "text": f'static const char mcg_note[] = "/* {OTHERS} */";\n',
}


def taken(function: str) -> list[str]:
    """A function and all that it calls."""
    ordered: list[str] = []
    module._visit(function, ordered)
    return ordered


@pytest.mark.parametrize("talk", TALK)
def test_what_is_only_named_is_not_taken(talk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the comment, before the function and behind it."""
    plain = {name: taken(name) for name in FUNCTIONS}
    text = module._text
    monkeypatch.setattr(module, "_text", lambda name: f"{TALK[talk]}{text(name)}{TALK[talk]}")
    for name in FUNCTIONS:
        assert taken(name) == plain[name], name
    assert max(map(len, plain.values())) > 3


def test_inline_functions_that_are_only_named_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    text, talk = module._text, "/* not mcg_random_part */\n// nor mcg_random_part\n"
    assert "mcg_random_part(" in amalgamate(["mcg_augment_s8"], [])
    assert "mcg_random_part(" not in amalgamate(["mcg_mean_rate"], [])
    monkeypatch.setattr(module, "_text", lambda name: talk + text(name))
    assert "mcg_random_part(" not in amalgamate(["mcg_mean_rate"], [])
