"""ONNX weights in files of their own: only what lies beside the model is opened, whatever the model says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from mcugrad.importers.onnx import external, load_onnx
from onnx_nets import refused, small

Entries = dict[str, str]


def written(folder: Path, change: Callable[[Entries], object] = lambda entries: None) -> Path:
    """A model whose first weights have other entries."""
    path = folder / "net.onnx"
    onnx.save(small().model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[0]
    entries = {each.key: each.value for each in tensor.external_data}
    change(entries)
    del tensor.external_data[:]
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("place", ["weights.bin", "./weights.bin", "deep/weights.bin"])
def test_beside_the_model(tmp_path: Path, place: str) -> None:
    (tmp_path / "deep").mkdir()
    path = written(tmp_path, lambda entries: entries.update(location=place))
    (tmp_path / "deep/weights.bin").write_bytes((tmp_path / "weights.bin").read_bytes())
    assert len(load_onnx(path).nodes) == 4


@pytest.mark.parametrize(
    "place",
    [
        "/etc/passwd",
        "../weights.bin",
        "a/../../weights.bin",
        "C:\\weights.bin",
        "\\\\host\\w",
        "..\\w",
        "a\0b",
    ],
)
def test_places_that_lead_elsewhere(tmp_path: Path, place: str) -> None:
    (tmp_path / "in").mkdir()
    path = written(tmp_path / "in", lambda entries: entries.update(location=place))
    (tmp_path / "weights.bin").write_bytes((tmp_path / "in/weights.bin").read_bytes())
    error = refused(path)
    assert error.what.startswith("4 weight tensors are stored outside the model's folder: ")
    assert error.where == "net.onnx"


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no symbolic links")
def test_links_lead_nowhere_but_where_the_model_is_linked_to(tmp_path: Path) -> None:
    for name in ("store", "in", "far"):
        (tmp_path / name).mkdir()
    path = written(tmp_path / "store")
    for name in ("net.onnx", "weights.bin"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "store" / name)
    assert len(load_onnx(tmp_path / "in/net.onnx").nodes) == 4
    (tmp_path / "in2").mkdir()
    path = written(tmp_path / "in2")
    (tmp_path / "in2/weights.bin").rename(tmp_path / "far/weights.bin")
    (tmp_path / "in2/weights.bin").symlink_to(tmp_path / "far/weights.bin")
    assert "outside the model's folder: weights.bin" in refused(path).what
    (tmp_path / "in2/weights.bin").unlink()
    (tmp_path / "in2/weights.bin").symlink_to("weights.bin")
    assert "outside the model's folder: weights.bin" in refused(path).what


def directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    "make", [lambda path: None, directory, *([os.mkfifo] if hasattr(os, "mkfifo") else [])]
)
def test_files_that_are_missing(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = written(tmp_path)
    (tmp_path / "weights.bin").unlink()
    make(tmp_path / "weights.bin")
    assert refused(path).what == "4 weight tensors are stored in files that are missing: weights.bin"


@pytest.mark.parametrize(
    "change",
    [
        {"offset": "-1"},
        {"offset": "999999999999"},
        {"offset": "9" * 9000},
        {"offset": "0x10"},
        {"offset": "1e3"},
        {"offset": ""},
        {"length": "-216"},
        {"length": "215"},
        {"length": "217"},
        {"length": "999999999999999999"},
        {"length": "²"},
    ],
    ids=lambda change: str(change)[:40],
)
def test_absurd_numbers(tmp_path: Path, change: Entries) -> None:
    error = refused(written(tmp_path, lambda entries: entries.update(change)))
    assert "cannot be read: it takes 216 bytes at " in error.what
    assert len(str(error)) < 400


def test_a_place_without_name(tmp_path: Path) -> None:
    for change in (lambda entries: entries.update(location=""), lambda entries: entries.pop("location")):
        path = written(tmp_path, change)
        assert refused(path).what == "4 weight tensors are stored in files that are missing: unnamed"


def test_too_much_altogether(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    monkeypatch.setattr(external, "MODEL_LIMIT", 300)
    assert refused(path).what.endswith("bytes; at most 300 are read")


@pytest.mark.parametrize("inside", ["node", "branch"])
def test_constants_in_nodes_are_checked_as_well(tmp_path: Path, inside: str) -> None:
    model = small().model()
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    node = helper.make_node("Constant", [], ["unused"], value=tensor)
    if inside == "branch":
        graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("unused", 1, [2])])
        node = helper.make_node("If", ["x"], ["y"], then_branch=graph, else_branch=graph)
    model.graph.node.insert(0, node)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    assert (
        "weight tensors are stored outside the model's folder: /etc/passwd"
        in refused(tmp_path / "net.onnx").what
    )
