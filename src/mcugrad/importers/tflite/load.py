"""TFLite files as graphs. Nothing else in mcugrad sees TFLite.

Maps are (height, width, channels) and a sequence is a map of height 1, as on the device; the batch disappears. What
has no effect on a trained network's choice of class is left out: a softmax at the end, QUANTIZE and DEQUANTIZE at the
borders. Operators: `operators.RULES`.

A full-integer network keeps its scales and zero points, with these exceptions: a tabulated function's output has the
scale in which its whole table fits, and PRELU and LEAKY_RELU with slopes from 0 to 1 keep their input's.

Its results are those of LiteRT with its default kernels, code for code, but for leaky ReLU, PReLU with negative slopes
and what XNNPACK has no kernel for: docs/arithmetic.md, section 11.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from mcugrad.errors import ModelError
from mcugrad.files import shown
from mcugrad.graph import Graph
from mcugrad.importers.shared.alike import alike
from mcugrad.importers.shared.flow import Flow, Layout, layouts
from mcugrad.importers.shared.hints import INTEGERS, anew
from mcugrad.importers.shared.layout import first_fit, input_notes
from mcugrad.importers.shared.layout import output as final
from mcugrad.importers.shared.names import identifier
from mcugrad.importers.tflite.builder import INPUT, Builder, activation_scale
from mcugrad.importers.tflite.constants import computed, static, with_real_constants
from mcugrad.importers.tflite.layers import CHANNEL_AXIS
from mcugrad.importers.tflite.operators import AT_THE_END, KEEPS_VALUES, RULES, SEVERAL_OUTPUTS, Rule, hint
from mcugrad.importers.tflite.read import Source, Step, Stored, guarded, read
from mcugrad.importers.tflite.shapes import left_out

FLOATS = ("float32", "float16")


def load_tflite(source: str | Path | bytes, *, name: str | None = None) -> Graph:
    """Read a TFLite model.

    Args:
        source: path, or the file's contents.
        name: model name; by default the file's name, or for bytes the graph's.

    Returns:
        A graph from an input of shape (height, width, channels) or (features,) to a vector. That of a full-integer
        network has the file's scales on every tensor; all others are float32 without scales.

    Raises:
        ModelError: the file is missing or damaged, operators are not supported (all are listed), weights are not
            finite or not constant, shapes do not match.
        ToolError: the package `tflite` is not installed.
    """
    found = read(source)
    stem = name or (found.name if isinstance(source, bytes) else Path(shown(source)).stem)
    return guarded(found.label, lambda: _translate(found, identifier(stem or "")))


def _translate(source: Source, name: str) -> Graph:
    source = with_real_constants(source)
    fixed = static(source)
    end = _left_out_from(source.steps, fixed)
    _check_operators(Builder(source, quantized=False), end, fixed)
    quantized, notes = _mode(source, end, fixed)
    to, output = first_fit(
        layouts(source.tensors[source.input].shape[1:], first=False),
        lambda layout: Builder(source, quantized=quantized),
        lambda to, layout: _run(to, layout, end, fixed),
    )
    if not to.nodes:
        raise ModelError(
            "the graph is empty: no operator computes anything",
            where=source.label,
            hint="convert the whole network",
        )
    if to.anew:
        notes.append(anew(to.anew))
    graph = Graph(
        name=name,
        nodes=tuple(to.nodes),
        tensors=to.tensors,
        input=INPUT,
        output=output,
        alike=alike(to.nodes, to.tensors),
    )
    return graph.noted(*source.notes, *notes, *to.notes, *input_notes(to, to.flows[source.input]))


def _run(to: Builder, layout: Layout, end: int, fixed: set[int]) -> str:
    """Translate every operator; the output's name."""
    source = to.source
    x = to.flows[source.input] = to.enter(layout)
    if to.quantized:
        scale = activation_scale(_entry(source), INPUT)
        to.tensors[INPUT] = replace(to.tensors[INPUT], quant=scale)
    for i, step in enumerate(source.steps):
        if step.outputs[0] in fixed:
            to.constants[step.outputs[0]] = computed(to, step)
            continue
        if i >= end and step.kind in (*AT_THE_END, "QUANTIZE"):
            x = to.flows[step.inputs[0]]
            made: Flow | tuple[Flow, ...] = left_out(to, step, x) if i == end else x
        else:
            made = _translated(to, step, fixed)
        values = made if isinstance(made, tuple) else (made,)
        to.flows.update(zip(step.outputs, values, strict=False))
    return final(to, source.steps[-1], to.flows[source.output])


def _translated(to: Builder, step: Step, fixed: set[int]) -> Flow | tuple[Flow, ...]:
    """What an operator becomes. What is wrong with constants that were computed only now is found here."""
    rule = RULES[step.kind]
    if fixed.intersection(step.inputs) and (reason := rule.problem(to, step)):
        raise ModelError(
            "1 operator cannot be translated",
            where=f"{step.title}: {reason}",
            hint=hint(step.kind) or "convert the network again",
        )
    places = [rule.input, *(range(len(step.inputs)) if rule.joins else ())]
    return rule.translate(to, step, next(to.flows[j] for p in places if (j := step.inputs[p]) in to.flows))


def _left_out_from(steps: tuple[Step, ...], fixed: set[int]) -> int:
    """Index of the softmax or sigmoid that ends the network; the number of steps where there is none."""
    last = len(steps) - 1
    while last >= 0 and (steps[last].kind in KEEPS_VALUES or steps[last].outputs[0] in fixed):
        last -= 1
    return last if last >= 0 and steps[last].kind in AT_THE_END else len(steps)


# -- int8 or float -------------------------------------------------------------------------------------------------


