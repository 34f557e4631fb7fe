"""Interface: a model's functions around its steps, each one call of the runtime's with the descriptor."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcugrad.emit.wrap import wrap_call
from mcugrad.program import TRAIN_SOFT, Program
from mcugrad.training.features import OF_PREDICTION
from mcugrad.training.losses import LabelKind

_NAMED = re.compile(r"(\w+)(?:\[\w*\])?$")


@dataclass(frozen=True)
class Function:
    """A function of a model.

    Attributes:
        name: behind the model's prefix.
        params: as C declares them. `{name}` and `{NAME}` are the model's, `{label}` is that of a sample, `{labels}` are
            those of several, `{logit}` is the type of a logit.
        runtime: the function that does it.
        needs: features without which it is not there.
        trains: whether it is for models that train alone.
    """

    name: str
    params: tuple[str, ...]
    runtime: str = ""
    needs: frozenset[str] = frozenset()
    trains: bool = True

    @property
    def kernel(self) -> str:
        """Name of the runtime's function."""
        return self.runtime or f"mcg_{self.name}"


_M, _X, _Y = "{name}_t *m", "const int8_t x[{NAME}_INPUT_SIZE]", "int8_t x[{NAME}_INPUT_SIZE]"
_HOW, _STEP = "const mcg_adc_t *how", "{name}_step_t *step"
_REPLAY, _SNAPSHOT = "{name}_replay_t *replay", "{name}_snapshot_t *snapshot"
_ADC, _WATCH, _AUGMENT, _GUARD = (frozenset({name}) for name in ("adc", "watch", "augment", "guard"))
_OLD, _SOFT = frozenset({"replay"}), frozenset({"soft"})
FUNCTIONS = (
    Function("predict", (_M, _X, "{logit} y[{NAME}_OUTPUT_SIZE]"), trains=False),
    Function("quantize", ("const float real[{NAME}_INPUT_SIZE]", _Y), trains=False),
    Function("adc_init", ("mcg_adc_t *how", "float unit", "int32_t middle"), needs=_ADC, trains=False),
    Function("quantize_s16", (_HOW, "const int16_t raw[{NAME}_INPUT_SIZE]", _Y), "mcg_adc_s16", _ADC, False),
    Function("quantize_u16", (_HOW, "const uint16_t raw[{NAME}_INPUT_SIZE]", _Y), "mcg_adc_u16", _ADC, False),
    Function(
        "watch",
        ("const " + _M, "const {logit} y[{NAME}_OUTPUT_SIZE]", "mcg_drift_t *drift"),
        needs=_WATCH,
        trains=False,
    ),
    Function("train_step", (_M, _X, "{label}", _STEP)),
    Function("train_soft", (_M, _X, "const uint8_t soft[{NAME}_OUTPUT_SIZE]", _STEP), needs=_SOFT),
    Function("set_rate", (_M, "float rate")),
    Function("set_schedule", (_M, "const mcg_schedule_t *schedule")),
    Function(
        "augment_init",
        (
            "mcg_augment_t *how",
            "int32_t shift_h",
            "int32_t shift_w",
            "float gain",
            "float offset",
            "float noise",
            "uint32_t seed",
        ),
        needs=_AUGMENT,
    ),
    Function("augment", ("mcg_augment_t *how", _X, "int8_t y[{NAME}_INPUT_SIZE]"), needs=_AUGMENT),
    Function("snapshot", ("const " + _M, _SNAPSHOT), needs=_GUARD),
    Function("rollback", (_M, "const " + _SNAPSHOT), needs=_GUARD),
    Function(
        "guard",
        (
            _M,
            _SNAPSHOT,
            "const int8_t *x",
            "{labels}",
            "uint32_t samples",
            "float margin",
            "mcg_guard_t *result",
        ),
        needs=_GUARD,
    ),
    Function("replay_init", (_REPLAY, "uint32_t *memory", "uint32_t words", "uint32_t seed"), needs=_OLD),
    Function("replay_add", (_REPLAY, _X, "{label}"), needs=_OLD),
    Function("replay_remember", (_M, _REPLAY), needs=_OLD | _SOFT),
    Function("train_replay", (_M, _REPLAY, _X, "{label}", _STEP), needs=_OLD),
)


def there(program: Program, wanted: frozenset[str]) -> frozenset[str]:
    """Those of the features that a model can have."""
    missing = {"watch"} if not program.watched else set()
    missing |= {"soft"} if TRAIN_SOFT not in program.entries else set()
    return (wanted if program.trains else wanted & OF_PREDICTION) - missing


def functions(program: Program, features: frozenset[str]) -> tuple[Function, ...]:
    """Those of a model with these features."""
    return tuple(each for each in FUNCTIONS if (program.trains or not each.trains) and each.needs <= features)


def definition(function: Function, program: Program) -> str:
    """What it is in C."""
    kind, name = program.label_kind, program.name
    is_class = kind is LabelKind.CLASS
    given = {
        "name": name,
        "NAME": name.upper(),
        "logit": program.buffers[program.output].ctype,
        "label": "uint32_t label" if is_class else f"const {kind.value} label[{name.upper()}_OUTPUT_SIZE]",
        "labels": "const uint32_t *labels" if is_class else f"const {kind.value} *labels",
    }
    params = [param.format(**given) for param in function.params]
    passed = [_NAMED.search(param) for param in params]
    arguments = [
        f"&{found[1]}" if is_class and found[1] == "label" else found[1] for found in passed if found
    ]
    head = wrap_call(f"mcg_status_t {name}_{function.name}(", params, ")")
    call = wrap_call(f"    return {function.kernel}(", [f"&{name}_model", *arguments])
    return "\n".join([*head, "{", *call, "}"])
