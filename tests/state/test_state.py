"""What was learned reaches firmware, files, copies, and smaller devices: the same bytes everywhere."""

from __future__ import annotations

import copy
import json
import pickle
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mcugrad as mg
from life_models import NET
from mcugrad.errors import DataError, UsageError
from mcugrad.model import model_of
from mcugrad.state.file import CHECKED, HEADER, StateFile
from mcugrad.state.images import to_c, to_npz
from mcugrad.trainer import Trainer
from networks import Conv, Dense, corners, model
from state_models import KINDS, OK, Device, compiled, fresh, made


def trained(kind: str) -> tuple[Trainer, np.ndarray, np.ndarray]:
    trainer, x, y = fresh(kind)
    trainer.fit(x[:40], y[:40], rate=0.02)
    return trainer, x, y


def bytes_of(trainer: Trainer) -> list[bytes]:
    return [value.tobytes() for value in trainer.state.values()]


def retained(trainer: Trainer, device: Device) -> bool:
    """Whether a device's params are a trainer's state, to the last byte."""
    return [value.tobytes() for value in device.state().values()] == bytes_of(trainer)


@pytest.mark.parametrize("kind", KINDS)
def test_firmware_begins_with_what_was_learned_and_goes_on_as_the_twin_would(
    kind: str, tmp_path: Path
) -> None:
    trainer, x, y = trained(kind)
    device = Device(trainer, trainer.export(tmp_path / "fw"))
    assert retained(trainer, device)
    assert device.check() == OK
    exported, stayed = copy.deepcopy(trainer), trainer
    exported.state = device.state()
    for each in (exported, stayed):
        each.twin.train(each.quantize(x), each.labels(y, len(x)), np.arange(9, dtype=np.uint32))
    assert bytes_of(exported) == bytes_of(stayed)
    assert trainer.files(delivered=True) == fresh(kind)[0].files() != trainer.files()
    if kind == "planes":
        delivered = Device(trainer, trainer.export(tmp_path / "as-delivered", delivered=True))
        assert retained(fresh(kind)[0], delivered)
        assert not retained(trainer, delivered)


def test_files_say_what_the_firmware_begins_with(tmp_path: Path) -> None:
    trainer, x, y = fresh("sr8")
    before = trainer.files()
    assert before == dict(trainer.build.compiled.files)
    assert "begins  as delivered, nothing trained yet" in before["life.h"]
    trainer.fit(x, y)
    files = trainer.files()
    said = f"as trained, 60 steps on data sha256 {trainer.data_hash[:16]}"
    assert f"begins  {said}" in files["life.h"]
    assert said in files["README.md"]
    assert said in files["life.c"]
    assert trainer.files(delivered=True) == before
    changed = {name for name in files if files[name] != before[name]}
    assert {"life.h", "life.c", "README.md"} <= changed


def test_a_schedule_that_has_ended_is_said(tmp_path: Path) -> None:
    trainer, x, y = fresh("sr8")
    trainer.fit(x, y, schedule="cosine")
    said = "its schedule has ended at a learning rate of 0: life_set_rate before it learns on"
    files = trainer.files()
    assert said in files["README.md"]
    assert "life_set_rate(&model, 1.0e-02F)" in next(t for n, t in files.items() if n.endswith("main.c"))
    trainer.fit(x, y, schedule="constant")
    assert said not in trainer.files()["README.md"]


