"""Render: the templates of this package, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_ENVIRONMENT = Environment(
    loader=PackageLoader("mcugrad.emit"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template, filled in."""
    return _ENVIRONMENT.get_template(template).render(context)


def _c_string(text: str) -> str:
    """A text inside of a C string literal: printable ASCII, the rest in UTF-8 as octal escapes."""
    plain = {ord("\\"): "\\\\", ord('"'): '\\"', ord("?"): "\\?"}
    return "".join(
        plain.get(byte, chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
        for byte in text.encode("utf-8", "replace")
    )


_ENVIRONMENT.filters["c_string"] = _c_string
