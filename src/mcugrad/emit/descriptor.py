"""Descriptor: the constant by which the functions around a model's steps know it, `mcg_model_t`.

Its members are read from the C header, in their order; a member that nothing here gives a value is an error.
"""

from __future__ import annotations

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


def descriptor(program: Program, layout: Layout, shape: tuple[int, ...]) -> list[tuple[str, str]]:
    """Members of the constant with their values in C, in order.

    Args:
        program: of the model.
        layout: its places.
        shape: of its input.
    """
    values = _values(program, layout, shape)
    return [(name, values[name]) for name, _, _ in members("mcg_model_t")]


def _values(program: Program, layout: Layout, shape: tuple[int, ...]) -> dict[str, str]:
    own, place = program.name.upper(), layout.offsets
    scale = program.buffers[program.output_scale] if program.output_scale else None
    learned = scale is not None and scale.space is Space.STATE
    values = program.values
    training = program.trains
    return {
        "fingerprint": f"{own}_FINGERPRINT",
        "input_size": f"{own}_INPUT_SIZE",
        **{f"input_{side}": number(size, "int32_t") for side, size in zip("hwc", map_of(shape), strict=True)},
        "input_scale": f"{own}_INPUT_SCALE",
        "input_zero": f"{own}_INPUT_ZERO",
        "output_size": f"{own}_OUTPUT_SIZE",
        "label_kind": KINDS[program.label_kind],
        "label_scale": number(values.scale if values else 1, "float"),
        "label_zero": number(values.zero if values else 0, "int32_t"),
        "output_zero": number(program.output_zero, "int32_t"),
        "output_real": "true" if program.buffers[program.output].ctype == "float" else "false",
        "output": number(place.get(program.output, 0), "uint32_t"),
        "output_scale": f"&{program.name}_{scale.name}" if scale is not None and not learned else "NULL",
        "output_scale_place": number(place[scale.name] if learned and scale else 0, "uint32_t"),
        "replay_classes": number(program.replay_classes, "int32_t"),
        "slot_words": number(program.slot_words, "int32_t"),
        "params": number(HEADER_SIZE if training else 0, "uint32_t"),
        "params_size": f"{own}_PARAMS_SIZE",
        **{name: number(place.get(name, 0), "uint32_t") for name in ("schedule", "watch", "step")},
        "forward": f"{program.name}_compute",
        "train": f"{program.name}_learn_from" if training else "NULL",
        "train_soft": f"{program.name}_learn_soft" if TRAIN_SOFT in program.entries else "NULL",
    }