def test_the_data_hash_is_that_of_what_fit_was_given() -> None:
    a, x, y = fresh("sr8")
    b, c = copy.deepcopy(a), copy.deepcopy(a)
    assert a.data_hash == ""
    for _ in range(2):
        a.fit(x, y)
        b.fit(x, y, epochs=2)
    c.fit(x[::-1], y[::-1])
    first = c.data_hash
    c.fit(x, y)
    assert a.data_hash == b.data_hash
    assert len({a.data_hash, c.data_hash, first, ""}) == 4
    a.twin.train(a.quantize(x), a.labels(y, 60), np.arange(3, dtype=np.uint32))
    assert a.data_hash is None
    assert "data that nobody recorded" in a.files()["life.h"]
    a.state = fresh("sr8")[0].state
    assert a.data_hash == ""


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_without_the_original_file(kind: str, tmp_path: Path) -> None:
    trainer, x, y = trained(kind)
    path = trainer.save(tmp_path / "a.mcgstate")
    other, _, _ = compiled(kind)
    other.fit(x[:40], y[:40], rate=0.02)
    assert other.save(tmp_path / "b.mcgstate").read_bytes() == path.read_bytes()
    loaded = Trainer.load(path)
    assert bytes_of(loaded) == bytes_of(trainer)
    assert loaded.data_hash == trainer.data_hash
    assert loaded.options == trainer.options
    assert loaded.files() == trainer.files()
    for each in (trainer, loaded):
        each.fit(x, y)
    assert bytes_of(loaded) == bytes_of(trainer)
    assert (
        loaded.save(tmp_path / "c.mcgstate").read_bytes()
        == trainer.save(tmp_path / "d.mcgstate").read_bytes()
    )
    small = other.save(tmp_path / "e.mcgstate", program=False)
    assert len(small.read_bytes()) < len(path.read_bytes()) - len(trainer.model.data)
    back, _, _ = fresh(kind)
    back.load_state(small)
    assert bytes_of(back) == bytes_of(other)
    with pytest.raises(DataError, match="does not hold its model"):
        Trainer.load(small)


def test_options_of_every_kind_survive(tmp_path: Path) -> None:
    x, _ = corners(40)
    net = model((1, 12, 12), (Conv(6), Conv(6), Dense(8), Dense(4)), name="life")
    choices = (
        {"sparse": mg.Static({"conv1": 0.5, "conv2": (0, 3)}), "target": "nrf52840"},
        {
            "sparse": {"conv2": mg.Sparse(0.25, 0.5, "topk"), "*": 0.5},
            "rule": {"fc1": "sr8", "*": mg.Update(batch=2)},
        },
        {
            "train": ["conv2", "fc2"],
            "loss": mg.Loss(class_weights=(1, 2, np.float32(0.3), 1)),
            "rate": np.float32(0.1),
        },
        {"train": "last:1", "precision": "mixed"},
        {"train": "bias"},
    )
    for options in choices:
        trainer = mg.compile(net, calibration=x, **options)
        loaded = Trainer.load(trainer.save(tmp_path / "a.mcgstate"))
        assert loaded.build.compiled.fingerprint == trainer.build.compiled.fingerprint
        assert loaded.files() == trainer.files()
        assert loaded.target == trainer.target


def test_a_state_of_another_model_is_refused_with_what_differs(tmp_path: Path) -> None:
    x, _ = corners(60)
    trainer, _, _ = trained("sr8")
    path, before = trainer.save(tmp_path / "a.mcgstate"), made("sr8")[0].state
    net = model((1, 12, 12), NET, name="life")
    others = {
        "it trains conv1, conv2, fc1 (sr8, in place); this model: conv1, conv2, fc1 (sr16, in place)": mg.compile(
            net, calibration=x, seed=5
        ),
        "3 of 21 arrays differ: fc1_w_residual is missing, here uint8_t [4, 36]": mg.compile(
            net, calibration=x, seed=5
        ),
        "this model: fc1 (sr8, in place)": mg.compile(net, calibration=x, rule="sr8", train="last:1"),
        "its precision is int8; this model: float32": mg.compile(net, calibration=x, precision="float32"),
        "its frozen numbers differ": mg.compile(net, calibration=x * 2, rule="sr8", seed=5),
        "conv1_w_scale is float [6], here missing": mg.compile(
            net, calibration=x, rule="sr8", train="last:1"
        ),
        "its loss is cross_entropy; this model: cross_entropy, label smoothing 0.1, class weights 1, 2, 1, 0.5": (
            mg.compile(
                net,
                calibration=x,
                rule="sr8",
                seed=5,
                loss=mg.Loss("cross_entropy", label_smoothing=0.1, class_weights=(1, 2, 1, 0.5)),
            )
        ),
        "this model is from wider.onnx": mg.compile(
            model((1, 12, 12), (Conv(6), Dense(4)), name="wider"), calibration=x, rule="sr8", seed=5
        ),
    }
    for said, other in others.items():
        state = other.state
        with pytest.raises(DataError) as caught:
            other.load_state(path)
        assert said in str(caught.value)
        assert all(state[name].tobytes() == other.state[name].tobytes() for name in state)
    with pytest.raises(UsageError, match="inference only"):
        mg.compile(net, calibration=x, train="none").load_state(path)
    assert all(before[name].tobytes() == value.tobytes() for name, value in made("sr8")[0].state.items())


