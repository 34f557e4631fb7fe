"""Descriptor: the constant by which the functions around a model's steps know it, `mcg_model_t`.

Its members are read from the C header, in their order; a member that nothing here gives a value is an error.
"""

from __future__ import annotations

from typing import Any

from mcugrad.abi.structs import members
from mcugrad.emit.layout import HEADER_SIZE, Layout
from mcugrad.emit.literals import number
from mcugrad.program import TRAIN_SOFT, Program, Space
from mcugrad.training.augment import map_of
from mcugrad.training.losses import LabelKind

KINDS = {
    LabelKind.CLASS: "MCG_LABEL_CLASS",
    LabelKind.BITS: "MCG_LABEL_BITS",
    LabelKind.VALUES: "MCG_LABEL_VALUES",
}
"""Values of `mcg_label_kind_t`."""
_MACROS = ("input_size", "input_scale", "input_zero", "output_size", "params_size", "fingerprint")
"""Members whose values have names in a model's header."""


def constants(program: Program, layout: Layout, input_scale: float, fingerprint: int) -> dict[str, Any]:
    """What the descriptor holds, but for functions, by the names of its members.

    Args:
        program: of the model.
        layout: its places.
        input_scale: real units per step of the input.
        fingerprint: the word that it keeps of its fingerprint.
    """
    place, source = layout.offsets, program.buffers[program.input]
    scale = program.buffers[program.output_scale] if program.output_scale else None
    learned = scale is not None and scale.space is Space.STATE
    height, width, channels = map_of(source.shape)
    return {
        "fingerprint": fingerprint,
        "input_size": source.count,
        "input_h": height,
        "input_w": width,
        "input_c": channels,
        "input_scale": input_scale,
        "input_zero": program.input_zero,
        "output_size": program.classes,
        "label_kind": program.label_kind,
        "label_scale": program.values.scale if program.values else 1.0,
        "label_zero": program.values.zero if program.values else 0,
        "output_zero": program.output_zero,
        "output_real": program.buffers[program.output].ctype == "float",
        "output": place[program.output],
        "output_scale": None
        if scale is None or learned or scale.value is None
        else float(scale.value.reshape(-1)[0]),
        "output_scale_place": place[scale.name] if scale is not None and learned else 0,
        "replay_classes": program.replay_classes,
        "slot_words": program.slot_words,
        "params": HEADER_SIZE if program.trains else 0,
        "params_size": layout.params_size,
        **{name: place.get(name, 0) for name in ("schedule", "watch", "step")},
    }


def of_rest(program: Program) -> dict[str, Any]:
    """What is other in that of what follows the frozen layers: its samples are latents."""
    size = program.stored
    return {"input_size": size, "input_h": 1, "input_w": 1, "input_c": size}


def descriptor(
    program: Program, layout: Layout, input_scale: float, features: frozenset[str], *, rest: bool = False
) -> list[tuple[str, str]]:
    """Members of the constant with their values in C, in order.

    Args:
        program: of the model.
        layout: its places.
        input_scale: real units per step of the input.
        features: what the model has.
        rest: whether it is that of what follows the frozen layers.
    """
    values = constants(program, layout, input_scale, 0) | (of_rest(program) if rest else {})
    given = {name: _literal(kind, values[name]) for name, kind, _ in members("mcg_model_t") if name in values}
    if values["output_scale"] is not None:
        given["output_scale"] = f"&{program.name}_{program.output_scale}"
    given |= {name: f"{program.name.upper()}_{name.upper()}" for name in _MACROS}
    if rest:
        given["input_size"] = f"{program.name.upper()}_LATENTS_SIZE"
    name = f"{program.name}_rest" if rest else program.name
    given["forward"] = f"{name}_compute"
    given["train"] = f"{name}_learn_from" if program.trains else "NULL"
    given["train_soft"] = f"{name}_learn_soft" if TRAIN_SOFT in program.entries else "NULL"
    given["augment"] = f"{name}_augment" if "augment" in features and not rest else "NULL"
    return [(name, given[name]) for name, _, _ in members("mcg_model_t")]


def _literal(kind: str, value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, LabelKind):
        return KINDS[value]
    return str(value).lower() if kind == "bool" else number(value, kind)
