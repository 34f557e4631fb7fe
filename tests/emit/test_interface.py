"""A model's functions are said once, in the runtime's header: declaration, comment, definition and README follow it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest

from helpers.life_models import kinds
from mcugrad import toolchain
from mcugrad.abi.docs import doc, docs
from mcugrad.abi.headers import prototypes
from mcugrad.emit.interface import TRAINING, Function, declaration, every
from mcugrad.training.features import EVERY, LATENTS

NAMES = [function.name for function in every()]


@cache
def files(kind: str) -> dict[str, str]:
    return dict(kinds(kind)[0].build.compiled.files)


def declared(kind: str, name: str) -> tuple[str, str]:
    """Comment and prototype of a function in the header of a model that learns such labels."""
    text = next(text for file, text in files(kind).items() if file.endswith(".h"))
    found = re.search(rf"/\*\*\n((?:(?!\*/).)*) \*/\n(mcg_status_t \w+?_{name}\([^;]*\);)", text, re.DOTALL)
    assert found is not None, name
    return found[1], " ".join(found[2].split())


@pytest.mark.parametrize("function", every(), ids=NAMES)
def test_what_is_said_of_it_is_whole(function: Function) -> None:
    """A sentence, every parameter, which the descriptor begins, what it returns, and features that there are."""
    assert function.doc.brief.endswith(".")
    assert "|" not in function.doc.brief  # a row of a table has it
    assert list(function.doc.params) == [param.name for param in function.params]
    assert function.params[0].ctype == ("mcg_rest_t" if LATENTS in function.needs else "mcg_model_t")
    assert function.doc.returns.startswith("MCG_ERR_")
    assert function.needs <= {*EVERY, TRAINING, LATENTS}


@pytest.mark.parametrize("function", every(), ids=NAMES)
def test_what_a_sample_is_among_latents_is_said_where_it_may_be_one(function: Function) -> None:
    """Of a function that models keep whose replay buffers hold latents, each parameter of the input's size."""
    replaced = {each.name for each in every() if LATENTS in each.needs}
    kept = function.is_about_stored and function.name not in replaced
    samples = {name for name, (_, meaning) in function.doc.params.items() if "[input_size]" in meaning}
    assert function.of_latents.keys() == (samples if kept else set())
    assert all("[latents_size]" in meaning for meaning in function.of_latents.values())


def test_a_sample_that_nothing_is_said_of_is_refused() -> None:
    """So that a header whose words change is not declared with the size of an input where latents are asked for."""
    program = kinds("classes")[0].build.compiled.program
    (add,) = (each for each in every() if each.name == "replay_add")
    mute = replace(add, of_latents={})
    assert "x[NET_INPUT_SIZE]" in declaration(mute, program)
    latents = replace(program, stores_latents=True)
    assert "x[NET_LATENTS_SIZE]" in declaration(add, latents)
    with pytest.raises(ValueError, match=re.escape("mcg_replay_add: no") + ".* what x is, sample"):
        declaration(mute, latents)


def test_each_is_there_once() -> None:
    """A function for latents may be in the place of one for samples."""
    assert len({(each.name, LATENTS in each.needs) for each in every()}) == len(NAMES)
    assert {function.kernel for function in every()} <= prototypes().keys()


def test_every_feature_is_needed_by_some() -> None:
    assert frozenset().union(*(function.needs for function in every())) == {*EVERY, TRAINING, LATENTS}


@pytest.mark.parametrize(
    ("kind", "one", "several", "meaning"),
    [
        (
            "classes",
            "uint32_t label",
            "const uint32_t *labels",
            "class of the sample, below LIFE_OUTPUT_SIZE",
        ),
        (
            "bits",
            "const uint8_t label[LIFE_OUTPUT_SIZE]",
            "const uint8_t *labels",
            "else 0, [LIFE_OUTPUT_SIZE]",
        ),
        (
            "values",
            "const int8_t label[LIFE_OUTPUT_SIZE]",
            "const int8_t *labels",
            "real = LIFE_LABEL_SCALE * (q",
        ),
    ],
)
def test_a_header_has_the_models_own_types_and_sizes(kind: str, one: str, several: str, meaning: str) -> None:
    comment, prototype = declared(kind, "train_replay")
    model = prototype.split("(")[0].removeprefix("mcg_status_t ").removesuffix("_train_replay")
    own = model.upper()
    assert prototype == (
        f"mcg_status_t {model}_train_replay({model}_t *m, {model}_replay_t *replay, const int8_t x[{own}_INPUT_SIZE], "
        f"{one.replace('LIFE', own)}, {model}_step_t *step);"
    )
    assert meaning.replace("LIFE", own) in " ".join(
        re.sub(r"^ \* ?", "", comment, flags=re.MULTILINE).split()
    )
    assert several in declared(kind, "guard")[1]
    assert "input_size" not in comment
    assert "model" not in re.findall(r"@param\S+ +(\w+)", comment)


def test_a_readme_lists_what_the_header_declares() -> None:
    for kind in ("classes", "bits"):
        header = next(text for file, text in files(kind).items() if file.endswith(".h"))
        model = re.findall(r"} (\w+)_step_t;", header)[0]
        there = set(re.findall(rf"^mcg_status_t {model}_(\w+)\(", header, re.MULTILINE))
        rows = re.findall(rf"^\| `{model}_(\w+)` \| [A-Z]", files(kind)["README.md"], re.MULTILINE)
        assert set(rows) == there
        assert len(rows) == len(there)


def test_comments_are_read_by_their_parts() -> None:
    read = doc(
        "@brief y = x: the\nsame. Nothing else.\n\n@param[in]     x what\n it is\n@param[in,out] y  where, [n]\n"
        "@return MCG_OK, or\nnot\n\nMACs: none. Scratch: none.\nReference: ops/a.py::b.\n"
    )
    assert read.brief == "y = x: the same. Nothing else."
    assert read.params == {"x": ("in", "what it is"), "y": ("in,out", "where, [n]")}
    assert read.returns == "MCG_OK, or not"
    assert read.notes == {"MACs": "none. Scratch: none", "Reference": "ops/a.py::b"}
    assert docs()["mcg_predict"].notes["In a model"] == "predict"


@pytest.mark.parametrize("kind", ["classes", "bits", "values"])
def test_definitions_fit_their_declarations(kind: str) -> None:
    folder = kinds(kind)[0].build.compiled.folder()
    for compiler in toolchain.host_compilers():
        toolchain.check_warnings([folder / "net.c"], [folder], compiler=compiler, opt="-O0")