def test_a_name_and_a_seed_do_not_make_another_model(tmp_path: Path) -> None:
    x, _ = corners(60)
    trainer, _, _ = trained("sr8")
    path = trainer.save(tmp_path / "a.mcgstate")
    renamed = model_of(trainer.model.data, trainer.model.source, "another")
    other = mg.compile(renamed, calibration=x, rule="sr8", seed=99, rate=0.5)
    other.load_state(path)
    assert bytes_of(other) == bytes_of(trainer)


def with_check(data: bytearray) -> bytes:
    """The same with its CRC-32 put right: damage that a checksum cannot see."""
    struct.pack_into("<I", data, 12, zlib.crc32(data[CHECKED:]))
    return bytes(data)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    trainer, _, _ = trained("sr8")
    good = trainer.save(tmp_path / "a.mcgstate").read_bytes()
    path, random = tmp_path / "b.mcgstate", np.random.default_rng(0)

    def refused(data: bytes, said: str) -> None:
        path.write_bytes(data)
        for call in (trainer.load_state, Trainer.load):
            with pytest.raises(DataError) as caught:
                call(path)
            assert said in str(caught.value)
            assert str(path) in caught.value.where

    for size in (8, 12, HEADER.size - 1):
        refused(good[:size], "truncated")
    for size in (HEADER.size, HEADER.size + 7, len(good) - 1):
        refused(good[:size], f"truncated: {size} bytes, its header says {len(good)}")
    refused(good + b"\0", "longer than it should be")
    refused(good[:8] + b"\2\0\0\0" + good[12:], "format version 2; this mcugrad reads version 1")
    for place in (12, 16, 48, *random.integers(HEADER.size, len(good), 20)):
        flipped = bytearray(good)
        flipped[place] ^= 1 << random.integers(8)
        refused(bytes(flipped), "its CRC-32 is")
    for place in (52, 56, 60):
        huge = bytearray(good)
        huge[place : place + 4] = b"\xff\xff\xff\xff"
        refused(with_check(huge), "truncated")
    steps = bytearray(good)
    steps[48] ^= 1
    refused(with_check(steps), "contradicts itself")
    offset = HEADER.size - 4 + trainer.build.compiled.layout.offsets["fc1_b"]
    for value, said in ((np.nan, "fc1_b: 1 of 4 not in"), (np.inf, "fc1_b: 1 of 4 not in")):
        bad = bytearray(good)
        struct.pack_into("<f", bad, offset, value)
        refused(with_check(bad), said)
    with pytest.raises(DataError, match="does not begin with MCGSTATE"):
        StateFile.from_bytes(b"x" * 100)
    for content in (b"garbage", b"x" + good[1:], bytes(trainer.build.compiled.layout.params_size)):
        refused(content, "does not begin with MCGSTATE")
    with pytest.raises(DataError, match="does not exist"):
        trainer.load_state(tmp_path / "nothing")