def _mode(source: Source, end: int, fixed: set[int]) -> tuple[bool, list[str]]:
    """Whether the network is full-integer, and what to tell about it.

    Raises:
        ModelError: activations are of another type than float32, int8 and uint8.
    """
    kinds = Counter(source.tensors[i].dtype for i in _inner(source, end, fixed) - fixed)
    other = {kind: count for kind, count in kinds.items() if kind not in (*FLOATS, "int8", "uint8")}
    if other:
        words = source.tensors[source.input].dtype in ("int32", "int64")
        raise ModelError(
            f"{sum(other.values())} of {sum(kinds.values())} activations are {' and '.join(other)}; "
            "float32, int8 and uint8 are supported",
            where=source.label,
            hint=INTEGERS if words else "full-integer quantization with int8 activations, or a float network",
        )
    layers = [s for s in source.steps if s.kind in CHANNEL_AXIS and len(s.inputs) > 1]
    weights = Counter(source.tensors[s.inputs[1]].dtype for s in layers if s.inputs[1] >= 0)
    if not kinds["int8"] and not kinds["uint8"]:
        notes = [f"weights converted from {kind} to float32" for kind in weights if kind != "float32"]
        return False, notes
    if any(kinds[kind] for kind in FLOATS):
        return False, [
            "parts of the network are float: the scales of its int8 parts are left out, calibration finds new ones"
        ]
    unsuited = [s for s in layers if not _suits(source, s)]
    if unsuited:
        return False, [
            f"{len(unsuited)} of {len(layers)} layers have no weights of 8 bits, or a bias that is not integer: the "
            "file's scales are left out, calibration finds new ones"
        ]
    return True, []


def _inner(source: Source, end: int, fixed: set[int]) -> set[int]:
    """Computed tensors, without those at the borders that only wrap the network in another type."""
    steps = source.steps
    inner = {i for s in steps for i in (*s.inputs, *s.outputs) if i >= 0 and source.tensors[i].data is None}
    readers = [s.kind for s in steps if source.input in s.inputs]
    entries = {_codes(source, s.outputs[0]) for s in steps if source.input in s.inputs}
    if set(readers) == {"QUANTIZE"} and len(entries) == 1:
        inner.discard(source.input)
    last = len(steps)
    while last > 0 and (
        steps[last - 1].kind in KEEPS_VALUES or last - 1 == end or steps[last - 1].outputs[0] in fixed
    ):
        last -= 1
        inner.difference_update(
            i for i in steps[last].outputs if source.tensors[i].dtype in FLOATS or last >= end
        )
    return inner


def _codes(source: Source, index: int) -> tuple[float, int] | None:
    """Scale and zero point of an activation as int8; None if it has none."""
    tensor = source.tensors[index]
    if not tensor.is_int8 or tensor.scales.size != 1:
        return None
    return float(tensor.scales[0]), int(tensor.zeros[0]) - (128 if tensor.dtype == "uint8" else 0)


def _suits(source: Source, step: Step) -> bool:
    """Whether a layer is quantized in the file, with weights of 8 bits and a bias in units of the accumulator."""
    w = source.tensors[step.inputs[1]]
    place = 3 if step.kind == "TRANSPOSE_CONV" else 2
    bias = source.tensors.get(step.inputs[place]) if len(step.inputs) > place else None
    return w.is_int8 and (bias is None or bias.dtype in ("int32", "int64"))


def _entry(source: Source) -> Stored:
    """The tensor that has the input's scale: the input, or what QUANTIZE makes of a float input."""
    stored = source.tensors[source.input]
    if stored.is_int8:
        return stored
    return source.tensors[next(s.outputs[0] for s in source.steps if source.input in s.inputs)]


# -- what is not supported -----------------------------------------------------------------------------------------


def _check_operators(to: Builder, end: int, fixed: set[int]) -> None:
    """Refuse what cannot be translated, all at once."""
    steps = to.source.steps
    problems = []
    hints = []
    for i, step in enumerate(steps):
        reason = "" if i == end or step.outputs[0] in fixed else _problem(to, step, fixed)
        if reason:
            problems.append(f"{step.title}: {reason}")
            hints.append(hint(step.kind))
    if problems:
        what = "1 operator" if len(problems) == 1 else f"{len(problems)} of {len(steps)} operators"
        raise ModelError(
            f"{what} cannot be translated",
            where=";  ".join(problems),
            hint="; ".join(dict.fromkeys(h for h in hints if h)) or f"supported are {', '.join(RULES)}",
        )


def _problem(to: Builder, step: Step, fixed: set[int]) -> str:
    rule = RULES.get(step.kind)
    if step.kind in AT_THE_END and rule is None:
        return "only supported at the end"
    if rule is None:
        return "operator is not supported"
    unread = [to.source.tensors[i].name for i in step.inputs if i in to.source.unread]
    if unread:
        return f"{unread[0]} is read but neither computed before nor constant"
    if len(step.outputs) > 1 and step.kind not in SEVERAL_OUTPUTS:
        return f"{len(step.outputs)} outputs; 1 is supported"
    try:
        return _constants_problem(to, step, rule, fixed)
    except ModelError as error:
        return error.what


def _constants_problem(to: Builder, step: Step, rule: Rule, fixed: set[int]) -> str:
    """What is wrong with the constants of an operator, as far as they are known yet."""
    known = [to.has(step, i) and to.stored(step, i).data is not None for i in range(len(step.inputs))]
    if not rule.joins:
        if to.stored(step, rule.input).data is not None or step.inputs[rule.input] in fixed:
            return "does not depend on the input"
        for i, index in enumerate(step.inputs):
            if i != rule.input and to.has(step, i) and not known[i] and index not in fixed:
                return f"{to.stored(step, i).name} is computed; weights and options must be constant"
    return "" if fixed.intersection(step.inputs) else rule.problem(to, step)
