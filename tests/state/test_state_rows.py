"""What was learned where rows that do not train are in flash: users see all rows, files and devices hold the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import pipeline
from mcugrad.program import Space
from mcugrad.program.rows import moved_rows, with_all_rows, without_frozen_rows
from mcugrad.program.spec import violations
from mcugrad.run.runner import differences
from mcugrad.state.file import StateFile
from mcugrad.state.images import to_c, to_npz
from mcugrad.trainer import Trainer
from partly import network, part, whole


@pytest.fixture
def trained() -> tuple[Trainer, np.ndarray, np.ndarray]:
    net, x, y = network()
    trainer = part(net, x, rule="sr12")
    trainer.fit(x, y, epochs=1, rate=0.02, shuffle=False)
    return trainer, x, y


Trained = tuple[Trainer, np.ndarray, np.ndarray]


def test_arrays_that_users_see_have_all_rows(trained: Trained) -> None:
    trainer, _, _ = trained
    program, state = trainer.build.compiled.program, trainer.state
    assert state["fc1_w"].shape[0] == len(state["fc1_b"]) == 11
    own = without_frozen_rows(program, state)
    assert own["fc1_w"].tobytes() == state["fc1_w"][[0, 3, 5]].tobytes()
    assert {b.name: b.shape for b in trainer.build.compiled.layout.params} == {
        n: a.shape for n, a in own.items()
    }
    assert differences(with_all_rows(program, own), state) == []
    assert moved_rows(program, state) == []


@pytest.mark.parametrize("form", ["mcgstate", "npz", "npz of trainer.state", "dump", "c"])
def test_what_was_learned_comes_back(form: str, trained: Trained, tmp_path: Path) -> None:
    trainer, x, _ = trained
    path = tmp_path / f"state.{form.split()[0]}"
    file = trainer.state_file()
    match form:
        case "mcgstate":
            trainer.save(path)
        case "npz":
            path.write_bytes(to_npz(file))
        case "npz of trainer.state":
            np.savez(path, **trainer.state)  # type: ignore[arg-type]
        case "dump":
            path.write_bytes(file.params)
        case _:
            path.write_text(to_c(file))
    assert len(file.params) == trainer.build.compiled.layout.params_size, "as in the device's memory"
    fresh = Trainer(trainer.model, trainer.build, trainer.target, trainer.options)
    fresh.load_state(path)
    assert differences(trainer.state, fresh.state) == []
    assert trainer.predict(x).tolist() == fresh.predict(x).tolist()


def test_rows_that_are_not_those_in_flash_are_refused(trained: Trained, tmp_path: Path) -> None:
    trainer, _, _ = trained
    before, state = trainer.state, trainer.state
    state["fc1_w"][1, 0] ^= 1
    with pytest.raises(mg.DataError, match=r"1 of .* arrays have other rows that do not train, first fc1_w"):
        trainer.state = state
    np.savez(tmp_path / "state.npz", **state)  # type: ignore[arg-type]
    with pytest.raises(mg.DataError, match="first fc1_w"):
        trainer.load_state(tmp_path / "state.npz")
    assert differences(before, trainer.state) == []
    state = trainer.state
    state["fc1_w"][3, 0] ^= 1
    trainer.state = state
    assert differences(state, trainer.state) == []


def test_a_state_with_all_rows_in_ram_is_refused_by_name(trained: Trained, tmp_path: Path) -> None:
    """One that was saved before rows were left in flash."""
    trainer, x, _ = trained
    path = whole(trainer.model, x, rule="sr12").save(tmp_path / "old.mcgstate", program=False)
    with pytest.raises(mg.DataError, match=r"of another model: .*conv1_w"):
        trainer.load_state(path)
    assert StateFile.read(path).arrays["fc1_w"].shape[0] == 11


def test_inference_has_what_was_learned(trained: Trained) -> None:
    trainer, x, _ = trained
    alone = trainer.inference()
    assert not alone.build.compiled.program.in_flash
    assert alone.predict(x).tolist() == trainer.predict(x).tolist()


def test_firmware_begins_with_what_was_learned(trained: Trained, tmp_path: Path) -> None:
    trainer, _, _ = trained
    firmware = pipeline.as_trained(trainer.build, trainer.state, "trained", 0.01)
    held = {b.name: b.value for b in firmware.program.in_space(Space.STATE)}
    own = without_frozen_rows(trainer.build.compiled.program, trainer.state)
    for name, value in own.items():
        found = held[name]
        assert found is not None
        assert found.tobytes() == value.tobytes()
    assert violations(firmware.program) == []
    trainer.export(tmp_path / "fw", selftest=True)