def test_a_description_that_lies_is_refused(tmp_path: Path) -> None:
    trainer, _, _ = trained("sr8")
    found = StateFile.read(trainer.save(tmp_path / "a.mcgstate"))
    assert found.about is not None
    about, start = found.about.to_json(), HEADER.size + len(found.params)
    for old, new in (
        (b'"int8_t"', b'"int9_t"'),
        (b"[6,3,3,1]", b"[6,3,3,4]"),
        (b"[6,3,3,1]", b"[2147483648,2147483648,4,1]"),
        (b"[6,3,3,1]", b"[-6,-3,3,1]"),
        (b'"arrays":[', b'"arrays":' + b"[" * 5000),
        (b'"name":"life"', b'"name":NaN'),
        (b'"name"', b'"title"'),
    ):
        assert old in about
        text = about.replace(old, new, 1)
        data = bytearray(found.to_bytes()[:start] + text + found.program)
        struct.pack_into("<I", data, 56, len(text))
        with pytest.raises(DataError, match=r"cannot be read|contradicts itself"):
            StateFile.from_bytes(with_check(data))


def test_an_embedded_model_is_data_and_refused_where_it_makes_no_sense(tmp_path: Path) -> None:
    trainer, _, _ = trained("planes")
    found = StateFile.read(trainer.save(tmp_path / "a.mcgstate"))
    length = int.from_bytes(found.program[:4], "little")
    facts, network = json.loads(found.program[4 : 4 + length]), found.program[4 + length :]
    path = tmp_path / "b.mcgstate"

    def written(changed: object, data: bytes = network) -> Path:
        text = json.dumps(changed).encode()
        return replace(found, program=len(text).to_bytes(4, "little") + text + data).write(path)

    assert bytes_of(Trainer.load(written(facts))) == bytes_of(trainer)
    options, scales = facts["options"], facts["scales"]
    for changed in (
        [],
        {**facts, "scales": {}},
        {**facts, "scales": {**scales, "input": {"scale": 0.1, "zero": 0, "whole": []}}},
        {**facts, "scales": {**scales, "input": {"scale": "a", "zero": 0, "whole": None}}},
        {**facts, "target": "/etc/passwd.toml"},
        {**facts, "target": ["x"]},
        *({**facts, "options": {**options, "updates": wrong}} for wrong in ([], [["", {"rule": "sr9"}]], 5)),
        *({**facts, "options": {**options, "train": wrong}} for wrong in ("last:99", 5, ["x"], None)),
        *({**facts, "options": {**options, "seed": wrong}} for wrong in (-1, 2**40, "x")),
        {**facts, "options": {**options, "sparse": {"low": 7}}},
        {**facts, "options": {**options, "loss": {}}},
        {**facts, "options": {**options, "precision": "float32"}},
    ):
        with pytest.raises(DataError) as caught:
            Trainer.load(written(changed))
        assert "cannot be compiled" in str(caught.value) or "of another model" in str(caught.value), changed
    for data in (b"", network[:-9], b"TFL3" * 9, pickle.dumps(print)):
        with pytest.raises(DataError, match="cannot be compiled"):
            Trainer.load(written(facts, data))
    loaded = Trainer.load(written({**facts, "source": "a */ \n#error", "name": "b(); "}))
    assert loaded.model.name == "b"
    assert "\n" not in loaded.model.source
    assert "*" not in loaded.model.source


