"""Program: what a state file carries so that its model can be compiled again without the original file.

The network's own file, the options of compile, and the scales that calibration gave, as JSON: data alone, nothing that
could run. Compiling is deterministic, so that this gives the same program; its fingerprint is compared all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mcugrad.errors import DataError, McugradError, UsageError
from mcugrad.graph import ActivationScale
from mcugrad.model import Model, is_tflite, model_of
from mcugrad.options import Budget, Options
from mcugrad.pipeline import Build, build
from mcugrad.state.about import plain_json
from mcugrad.targets import Target
from mcugrad.targets import load as load_target
from mcugrad.targets import names as target_names
from mcugrad.training.features import features
from mcugrad.training.losses import Loss
from mcugrad.training.rules import Update, Updates
from mcugrad.training.schedules import Schedule
from mcugrad.training.sparse import Choice, Sparse, Static

LENGTH = 4
"""Bytes that say how long the JSON is; the network's file follows it."""


@dataclass(frozen=True, eq=False)
class Packed:
    """What a model is compiled from."""

    model: Model
    scales: Mapping[str, ActivationScale]
    options: Options
    target: Target | None


@dataclass(frozen=True, eq=False)
class Source:
    """A model compiled anew, with what it was compiled from."""

    model: Model
    build: Build
    options: Options
    target: Target | None


def can_pack(model: Model) -> bool:
    """Whether a network's file holds all of it; the weights of an ONNX model may lie in others."""
    if not model.data or is_tflite(model.data):
        return bool(model.data)
    import onnx

    graph = onnx.load_model_from_string(model.data).graph
    return all(t.data_location != onnx.TensorProto.EXTERNAL for t in graph.initializer)


def pack(
    model: Model, scales: Mapping[str, ActivationScale], options: Options, target: Target | None
) -> bytes:
    """What a model can be compiled again from.

    Raises:
        UsageError: the network's weights lie in other files.
    """
    if not can_pack(model):
        raise UsageError(
            f"{model.source} does not hold the whole network: its weights lie in other files",
            where="program",
            hint="onnx.save(model, path, save_as_external_data=False), or save(path, program=False)",
        )
    return packed(model, scales, options, target, model.data)


def packed(
    model: Model,
    scales: Mapping[str, ActivationScale],
    options: Options,
    target: Target | None,
    data: bytes,
) -> bytes:
    """The same with this in the place of the network's file; empty for none."""
    facts = {
        "name": model.name,
        "source": model.source,
        "target": _target_name(target),
        "options": _options(options),
        "scales": {tensor: _scale(scale) for tensor, scale in scales.items()},
    }
    text = plain_json(facts)
    return len(text).to_bytes(LENGTH, "little") + text + data


def unpack(content: bytes, where: str, name: str | None = None) -> Source:
    """Compile a model again, by its name or another one.

    Raises:
        DataError: the content makes no sense.
    """
    try:
        found = unpacked(content, name=name)
        made = build(found.model, found.scales, found.options)
        return Source(found.model, made, found.options, found.target)
    except McugradError as error:
        reason = error.what
    except (
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        AttributeError,
        RecursionError,
        AssertionError,
    ) as error:
        reason = f"{type(error).__name__}: {error}"
    raise DataError(
        f"the program in the state file cannot be compiled: {reason}",
        where=where,
        hint="mg.compile of the original network, then load_state(path)",
    )


def unpacked(content: bytes, network: Model | None = None, *, name: str | None = None) -> Packed:
    """What `packed` has packed.

    Args:
        content: its bytes.
        network: where it is not in there.
        name: of the model, if not the one that it had.

    Raises:
        ModelError: it holds no network that can be read, and none is given.
        ValueError, TypeError, LookupError, AttributeError: the content makes no sense.
    """
    length = int.from_bytes(content[:LENGTH], "little")
    facts = json.loads(content[LENGTH : LENGTH + length])
    scales = {tensor: _to_scale(tensor, given) for tensor, given in facts["scales"].items()}
    options = _to_options(facts["options"])
    target = None if facts["target"] is None else load_target(_known_target(facts["target"]))
    data = content[LENGTH + length :]
    if network is None:
        network = model_of(data, _shown(str(facts["source"])), name or str(facts["name"]))
    return Packed(network, scales, options, target)


