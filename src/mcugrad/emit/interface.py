"""Interface: a model's functions around its steps, each one call of the runtime's with the descriptor.

They are said once, in the runtime's header: there is one for each prototype whose comment names it `In a model:`. From
it come the declaration in the model's header with its comment, the definition, and the row in its README.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mcugrad.abi.docs import Doc, docs
from mcugrad.abi.headers import Param, prototypes
from mcugrad.abi.records import ELEMENT_TYPES
from mcugrad.abi.structs import SCALARS
from mcugrad.emit.layout import Layout
from mcugrad.emit.literals import WIDTH
from mcugrad.emit.wrap import wrap_call
from mcugrad.ops.life.guard import PARAMS
from mcugrad.program import TRAIN_SOFT, Program
from mcugrad.training.augment import map_of
from mcugrad.training.features import LATENTS, OF_PREDICTION
from mcugrad.training.losses import LabelKind

TRAINING = "training"
"""In the place of a feature: what models have that train."""

_SIZE = re.compile(r"\[(\w+)\]")
_LABELS = {
    LabelKind.CLASS: "class of the sample, below output_size",
    LabelKind.BITS: "1 where what an output stands for applies, else 0, [output_size]",
    LabelKind.VALUES: "what the outputs should be, real = label_scale * (q - label_zero), [output_size]",
}
"""What a label is."""


@dataclass(frozen=True)
class Function:
    """A function of a model.

    Attributes:
        name: behind the model's prefix.
        kernel: name of the runtime's function.
        params: of that, the descriptor first.
        doc: what the header says of it.
        needs: features without which it is not there, or `TRAINING`, or `LATENTS`.
        of_latents: what parameters are where replay buffers hold latents, if that is something else.
    """

    name: str
    kernel: str
    params: tuple[Param, ...]
    doc: Doc
    needs: frozenset[str]
    of_latents: Mapping[str, str]

    @property
    def is_about_stored(self) -> bool:
        """Whether its samples are those of a replay buffer, whatever that holds."""
        return self.params[0].ctype == "mcg_model_t" and any(p.ctype == "mcg_replay_t" for p in self.params)


@cache
def every() -> tuple[Function, ...]:
    """All that a model can have, in the order of the header."""
    found = []
    for kernel, doc in docs().items():
        if "In a model" in doc.notes:
            name, _, needs = doc.notes["In a model"].partition(", with ")
            wanted = frozenset(needs.split(" and ")) if needs else frozenset[str]()
            param, _, meaning = doc.notes.get("Of latents", "").partition(" is ")
            of_latents = {param: meaning} if param else {}
            found.append(Function(name, kernel, prototypes()[kernel], doc, wanted, of_latents))
    return tuple(found)


def there(program: Program, wanted: frozenset[str]) -> frozenset[str]:
    """Those of the features that a model can have, and `LATENTS` where its replay buffers hold them."""
    missing = {"watch"} if not program.watched else set()
    missing |= {"soft"} if TRAIN_SOFT not in program.entries else set()
    found = (wanted if program.trains else wanted & OF_PREDICTION) - missing
    return found | {LATENTS} if program.stores_latents and "replay" in found else found


def functions(program: Program, features: frozenset[str]) -> tuple[Function, ...]:
    """Those of a model with these features; one for latents is in the place of its namesake for samples."""
    has = features | {TRAINING} if program.trains else features
    return tuple({each.name: each for each in every() if each.needs <= has}.values())


def known_by(function: Function, program: Program) -> str:
    """What the runtime knows a model by: its descriptor, or for what is about latents that of its rest."""
    if function.params[0].ctype == "mcg_rest_t":
        return f"{program.name}_rest"
    return replay_known_by(program) if function.is_about_stored else f"{program.name}_model"


def replay_known_by(program: Program) -> str:
    """The same for what is about replay buffers alone."""
    return f"{program.name}_rest.model" if program.stores_latents else f"{program.name}_model"


def declaration(function: Function, program: Program) -> str:
    """Comment and prototype in a model's header."""
    return "\n".join([*_comment(function, program), *_head(function, program, ");")])


def definition(function: Function, program: Program) -> str:
    """What it is in C."""
    by_value = program.label_kind is LabelKind.CLASS
    arguments = [
        f"&{param.name}" if by_value and param.name == "label" else param.name
        for param in function.params[1:]
    ]
    call = wrap_call(f"    return {function.kernel}(", [f"&{known_by(function, program)}", *arguments])
    return "\n".join([*_head(function, program, ")"), "{", *call, "}"])


