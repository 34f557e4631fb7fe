"""What every verb that compiles is told: a network, its data, and how it trains."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_type_hints

# At run time, too: typer reads what they say of each option.
from mcugrad.commands.options import (
    DEFAULT_POLICY,
    Batch,
    Board,
    Calibration,
    ClassNames,
    Clip,
    Data,
    Features,
    Loss,
    Momentum,
    Name,
    Network,
    Plan,
    Precision,
    Prefer,
    Ram,
    Rate,
    Recompute,
    ReplayOf,
    Resume,
    Rule,
    Save,
    Scale,
    Seed,
    Sparse,
    SparsePolicy,
    SparseSamples,
    Train,
    VelocityBits,
    WeightDecay,
)
from mcugrad.commands.output import Output

if TYPE_CHECKING:
    from mcugrad.commands.inputs import Samples
    from mcugrad.commands.output import Output
    from mcugrad.fidelity import Fidelity
    from mcugrad.model import Model
    from mcugrad.options import Preference
    from mcugrad.passes.assign_precision import Wanted
    from mcugrad.plan import Planning
    from mcugrad.trainer import Trainer
    from mcugrad.training.replay import ReplayOf as Which
    from mcugrad.training.schedules import Kind

_COMPILED_IN = (
    "rule",
    "batch",
    "momentum",
    "velocity_bits",
    "weight_decay",
    "clip",
    "precision",
    "sparse",
    "sparse_policy",
    "sparse_samples",
    "rate",
    "class_names",
    "features",
    "replay_of",
    "prefer",
    "ram",
    "plan",
    "recompute",
)
"""Options that a model has had when it was compiled; the others are about data, places and what is said."""
_NOT_OF_TRAINING = ("precision", "class_names", "features", "prefer", "ram", "plan")
"""Those of them that change a model which only infers, too."""


@dataclass(frozen=True)
class Recipe:
    """The options that these verbs share; each field but `output` is one, as options.py says it."""

    output: Output
    model: Network
    data: Data
    loss: Loss = "cross_entropy"
    name: Name = None
    train: Train = "all"
    rule: Rule = field(default_factory=lambda: ["sr16"])
    batch: Batch = 1
    momentum: Momentum = 0.0
    velocity_bits: VelocityBits = 16
    weight_decay: WeightDecay = 0.0
    clip: Clip = None
    precision: Precision = "int8"
    sparse: Sparse = None
    sparse_policy: SparsePolicy = DEFAULT_POLICY
    sparse_samples: SparseSamples = None
    target: Board = None
    rate: Rate = "auto"
    seed: Seed = 0
    calibration: Calibration = 256
    scale: Scale = None
    class_names: ClassNames = None
    features: Features = "all"
    replay_of: ReplayOf = "inputs"
    resume: Resume = None
    save: Save = None
    prefer: Prefer = "balanced"
    ram: Ram = None
    plan: Plan = "greedy"
    recompute: Recompute = False

    @property
    def learning_rate(self) -> float | None:
        """What --rate says; None for `auto`. Raises UsageError for what is no rate."""
        from mcugrad.errors import UsageError
        from mcugrad.training.schedules import rate_given

        try:
            return rate_given(self.rate if self.rate == "auto" else float(self.rate))
        except ValueError:
            raise UsageError(
                f"{self.rate!r} is no learning rate", where="--rate", hint="a number such as 0.01, or auto"
            ) from None

    def network(self) -> Model:
        """The network. Raises UsageError, ModelError."""
        from mcugrad.commands.inputs import network

        return network(self.model, self.name)

    def samples(self, model: Model) -> Samples:
        """The data as the network takes them. Raises UsageError, DataError."""
        from mcugrad.commands.inputs import samples

        found = samples(self.data, model, self.scale, self.loss)
        for note in found.notes:
            self.output.note(note)
        return found

    def known(self, model: Model, data: str | None) -> Samples | None:
        """Likewise other data, that `--old` names; None where it names none."""
        from mcugrad.commands.inputs import samples

        return None if data is None else samples(data, model, self.scale, self.loss, "--old")

    def trainer(
        self, model: Model, samples: Samples, schedule: Kind = "constant", steps: int | None = None
    ) -> Trainer:
        """The network compiled, calibrated with samples to train, holding what --resume brings.

        Args:
            model: the network.
            samples: from the data.
            schedule: of the learning rate on the device.
            steps: that it spans.

        Raises:
            UsageError, ModelError, FitError, DataError.
        """
        if self.resume is not None and self.train == "none":
            self._note_without_effect(self.resume)
            return self._inferring(model, self.resume)
        self.demand_training()
        made = self._compiled(model, samples, schedule, steps)
        if self.resume is not None:
            made.load_state(self.resume)
        return made

    def keep(self, made: Trainer) -> None:
        """Write what --save asks for, and say so. Raises UsageError."""
        if self.save is None:
            return
        if self.save.suffix == ".npz":
            from mcugrad.commands.output import write
            from mcugrad.state.images import to_npz

            write(self.save, to_npz(made.state_file()))
        else:
            made.save(self.save)
        self.output.say(f"\nwrote {self.save}: what was learned, {len(made.state)} arrays")

    @property
    def has_replay(self) -> bool:
        """Whether firmware would store samples. Raises UsageError for features that there are not."""
        from mcugrad.training.features import features

        return "replay" in features(self.features)

    def demand_use(self, *, code: bool, stored: bool, what: str = "--features with replay") -> None:
        """Refuse options of generated code where nobody gets any, before there is work to be lost.

        Args:
            code: whether firmware is written.
            stored: whether something stores samples: firmware that is written, or this training.
            what: what would make something store them.

        Raises:
            UsageError: an option has no effect.
        """
        from mcugrad.errors import UsageError

        is_kept = self.save is not None and self.save.suffix != ".npz"  # which holds arrays alone
        for name in ("class_names", "features"):
            if self._is_given(name) and not (code or is_kept):
                option = _option(name)
                raise UsageError(
                    f"no firmware is written and no model is saved, so that {option} has no effect",
                    where=option,
                    hint=f"--save model.mcgstate, or no {option}; train and compile have --out, too",
                )
        if self.replay_of == "latents" and not is_kept and not stored:
            raise UsageError(
                "no samples are stored, so that --replay-of latents has no effect",
                where="--replay-of latents",
                hint=f"{what}, --save model.mcgstate, or no --replay-of",
            )

    def demand_training(self) -> None:
        """Refuse options of a training where there is none. Raises UsageError."""
        from mcugrad.errors import UsageError

        given = [_option(name) for name in self._given() if name not in _NOT_OF_TRAINING]
        if self.train == "none" and self.resume is None and given:
            raise UsageError(
                f"nothing trains, so that {' and '.join(given)} {'has' if len(given) == 1 else 'have'} no effect",
                where=given[0],
                hint=f"--train last:1 or another that trains, or no {' and no '.join(given)}",
            )

    def _given(self) -> list[str]:
        """Names of options that a model is compiled with, and that are not as usual."""
        return [name for name in _COMPILED_IN if self._is_given(name)]

    def _is_given(self, name: str) -> bool:
        usual = {each.name: _default(each) for each in fields(Recipe)}
        return bool(getattr(self, name) != usual[name])

    def demand_room(self, made: Trainer) -> None:
        """Refuse a place of --save that has no room for what there will be to write. Raises UsageError."""
        from mcugrad.commands.output import demand_places

        if self.save is not None:
            demand_places(files=[self.save], size=len(made.state_file(program=None).to_bytes()))

    def demand_form(self) -> None:
        """Refuse to call a state file like another form of a state. Raises UsageError."""
        from mcugrad.errors import UsageError

        if self.save is not None and self.save.suffix.lower() in (".h", ".c", ".bin"):
            state = self.save.with_suffix(".mcgstate")
            raise UsageError(
                f"--save writes state files and .npz, not {self.save.suffix}",
                where=str(self.save),
                hint=f"--save {state}, then mcugrad state convert {state} {self.save}",
            )

    def _note_without_effect(self, path: Path) -> None:
        """Say which options change nothing about a model that comes as it was compiled."""
        if given := [_option(name) for name in self._given()]:
            self.output.note(
                f"with --train none the model in {path} infers as it was compiled: {', '.join(given)} "
                f"{'changes' if len(given) == 1 else 'change'} nothing"
            )

    def _inferring(self, model: Model, path: Path) -> Trainer:
        """The model in a state file, for inference only."""
        from mcugrad.errors import DataError
        from mcugrad.fit_check import check_fit
        from mcugrad.footprint import Room
        from mcugrad.state.images import is_state_file
        from mcugrad.trainer import Trainer

        if not is_state_file(path):
            raise DataError(
                "--train none needs a state file, which holds the model that was trained",
                where=str(path),
                hint=f"mcugrad state convert {path} {path.stem}.mcgstate --like a state file of that model",
            )
        trained = Trainer.load(path, target=self.target, name=model.name)
        if trained.model.digest != model.digest:
            raise DataError(
                f"the state is of {trained.model.source} (sha256 {trained.model.digest[:8]}), not of {model.source} "
                f"({model.digest[:8]})",
                where=str(path),
                hint=f"a state that was trained from {model.source}",
            )
        made = trained.inference()
        if made.target is not None:
            check_fit(made.model, made.build.scales, made.options, made.build, Room.of(made.target))
        return made

    def _compiled(self, model: Model, samples: Samples, schedule: Kind, steps: int | None) -> Trainer:
        from mcugrad.api import compile  # noqa: A004
        from mcugrad.commands.inputs import rules, sparse_choice
        from mcugrad.training.losses import LabelKind, Loss

        return compile(
            model,
            calibration=samples.x[samples.spaced(self.calibration)],
            train=self.train,
            rule=rules(
                self.rule,
                batch=self.batch,
                momentum=self.momentum,
                velocity_bits=self.velocity_bits,
                weight_decay=self.weight_decay,
                clip=self.clip,
            ),
            precision=cast("Wanted", self.precision),  # checked there
            loss=self.loss,
            typical_labels=samples.y if Loss(self.loss).label_kind is LabelKind.VALUES else None,
            sparse=sparse_choice(self.sparse, self.sparse_policy, self.sparse_samples),
            target=self.target,
            rate=self.learning_rate,
            schedule=schedule,
            steps=steps,
            seed=self.seed,
            class_names=None if self.class_names is None else self.class_names.split(","),
            prefer=cast("Preference", self.prefer),  # checked there
            ram=self.ram,
            features=self.features,
            replay_of=cast("Which", self.replay_of),  # checked there
            plan=cast("Planning", self.plan),  # checked there
            recompute=self.recompute,
        )

    def fidelity(self, made: Trainer, samples: Samples) -> Fidelity | None:
        """What 8 bits cost the network as delivered, on samples as those of the calibration; None without 8 bits."""
        from mcugrad.fidelity import sample_count

        if made.options.precision == "float32":
            return None
        count = sample_count(made.model.macs, min(self.calibration, len(samples.x)))
        return made.fidelity(samples.x[samples.spaced(count)])

    def learner(self, model: Model, samples: Samples) -> Trainer:
        """Likewise; raises UsageError where nothing trains."""
        from mcugrad.errors import UsageError

        made = self.trainer(model, samples)
        if not made.trained_layers:
            raise UsageError("there is nothing to train", where="--train none", hint="--train last:1, or all")
        return made


def spelled_out(
    *, without: Sequence[str] = (), only: Sequence[str] = (), **defaults: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Puts a Recipe's options in the place of a verb's first parameter, which is one.

    Args:
        without: names of options that this verb does not have.
        only: names of those that it has; all others if empty.
        defaults: of options that this verb takes otherwise.
    """
    hints = get_type_hints(Recipe, include_extras=True)
    names = only or [each.name for each in fields(Recipe) if each.name not in ("output", *without)]
    shared = [each for each in fields(Recipe) if each.name in names]
    options = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[each.name],
            default=defaults.get(each.name, _default(each)),
        )
        for each in shared
    ]

    def around(verb: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(verb, eval_str=True).parameters.values()

        @wraps(verb)
        def spelled(**given: Any) -> None:
            from mcugrad import concerns
            from mcugrad.commands.spelling import as_options
            from mcugrad.errors import McugradError

            output = Output(given["json"])
            recipe = Recipe(output, **{each.name: given.pop(each.name) for each in shared})
            with concerns.told(output.note):
                try:
                    with as_options():
                        recipe.demand_form()
                        verb(recipe, **given)
                except McugradError:
                    output.show_notes()  # may well say why
                    raise

        own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        spelled.__signature__ = inspect.Signature([*options, *own])  # type: ignore[attr-defined]
        return spelled

    return around


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _default(option: Any) -> Any:
    if option.default_factory is not MISSING:
        return option.default_factory()
    return inspect.Parameter.empty if option.default is MISSING else option.default