def _shown(source: str) -> str:
    """The name of a file, as generated files may show it: nothing that could end a comment or begin another line."""
    return re.sub(r'[*/\\"?`]|[^ -~\w]', "_", source)[:255]


def _target_name(target: Target | None) -> str | None:
    """A board or core that comes along; another is not known to whoever reads the file."""
    if target is None:
        return None
    try:
        return target.name if load_target(target.name) == target else None
    except UsageError:
        return None


def _known_target(name: str) -> str:
    """The name itself, if it is one that comes along and no path. Raises ValueError."""
    if name not in target_names():
        raise ValueError(f"unknown target {name!r}")
    return name


def _scale(quant: ActivationScale) -> dict[str, Any]:
    whole = None if quant.whole is None else [float(end) for end in quant.whole]
    return {"scale": float(quant.scale), "zero": int(quant.zero), "whole": whole}


def _to_scale(owner: str, facts: Mapping[str, Any]) -> ActivationScale:
    whole = facts["whole"]
    ends = None if whole is None else (float(whole[0]), float(whole[1]))
    return ActivationScale(float(facts["scale"]), int(facts["zero"]), owner, whole=ends)


def _options(options: Options) -> dict[str, Any]:
    updates = options.updates
    return {
        "train": options.train if isinstance(options.train, str) else list(options.train),
        "updates": [["", asdict(updates.rest)], *([layer, asdict(each)] for layer, each in updates.named)],
        "seed": int(options.seed),
        "rate": float(options.rate),
        "loss": {**asdict(options.loss), "class_weights": [float(w) for w in options.loss.class_weights]},
        "label_scale": None if options.label_scale is None else _scale(options.label_scale),
        "precision": options.precision,
        "sparse": _sparse(options.sparse),
        "class_names": list(options.class_names),
        "features": sorted(options.features),
        "replay_of": options.replay_of,
        "rate_given": bool(options.rate_given),
        "schedule": asdict(options.schedule),
        "steps": int(options.steps),
        "budget": asdict(options.budget),
        "plan": options.plan,
        "recompute": bool(options.recompute),
    }


def _to_options(facts: Mapping[str, Any]) -> Options:
    (_, rest), *named = facts["updates"]
    loss = facts["loss"]
    return Options(
        train=facts["train"],
        updates=Updates(Update(**rest), tuple((layer, Update(**each)) for layer, each in named)),
        seed=int(facts["seed"]),
        rate=float(facts["rate"]),
        loss=Loss(**{**loss, "class_weights": tuple(loss["class_weights"])}),
        label_scale=None if facts["label_scale"] is None else _to_scale("label", facts["label_scale"]),
        precision=facts["precision"],
        sparse=_to_sparse(facts["sparse"]),
        class_names=tuple(str(name) for name in facts.get("class_names", ())),
        features=features(facts.get("features", "all")),
        replay_of=facts.get("replay_of", "inputs"),
        rate_given=bool(facts.get("rate_given", True)),
        schedule=Schedule(**facts.get("schedule", {})),
        steps=int(facts.get("steps", 0)),
        budget=Budget(**facts.get("budget", {})),
        plan=facts.get("plan", "greedy"),
        recompute=bool(facts.get("recompute", False)),
    )


def _sparse(choice: Choice | None) -> Any:
    """A policy for all layers as its fields; policies by layer under `layers`, in the order given."""
    if choice is None:
        return None
    if isinstance(choice, Sparse):
        return _plain(asdict(choice))
    layers = choice.layers if isinstance(choice, Static) else choice
    named = [
        [name, _plain(asdict(each)) if isinstance(each, Sparse) else _channels(each)]
        for name, each in layers.items()
    ]
    return {"static": isinstance(choice, Static), "layers": named}


def _channels(channels: Any) -> Any:
    if isinstance(channels, int | float | np.floating):
        return float(channels)
    return [int(channel) for channel in channels]


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, str) else float(value) for name, value in facts.items()}


def _to_sparse(facts: Any) -> Choice | None:
    if facts is None:
        return None
    if "layers" not in facts:
        return Sparse(**facts)
    layers: dict[str, Any] = {
        name: Sparse(**each) if isinstance(each, dict) else tuple(each) if isinstance(each, list) else each
        for name, each in facts["layers"]
    }
    return Static(layers) if facts["static"] else layers