def test_what_a_device_would_refuse_is_neither_saved_nor_exported(tmp_path: Path) -> None:
    trainer, _, _ = fresh("sr8")
    state = trainer.state
    state["fc1_b"][1] = np.nan
    with pytest.raises(DataError, match="the learned state is damaged: fc1_b: 1 of 4 not in"):
        trainer.state = state
    trainer.twin.restore(state)
    for call in (trainer.save, trainer.export):
        with pytest.raises(DataError, match="with a third of the rate"):
            call(tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("kind", ["sr8", "planes"])
def test_a_device_s_memory_comes_back(kind: str, tmp_path: Path) -> None:
    """Dumps of the whole struct, of `ready` and params, of params; C arrays of bytes and words; .npz."""
    trainer, _, _ = trained(kind)
    device = Device(trainer, trainer.export(tmp_path / "fw"))
    place = trainer.build.compiled.layout
    image, like = device.bytes.tobytes(), StateFile.read(trainer.save(tmp_path / "a.mcgstate"))
    words = ", ".join(f"0x{word:x}UL" for word in np.frombuffer(image[4 : place.arena_offset], np.uint32))
    forms = {
        "whole.bin": image,
        "head.bin": image[: place.arena_offset],
        "params.bin": image[4 : place.arena_offset],
        "bytes.h": to_c(like).encode(),
        "words.c": f"/* {{1}} */ const uint32_t kept[] = {{ {words} }}; // {{2}}".encode(),
        "arrays.npz": to_npz(like),
    }
    for name, data in forms.items():
        (tmp_path / name).write_bytes(data)
        back, _, _ = fresh(kind)
        back.load_state(tmp_path / name)
        assert bytes_of(back) == bytes_of(trainer), name
        assert back.data_hash is None
    for data, said in (
        (image[:-1], f"{len(image) - 1} bytes are no dump of life"),
        (b"\0\0\0\0" + image[4:], "ready is 0x00000000"),
        (Device(made("tables")[0]).bytes[:4].tobytes() + image[4:], "of another model"),
        (image[:4] + b"\xff" * (len(image) - 4), "the state is damaged: conv1_w_scale: 6 of 6 not in"),
    ):
        (tmp_path / "bad.bin").write_bytes(data)
        with pytest.raises(DataError, match=said):
            back.load_state(tmp_path / "bad.bin")
    other = mg.compile(
        model((1, 12, 12), NET, name="life"), calibration=corners(60)[0] * 2, seed=5, **KINDS[kind]
    )
    for name in ("bytes.h", "arrays.npz"):  # as large as its own, and of another calibration
        with pytest.raises(DataError, match="of another model: the fingerprint is 0x"):
            other.load_state(tmp_path / name)
    np.savez(tmp_path / "bare.npz", **back.state)  # somebody else's arrays: nothing to compare with
    back.load_state(tmp_path / "bare.npz")
    for text in ("", "uint8_t x[] = {1, 2, 300};", "uint8_t x[] = {1, y};", "int x[] = {1};"):
        (tmp_path / "bad.h").write_text(text)
        with pytest.raises(DataError, match="no array of bytes"):
            back.load_state(tmp_path / "bad.h")
    assert bytes_of(back) == bytes_of(trainer)


def test_trainers_can_be_copied_and_pickled() -> None:
    for kind in KINDS:
        trainer, x, y = trained(kind)
        others = [copy.copy(trainer), copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))]
        untouched = pickle.loads(pickle.dumps(compiled(kind)[0]))
        assert bytes_of(untouched) == bytes_of(made(kind)[0])
        for other in others:
            assert bytes_of(other) == bytes_of(trainer)
            assert other.data_hash == trainer.data_hash
            before = bytes_of(trainer)
            other.fit(x[:20], y[:20], rate=0.02)
            assert bytes_of(trainer) == before != bytes_of(other)
            assert other.predict(x).tobytes() == others[0].predict(x).tobytes()


def test_probabilities() -> None:
    trainer, x, _ = trained("sr8")
    found = trainer.predict_proba(x)
    assert found.dtype == np.float32
    assert found.shape == (60, 4)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == trainer.predict(x)).all()
    assert found.max(axis=1).tobytes() == trainer.confidence(x).tobytes()
    logits = trainer._real(trainer.twin.predict(trainer.quantize(x))).astype(np.float64)
    exact = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert np.allclose(found, exact / exact.sum(axis=1, keepdims=True), atol=1e-6)
    labels, x, _ = trained("standardized")
    found = labels.predict_proba(x)
    logits = labels._real(labels.twin.predict(labels.quantize(x))).astype(np.float64)
    assert np.allclose(found, 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert ((found > 0.5) == labels.predict(x)).all()
    with pytest.raises(UsageError, match="values, which have no probabilities"):
        made("float32")[0].predict_proba(x)
