"""Writes docs/operators.md from the registry of operators; `--check` fails if it is not up to date."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterable

from bars import ROOT, markdown

from mcugrad.importers.onnx import operators as onnx
from mcugrad.importers.onnx.operators import HIDDEN
from mcugrad.importers.shared import hints
from mcugrad.importers.tflite import operators as tflite
from mcugrad.ops.activation.curves import Function
from mcugrad.ops.families import FAMILIES
from mcugrad.ops.registry import GROUPS, LEFT_OUT, Entry
from mcugrad.training.losses import LABEL_KINDS, LabelKind
from mcugrad.training.rules import RULES

DOCUMENT = ROOT / "docs/operators.md"

HEAD = """\
# Operators

What a network may consist of. Written from the classes by `python benchmarks/write_operators.py`; a test fails when
this page, the classes and the importers do not agree.

Everything that flows between operators is int8 with one scale and one zero point per tensor, or one vector of int8
errors on the way back. Sums are int32. Weights are int8 with a scale per output channel, biases and scales float32.
Where `precision=` says so, all of it is float32; kernels and nodes listed here are those of int8. PyTorch modules come
through ONNX. What is not listed here is refused when a file is loaded, all of it at once, with
what to use instead.

Operators, their references in Python, kernels in C, headers and tests are ordered by the same families. Those without
operators serve training: it is made of nodes and kernels like everything else.
"""

LATER = """\
## What comes later

Refused today, by a message that names it and says what to use until then. `train="last:N"` does not help: layers that
do not train have to compute, too.
"""

COMES_LATER = (
    ("recurrent layers", hints.RECURRENT, "convolutions over time"),
    ("several inputs or outputs", hints.SEVERAL, "the part from one input to one output"),
    ("state that is kept between samples", hints.STATE, "a network without"),
    ("integer inputs, as of an embedding", hints.INTEGERS, "the part behind the embedding"),
    (
        "attention: products of computed values, softmax in between",
        hints.ATTENTION,
        "convolutions",
    ),
    (
        "norms by statistics of the sample itself",
        hints.NORMS,
        "batch-norm, trained on the PC and folded into the layers beside it",
    ),
    (
        "vectors scaled to length 1",
        hints.UNIT_LENGTH,
        "the vector as it is; whoever compares vectors divides",
    ),
    ("bilinear upsampling", hints.BILINEAR, "nearest neighbour by whole factors"),
    ("pixel shuffle", hints.SUBPIXEL, "transposed convolutions"),
    ("padding by reflection or repetition", hints.ZEROS, "zeros"),
)
"""What, the hint that the importers give for its operators, what to use until then."""

LABEL_TEXTS = {
    LabelKind.CLASS: "the index of one class",
    LabelKind.BITS: "0 or 1 for every output",
    LabelKind.VALUES: "a quantized value for every output",
}


def code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def refused(hint: str) -> list[str]:
    """Operators in files for which the importers give this hint."""
    tables = (onnx.HINTS, tflite.HINTS)
    return list(dict.fromkeys(name for table in tables for name, said in table.items() if said == hint))


def overview(entries: Iterable[Entry]) -> str:
    """Which operator comes from what, and what training does with it."""
    rows = [
        (
            f"[{e.operator.__name__}](#{e.operator.__name__.lower()})",
            code(name for name in e.onnx if name not in HIDDEN),
            code(e.tflite),
            ", ".join(p.text for p in e.precisions) or "nothing: folded",
            code(RULES) if e.learns else "nothing",
            "yes" if e.carries_errors else "folded",
            "yes" if e.fuses else "no",
        )
        for e in entries
    ]
    head = ("operator", "from ONNX", "from TFLite", "computes in", "learns by", "gradient", "fuses a clip")
    return markdown(head, rows)


def details(entry: Entry) -> str:
    """One operator."""
    lines = [f"### {entry.operator.__name__}", "", f"{entry.summary} {entry.limits}".strip(), ""]
    weights = "; weights int8, residual bits (sr10, sr12, sr16), biases float32" if entry.learns else ""
    lines.append(f"* types: {'float32, folded' if not entry.carries_errors else 'int8'}{weights}")
    for node in entry.backward:
        text = (inspect.getdoc(node) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"* backward: `{node.__name__}`. {text}")
    if entry.carries_errors and not entry.backward:
        lines.append("* backward: errors move as they are, rescaled where scales differ")
    if entry.kernels:
        lines.append(f"* kernels: {code(entry.kernels)}")
    return "\n".join(lines)


def function_texts() -> str:
    """Functions that tables hold."""
    return code(f.name.lower() for f in Function)


def families() -> str:
    """All of them, and what is in each."""
    rows = [
        (
            f.name,
            f.what,
            code(e.operator.__name__ for e in GROUPS.get(f.name, ())),
            f"`mcg_{f.name}.h`" if f.kernels else "-",
        )
        for f in FAMILIES
    ]
    return markdown(("family", "what", "operators", "kernels"), rows)


def document() -> str:
    """The page."""
    parts = [HEAD, families(), ""]
    for family in FAMILIES:
        entries = GROUPS.get(family.name, ())
        if not entries:
            continue
        parts += [f"## {family.name.capitalize()}\n", overview(entries), ""]
        for entry in entries:
            parts += [details(entry), ""]
            if entry.operator.__name__ == "Activation":
                parts += [f"Functions: {function_texts()}.", ""]
    parts += ["## What leaves no node behind\n"]
    rows = [(why, code(of_onnx), code(of_tflite)) for why, (of_onnx, of_tflite) in LEFT_OUT.items()]
    parts += [markdown(("why", "ONNX", "TFLite"), rows), "", LATER]
    later = [(what, code(refused(hint)), instead) for what, hint, instead in COMES_LATER]
    parts += [markdown(("what", "in files", "until then"), later), "", "## Update rules\n"]
    rules = [(f"`{r.name}`", f"{r.bytes_per_weight:g}", r.summary) for r in RULES.values()]
    parts += [markdown(("rule", "bytes per weight", "what"), rules), "", "## Losses\n"]
    losses = [(f"`{name}`", LABEL_TEXTS[kind], f"`{kind.value}`") for name, kind in LABEL_KINDS.items()]
    parts += [markdown(("loss", "a sample's label", "in C"), losses)]
    return "\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the page is out of date"
    )
    if not parser.parse_args().check:
        DOCUMENT.write_text(document(), encoding="utf-8")
        return 0
    if not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != document():
        print("docs/operators.md is out of date: python benchmarks/write_operators.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
