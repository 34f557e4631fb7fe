"""Keeper: a compiled model and what it has learned: held, copied, saved, loaded, and put into firmware."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from mcugrad.emit.folder import write_folder
from mcugrad.emit.formats import USUAL, demand_alone, named
from mcugrad.errors import DataError, UsageError
from mcugrad.model import Model
from mcugrad.options import Options
from mcugrad.pipeline import Build, as_trained, inference
from mcugrad.program.rows import shape_of, with_all_rows, without_frozen_rows
from mcugrad.run.host import HostTwin
from mcugrad.run.runner import State
from mcugrad.run.selftest import proof
from mcugrad.state import defect
from mcugrad.state.check import damages, summed_up
from mcugrad.state.file import StateFile
from mcugrad.state.images import fitting, own_rows, read_state, usable
from mcugrad.state.program import unpack
from mcugrad.state.trained import copied, data_hash, initial, state_file, step_of, trained_note
from mcugrad.targets import Target
from mcugrad.targets import load as load_target
from mcugrad.training.schedules import KINDS, has_ended, rate_ahead


class Keeper:
    """A compiled model and what it has learned. The base of `Trainer`, which is what learns."""

    def __init__(self, model: Model, build: Build, target: Target | None, options: Options) -> None:
        self.model = model
        self.build = build
        self.target = target
        self.options = options
        self._twin: HostTwin | None = None
        self._carried: State | None = None  # what a twin that is not built yet has learned
        self._trained_on: tuple[str | None, int] = ("", 0)  # hash, and the step counter that it holds for

    @classmethod
    def load(cls, path: str | Path, *, target: str | Target | None = None, name: str | None = None) -> Self:
        """A trainer from a state file that holds its model, as `save` writes it: the original file is not needed.

        Args:
            path: of the state file.
            target: board or core; that which it was compiled for if not given, as far as it comes with mcugrad.
            name: what to call the model in C; as before if not given.

        Raises:
            DataError: no state file, truncated, damaged, without its model, or of another mcugrad that compiles it
                to another program.
        """
        found = StateFile.read(path)
        if not found.program:
            raise DataError(
                "the state file does not hold its model",
                where=str(path),
                hint="mg.compile(...).load_state(path), or save without program=False",
            )
        source = unpack(found.program, str(path), name)
        goal = load_target(target) if isinstance(target, str) else target
        made = cls(source.model, source.build, goal or source.target, source.options)
        made._take(usable(fitting(found, made._state_file(initial(made.build)), str(path)), str(path)))
        return made

    @property
    def twin(self) -> HostTwin:
        """The host twin, built when first needed. Raises ToolError without a compiler."""
        if self._twin is None:
            self._twin = HostTwin(self.build.compiled)
            if self._carried is not None:
                self._twin.restore(self._carried)
                self._carried = None
        return self._twin

    @property
    def state(self) -> State:
        """A copy of what has been learned, by buffer name."""
        if self._twin is None:
            return copied(initial(self.build) if self._carried is None else self._carried)
        return self._twin.state()

    @state.setter
    def state(self, state: State) -> None:
        program = self.build.compiled.program
        wanted = {b.name: (shape_of(program, b), b.dtype) for b in self.build.compiled.layout.params}
        found = {name: (value.shape, value.dtype) for name, value in state.items()}
        names = wanted.keys() | found.keys()
        wrong = sorted(name for name in names if wanted.get(name) != found.get(name))
        if wrong:
            raise DataError(
                f"the learned state is of another model: {len(wrong)} of {len(names)} arrays differ, first {wrong[0]}",
                where="state",
                hint="what trainer.state of a model compiled with the same train= and rule= has been",
            )
        own_rows(program, state, "state")
        self._demand_sound(state, "another copy of it")
        self._put(state, None)

    @property
    def data_hash(self) -> str | None:
        """SHA-256 of all that `fit` trained on since delivery, as the device takes it; samples that were replayed, too.

        Each training changes it, so that it depends on their order. Empty for nothing; None where it is not known:
        after a state was put in that nobody recorded it of, or steps that `fit` did not take.
        """
        known, steps = self._trained_on
        return known if steps == step_of(self.state) else None

    def record_data(self, *arrays: NDArray[Any]) -> None:
        """Count samples and labels, as the device takes them, that the twin was trained on without `fit`."""
        known, _ = self._trained_on
        self._trained_on = (None if known is None else data_hash(known, *arrays), step_of(self.state))

    def save(self, path: str | Path, *, program: bool | None = None) -> Path:
        """Write what was learned to a state file, `<name>.mcgstate`, whole or not at all. Returns the path.

        The same training gives the same bytes on every computer. docs/state.md has the format.

        Args:
            path: of the file.
            program: whether it shall hold the model, too, so that `Trainer.load` needs nothing else: the network's own
                file, the options of `compile`, and the scales that calibration gave. None for yes, unless weights
                lie in files of their own.

        Raises:
            UsageError: it cannot be written; the model is for inference only; or `program=True` and weights lie in
                other files.
        """
        return self.state_file(program=program).write(path)

    def state_file(self, *, program: bool | None = False) -> StateFile:
        """What was learned as a state file holds it; `program` as in `save`."""
        self._demand_training()
        state = self.state
        self._demand_sound(state)
        return self._state_file(state, program)

    def load_state(self, path: str | Path) -> None:
        """Go on from what was learned before, here or on a device.

        Args:
            path: of a state file; an .npz file of the arrays of `state`; a dump of the device's memory, of
                `<name>_t` or its `params`; or an array in C (.c, .h, .txt) of their bytes.

        Raises:
            DataError: it cannot be read, is truncated or damaged, of another model (the message says in what they
                differ), or holds numbers that cannot have been learned. The state is then as it was.
            UsageError: the model is for inference only.
        """
        self._demand_training()
        self._take(
            read_state(path, self._state_file(initial(self.build)), lambda: self.build.compiled.program)
        )

    def inference(self) -> Self:
        """The same model for inference only, with what it has learned in it, for a device with less memory.

        Its outputs are those of this one, bit for bit; its memory is that of a model compiled with train='none'.
        """
        state = self.state
        self._demand_sound(state)
        with defect.told(self.model, self.build.scales, self.options, inference=True):
            made = inference(self.model, self.build, self.options, state, self._note(state))
        options = replace(self.options, train="none", sparse=None)
        return type(self)(self.model, made, self.target, options)

    def __getstate__(self) -> dict[str, Any]:
        carried = self._carried if self._twin is None else self._twin.state()
        return {**self.__dict__, "_twin": None, "_carried": carried}

    def __copy__(self) -> Self:
        made = type(self)(self.model, self.build, self.target, self.options)
        made.__dict__.update(self.__getstate__())
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()  # all but the state never changes

    def export(
        self,
        folder: str | Path,
        *,
        format: str = USUAL,  # noqa: A002  (the word that everybody has for it)
        delivered: bool = False,
        inference: bool = False,
        selftest: bool = False,
    ) -> Path:
        """Write the firmware folder: the generated code, an example, README and LICENSE. Returns the folder.

        The firmware begins with the model as trained: `<name>_init` gives a device the bytes of this trainer's state,
        step counter, schedule and running means included, so that training goes on there as it would here.

        Nothing that was changed since it was written is overwritten: what is meant to be edited stays, and the new text
        is put beside it, as `examples/main.example.c`; a warning is logged. The folder is written whole or not at all.

        Args:
            folder: where to.
            format: what the folder is for; docs/device.md has them all. `c` for any project: `<name>.c`, `<name>.h`
                and `examples/main.c`.
            delivered: begin with the model as it was compiled, before any training.
            inference: leave training out, as `inference()` does: less memory, the same outputs.
            selftest: write `<name>_selftest.c` and `.h`, too: a function that tells on the device whether compiler and
                flags are right, by the hash of some predictions and training steps.

        Raises:
            ToolError: a self-test is wanted, and there is no compiler to compute it.
            UsageError: there is no such format, generated code in the folder was changed, something there is a symbolic
                link, or it cannot be written.
        """
        demand_alone(folder, named(format), self.model.name)
        files = self.files(format=format, delivered=delivered, inference=inference, selftest=selftest)
        return write_folder(files, folder, code=named(format).code_paths(self.model.name, with_selftest=True))

    def files(
        self,
        *,
        format: str = USUAL,  # noqa: A002
        delivered: bool = False,
        inference: bool = False,
        selftest: bool = False,
    ) -> dict[str, str]:
        """What `export` writes, by the same arguments: text by path in the folder."""
        wanted = named(format)
        if inference:
            source = type(self)(*self._parts) if delivered else self
            return source.inference().files(format=format, selftest=selftest)
        compiled, state = self.build.compiled, self.state
        if delivered or self._is_delivered(state):
            if wanted.name == USUAL and not selftest:
                return dict(compiled.files)
            return wanted.files(replace(compiled, proof=proof(compiled) if selftest else None))
        self._demand_sound(state)
        firmware = as_trained(self.build, state, self._note(state), self.rate)
        return wanted.files(replace(firmware, proof=proof(compiled, state) if selftest else None))

    @property
    def begins(self) -> str:
        """What exported firmware begins with: `as trained, 1437 steps on data sha256 1f0c3a...`, or as delivered."""
        return self._note(self.state)

    @property
    def rate_ahead(self) -> float | None:
        """Learning rate of the next training step, 0 after a schedule that ends there; None for inference only."""
        state = self.state
        return rate_ahead(state["schedule"], state["step"]) if "schedule" in state else None

    @property
    def rate(self) -> float:
        """Learning rate of the last training at its beginning, after a warm-up; that of delivery where there was none.

        That of delivery, too, where it was set step by step and has come to an end: a constant rate below a thousandth
        of that of delivery is taken for the last of those.
        """
        state, delivered = self.state, float(self.options.rate)
        if "schedule" not in state:
            return delivered
        schedule = state["schedule"].reshape(-1)[0]
        last, is_constant = float(schedule["rate"]), KINDS[int(schedule["kind"])] == "constant"
        return delivered if is_constant and has_ended(last, delivered) else last

    @property
    def _parts(self) -> tuple[Model, Build, Target | None, Options]:
        return self.model, self.build, self.target, self.options

    def _is_delivered(self, state: State) -> bool:
        return all(value.tobytes() == state[name].tobytes() for name, value in initial(self.build).items())

    def _note(self, state: State) -> str:
        return (
            self.build.compiled.origin.state
            if self._is_delivered(state)
            else trained_note(state, self.data_hash)
        )

    def _state_file(self, state: State, program: bool | None = False) -> StateFile:
        return state_file(
            self.model,
            self.build,
            self.options,
            state,
            data=self.data_hash,
            target=self.target,
            program=program,
        )

    def _demand_sound(self, state: State, hint: str = "training anew, with a third of the rate") -> None:
        """Raises DataError for numbers that training which goes well cannot leave, and that a device would refuse."""
        compiled = self.build.compiled
        damaged = damages(compiled.layout.params, without_frozen_rows(compiled.program, state))
        if damaged:
            raise DataError(f"the learned state is damaged: {summed_up(damaged)}", where="state", hint=hint)

    def _take(self, found: StateFile) -> None:
        arrays = with_all_rows(self.build.compiled.program, found.arrays)
        self._put(copied(arrays), None if found.about is None else found.about.data)

    def _put(self, state: State, data: str | None) -> None:
        """Hold a state that has been checked."""
        if self._twin is None:
            self._carried = copied(state)
        else:
            self._twin.restore(state)
        self._trained_on = ("" if self._is_delivered(state) else data, step_of(state))

    def _demand_training(self) -> None:
        if not self.build.compiled.program.trains:
            raise UsageError(
                "the model was compiled for inference only", where="train=none", hint="train=last:1"
            )
