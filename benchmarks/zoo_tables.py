"""The tables of docs/zoo.md, written from what `benchmarks/zoo.py` measured."""

from __future__ import annotations

import re

from bars import ROOT, Results, markdown

from mcugrad.passes.calibrate import Method
from mcugrad.zoo import nets

DOCUMENT = ROOT / "docs/zoo.md"
CLOCK = 100e6
"""Hz, for times."""
METHODS: tuple[Method, ...] = ("mse", "minmax")
"""Calibration: the default, which the bar is for, and all values taken in, for comparison."""


def table(results: Results) -> str:
    """Cost of training, and the loss."""
    head = (
        *("network, input", "parameters", "million MACs", "RAM of the model, KiB", "flash, KiB"),
        *(
            "million instructions, prediction",
            "million instructions, step",
            "ms per step at 100 MHz, estimated",
        ),
        *("loss of the first epoch", "of the last"),
    )
    rows = [
        (
            f"`{c['network']}` {c['input']}",
            f"{c['parameters']:,}",
            f"{c['macs'] / 1e6:.2f}",
            f"{c['ram'] / 1024:.1f}",
            f"{c['flash'] / 1024:.1f}",
            f"{c['predict'] / 1e6:.2f}",
            f"{(c['step'] or 0) / 1e6:.2f}",
            f"{c['step_cycles'] / CLOCK * 1e3:,.0f} ± {c['band_percent']} %",
            f"{c['loss_first']:.3f}",
            f"{c['loss_last']:.3f}",
        )
        for c in results.get("cases", [])
    ]
    return markdown(head, rows)


def agreement_table(results: Results) -> str:
    """int8 inference beside float32."""
    rows = [
        (
            f"`{a['network']}` {a['input']}",
            a["epochs"],
            *(f"{100 * a[key]:.2f}" for key in ("float_accuracy", "mse_accuracy")),
            *(f"{100 * a[f'{method}_agreement']:.2f}" for method in METHODS),
        )
        for a in results.get("agreement", [])
    ]
    head = (
        *("network, input", "epochs", "test accuracy, onnxruntime float32, %", "int8, %"),
        *("same class, %", "same class, calibrated by `minmax`, %"),
    )
    return markdown(head, rows)


def litert_table(results: Results) -> str:
    """int8 TFLite files beside LiteRT."""
    head = (
        *(
            "network, input",
            "outputs equal, %",
            "within 1 step, %",
            "largest difference, steps",
            "same class, %",
        ),
        *("images that differ", "outputs of layers compared", "that differ"),
    )
    rows = []
    for r in results.get("litert", []):
        rows.append(
            (
                f"`{r['network']}` {r['input']}",
                f"{100 * r['outputs_equal']:.3f}",
                f"{100 * r['outputs_within_1']:.3f}",
                r["largest_difference"],
                f"{100 * r['top1']:.2f}",
                r["differ"],
                f"{r['compared']:,}",
                sum(r["layers_differ"].values()),
            )
        )
    return markdown(head, rows)


def catalogue() -> str:
    """What there is."""
    rows = [
        (
            f"`{name}`",
            "x".join(map(str, nets.about(name).input_shape)),
            nets.about(name).classes or "its input",
            nets.about(name).summary,
        )
        for name in nets.names()
    ]
    head = "| network | input | outputs | what |\n| ------- | ------: | ------: | ---- |\n"
    return head + "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def source(results: Results, part: str) -> str:
    """How the numbers of a part were got, the last time one of them was."""
    where = results["origins"][part]
    return f"`{where['command']}`, commit {where['commit']}, {where['machine']}, {where['compiler']}"


def document(results: Results, text: str) -> str:
    """docs/zoo.md with its tables made anew."""
    blocks = {
        "networks": catalogue(),
        "training": f"{table(results)}\n\n{source(results, 'cases')}",
        "inference": f"{agreement_table(results)}\n\n{source(results, 'agreement')}",
        "litert": f"{litert_table(results)}\n\n{source(results, 'litert')}",
    }
    for marker, block in blocks.items():
        begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
        text, count = re.subn(
            f"{begin}.*?{end}",
            lambda _, b=block, m=(begin, end): f"{m[0]}\n{b}\n{m[1]}",
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            raise SystemExit(f"error: {DOCUMENT.name} has {count} places for {marker}")
    return text


def tables(results: Results) -> str:
    return f"{table(results)}\n\n{agreement_table(results)}\n\n{litert_table(results)}"
