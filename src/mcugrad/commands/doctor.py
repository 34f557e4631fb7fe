"""mcugrad doctor: which tools are here, and what the missing ones would unlock."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from mcugrad.commands.options import Json
from mcugrad.commands.output import Output

if TYPE_CHECKING:
    from mcugrad.toolchain import Tool

_NEEDED = ("zig", "unicorn", "capstone", "pyelftools", "digits")
"""What the demonstration cannot do without."""


def doctor(json: Json = False) -> None:
    """Show which tools are found, and what each missing one would unlock. Exits 1 if the demo cannot run."""
    from mcugrad import toolchain
    from mcugrad.toolchain import cache, processor

    output = Output(json)
    tools = [*toolchain.doctor(), _digits()]
    missing = [tool for tool in tools if tool.name in _NEEDED and not tool.found]
    output.say(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}", strong=True)
    rows = [
        (
            "found" if tool.found else "broken" if tool.problem else "-",
            tool.name,
            (tool.version if tool.found else tool.problem or "not found").split("\n")[0],
            tool.unlocks,
        )
        for tool in tools
    ]
    output.table("tools", ("", "tool", "version", "good for"), rows)
    for title, broken in (("how to get what is not found", False), ("how to repair what is broken", True)):
        absent = [
            (tool.name, tool.install) for tool in tools if not tool.found and bool(tool.problem) == broken
        ]
        if absent:
            output.table(title, ("", ""), absent)
    place, twin = cache.root(), processor.describe()
    output.table("settings", ("", "", ""), settings(str(place), twin))
    needed = ", ".join(tool.name for tool in missing)
    output.say(f"\nmcugrad demo cannot run without {needed}" if missing else "\nmcugrad demo can run")
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "tools": [{**asdict(tool), "needed_for_demo": tool.name in _NEEDED} for tool in tools],
        "demo": not missing,
        "cache": str(place),
        "host_cpu": twin,
    }
    output.finish(facts)
    if missing:
        raise typer.Exit(1)


def settings(cache: str, host_cpu: str) -> list[tuple[str, str, str]]:
    """What environment variables say, and what it is where they say nothing."""
    data = os.environ.get("MCUGRAD_DATA") or "-"
    return [
        ("MCUGRAD_CACHE", cache, "where builds and downloads are kept"),
        ("MCUGRAD_HOST_CPU", host_cpu, "what the twin is built for"),
        ("MCUGRAD_DATA", data, "where data sets are looked for first"),
    ]


def _digits() -> Tool:
    from mcugrad.errors import McugradError
    from mcugrad.toolchain import Tool
    from mcugrad.zoo import data

    try:
        version = f"{len(data.load('digits', download=False).x_train)} images"
    except McugradError:
        version = ""
    return Tool("digits", bool(version), version, "the data of mcugrad demo", "pip install 'mcugrad[demo]'")
