"""HTML: one page, one file. No script, no address of another computer; light and dark; prints well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mcugrad._version import __version__
from mcugrad.measure.memory import Memory
from mcugrad.report.chart import Line, shares, values
from mcugrad.report.memory import flash_rows, piece_rows, ram_rows
from mcugrad.report.quantities import percent, significant
from mcugrad.report.scores import Score
from mcugrad.training.losses import LABEL_KINDS

_ENVIRONMENT = Environment(
    loader=PackageLoader("mcugrad.report"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=True,
)
_ENVIRONMENT.filters["percent"] = percent
_ENVIRONMENT.filters["significant"] = significant


def model_page(
    facts: Mapping[str, Any],
    work: Sequence[tuple[str, ...]],
    files: Mapping[str, str],
    memory: str,
    parts: Memory | None = None,
) -> str:
    """The report of a network on a device.

    Args:
        facts: as `mcugrad report --json` gives them.
        work: rows of the table of work.
        files: text of the exported files by name.
        memory: the working memory over time, as SVG.
        parts: RAM and flash of the linked image; None for no tables of them.
    """
    score = Score(LABEL_KINDS[facts["loss"]], facts["outputs"])
    training, held_out = score.curve_keys
    curve = facts["curve"]
    lines = [Line("training", [(p["step"], p[training]) for p in curve], "old")]
    if curve[0][held_out] is not None:
        lines.insert(0, Line("held out", [(p["step"], p[held_out]) for p in curve], "new"))
    if score.is_share:
        chart = shares(lines, "training steps", score.title)
    else:
        chart = values(lines, "training steps", f"{score.title}, the lower the better", score.title)
    held = (
        None if curve[0][held_out] is None else [score.page_text(p[held_out]) for p in (curve[0], curve[-1])]
    )
    tables = () if parts is None else (ram_rows(parts), flash_rows(parts))
    pieces = () if parts is None else piece_rows(parts)
    return render(
        "model.html.j2",
        facts,
        work,
        files,
        chart=chart,
        score=score,
        held_out=held,
        memory=memory,
        tables=tables,
        pieces=pieces,
    )


def render(
    template: str,
    facts: Mapping[str, Any],
    work: Sequence[tuple[str, ...]],
    files: Mapping[str, str],
    **more: Any,
) -> str:
    """A page by its template: of `facts`, rows of the table of work, exported files, and what only it shows."""
    return _ENVIRONMENT.get_template(template).render(
        facts=facts,
        cost={kind: {q["key"]: q for q in rows} for kind, rows in facts["cost"].items()},
        work=work,
        files=[(name, len(text.encode()), text.count("\n")) for name, text in sorted(files.items())],
        version=__version__,
        **more,
    )