def row(function: Function, program: Program, layout: Layout) -> str:
    """What a model's README says of it: what it does, and the memory that it asks of its caller."""
    own = [_room(param, program, layout) for param in function.params[1:]]
    does, memory = function.doc.brief.split(". ")[0].rstrip("."), "; ".join(filter(None, own))
    return f"| `{program.name}_{function.name}` | {does} |{f' {memory} ' if memory else ' '}|"


def _head(function: Function, program: Program, end: str) -> list[str]:
    params = [
        _declared(param, _meaning(function, param.name, program), program) for param in function.params[1:]
    ]
    return wrap_call(f"mcg_status_t {program.name}_{function.name}(", params, end)


def _meaning(function: Function, param: str, program: Program) -> str:
    """What the runtime's header says of a parameter. Raises ValueError where it does not say it of latents."""
    meaning = function.doc.params[param][1]
    if not (program.stores_latents and function.is_about_stored):
        return meaning
    meaning = function.of_latents.get(param, meaning)
    if "input_size" in _SIZE.findall(meaning):
        raise ValueError(f'{function.kernel}: no "Of latents:" says what {param} is, {meaning}')
    return meaning


def _declared(param: Param, meaning: str, program: Program) -> str:
    """A parameter as the model's header declares it."""
    ctype = _type(param, program)
    if param.name == "label":
        if program.label_kind is LabelKind.CLASS:
            return f"{ctype} label"
        meaning = _LABELS[program.label_kind]
    if not param.pointer:
        return f"{ctype} {param.name}"
    const, sizes = "const " * param.const, _SIZE.findall(meaning)
    if len(sizes) == 1 and sizes[0] in ("input_size", "output_size", "latents_size"):
        return f"{const}{ctype} {param.name}[{program.name.upper()}_{sizes[0].upper()}]"
    return f"{const}{ctype} *{param.name}"


def _type(param: Param, program: Program) -> str:
    """What the model has in the place of a type that is the same for all models."""
    if param.ctype == "mcg_replay_t":
        return f"{program.name}_replay_t"
    if param.ctype != "void":
        return param.ctype
    known = {
        "m": f"{program.name}_t",
        "y": program.buffers[program.output].ctype,
        **dict.fromkeys(("label", "labels"), program.label_kind.value),
    }
    return known.get(param.name, f"{program.name}_{param.name}_t")


def _room(param: Param, program: Program, layout: Layout) -> str:
    """Memory of the caller that outlives the call, with its size where that is the same on every device."""
    if not param.pointer or param.const or param.ctype in SCALARS or param.name in ("m", "y", "step"):
        return ""
    ctype = _type(param, program)
    size = PARAMS + layout.params_size if param.name == "snapshot" else None
    size = ELEMENT_TYPES[ctype].itemsize if ctype in ELEMENT_TYPES else size
    return f"`{ctype}`" if size is None else f"`{ctype}`, {size} bytes"


def _comment(function: Function, program: Program) -> list[str]:
    """What the runtime's header says, in words of the model."""
    doc, words = function.doc, _words(program)

    def said(text: str) -> str:
        return re.sub(r"\b[a-z]+_[a-z]+\b", lambda found: words.get(found[0], found[0]), text)

    params = {
        name: (way, _LABELS[program.label_kind] if name == "label" else _meaning(function, name, program))
        for name, (way, _) in doc.params.items()
        if name != function.params[0].name
    }
    ways, names = (max(map(len, column)) for column in ([way for way, _ in params.values()], params))
    lines = [*_wrapped(f" * @brief {said(doc.brief)}", " * "), " *"]
    for name, (way, meaning) in params.items():
        head = f" * @param{f'[{way}]':{ways + 2}} {name:{names}} "
        lines += _wrapped(head + said(meaning), f" * {' ' * (len(head) - 3)}")
    return ["/**", *lines, *_wrapped(f" * @return MCG_OK; {said(doc.returns)}", " * "), " */"]


def _words(program: Program) -> Mapping[str, str]:
    """What members of the descriptor are in a model's header."""
    rows, columns, _ = map_of(program.buffers[program.input].shape)
    named = ("input_size", "input_scale", "output_size", "label_scale", "label_zero", "latents_size")
    macros = {member: f"{program.name.upper()}_{member.upper()}" for member in named}
    return {**macros, "input_h": str(rows), "input_w": str(columns)}


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True)
