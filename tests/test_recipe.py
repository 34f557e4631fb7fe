"""CONTRIBUTING's recipe for an operator, followed: in a copy of the repository HardShrink is added, and works.

The files that are added are those of tests/recipe/hard_shrink, in the places where they belong; `INSERTIONS` is what is
written into files that are there. Then the copy's own tests of the operator run: it comes from an ONNX file, is
compiled, trained and compared in both precisions. Last, the files that it took are counted: they are those that the
recipe names.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from onnx_nets import Net, refused

ROOT = Path(__file__).parents[1]
ADDED = Path(__file__).with_name("recipe") / "hard_shrink"
LEFT = {"__pycache__", ".hypothesis"}
MOST = 14
"""Files that an operator may take."""

INSERTIONS: tuple[tuple[str, str, str], ...] = (
    (
        "src/mcugrad/runtime/include/mcugrad/mcg_activation.h",
        "#endif /* MCG_ACTIVATION_H */",
        """\
/**
 * @brief y = x where it is more than limit / x_scale steps from its zero point, else the zero point.
 *
 * @param[in]  count   number of elements
 * @param[in]  x_zero  zero point of x and y
 * @param[in]  limit   largest magnitude that becomes 0, real units
 * @param[in]  x_scale real units per step of x and y
 * @param[in]  x       input, [count]
 * @param[out] y       output, [count]
 *
 * MACs: none. Scratch: none. Reference: ops/activation/hard_shrink_s8.py::hard_shrink_s8.
 */
void mcg_hard_shrink_s8(int32_t count, int32_t x_zero, const float *limit, const float *x_scale,
                        const int8_t *x, int8_t *y);

/**
 * @brief Error of the input: e where y is not its zero point, else 0.
 *
 * Reference: ops/activation/hard_shrink_s8.py::hard_shrink_grad_s8.
 */
void mcg_hard_shrink_grad_s8(int32_t count, int32_t y_zero, const int8_t *e, const int8_t *y, int8_t *e_x);

/**
 * @brief y = 0 where the magnitude of x is at most the limit, else x.
 *
 * Reference: ops/activation/hard_shrink_f32.py::hard_shrink_f32.
 */
void mcg_hard_shrink_f32(int32_t count, const float *limit, const float *x, float *y);

/**
 * @brief Error of the input: e where y is not 0, else 0.
 *
 * Reference: ops/activation/hard_shrink_f32.py::hard_shrink_grad_f32.
 */
void mcg_hard_shrink_grad_f32(int32_t count, const float *e, const float *y, float *e_x);

""",
    ),
    (
        "src/mcugrad/importers/onnx/activations.py",
        "from mcugrad.ops.activation.prelu import PRelu\n",
        "from mcugrad.ops.activation.hard_shrink import HardShrink\n",
    ),
    (
        "src/mcugrad/importers/onnx/activations.py",
        "_COMPOSED = Rule(",
        '''\
def shrink_problem(node: ir.Node) -> str:
    """Why not."""
    bias, limit = node.attributes.get_float("bias", 0.0), node.attributes.get_float("lambd", 0.5)
    if bias != 0:
        return f"bias is {bias:g}; only 0 is supported"
    return "" if 0 <= limit < np.inf else f"lambd is {limit:g}"


def shrink(to: Builder, node: ir.Node, x: Flow) -> Flow:
    """What is small becomes 0."""
    name, limit = to.name("shrink"), float(node.attributes.get_float("lambd", 0.5))
    return to.add(HardShrink(name=name, source=label(node), x=x.tensor, y=f"{name}_y", limit=limit), x)


''',
    ),
    (
        "src/mcugrad/importers/onnx/activations.py",
        '    "Selu": _COMPOSED,\n}\n',
        '    "Shrink": Rule(shrink_problem, shrink),\n',
    ),
    (
        "src/mcugrad/ops/registry.py",
        "from mcugrad.ops.activation.prelu import PRelu\n",
        "from mcugrad.ops.activation.hard_shrink import HardShrink\n",
    ),
    (
        "src/mcugrad/ops/registry.py",
        "        Entry(PRelu, ",
        '        Entry(HardShrink, ("Shrink",), (), "Without a bias; the limit does not learn."),\n',
    ),
    (
        "tests/kernels/activation.py",
        "def function(draw: Draw, ",
        """\
LIMITS = st.sampled_from([0.0, 0.3, 100.0, 3e38])


@st.composite
def hard_shrink_s8(draw: Draw) -> Arguments:
    count, rng = draw(COUNTS), rngs(draw)
    return {
        "count": count,
        "x_zero": draw(ZEROS),
        "limit": np.float32([draw(LIMITS)]),
        "x_scale": floats(draw, rng, 1),
        "x": int8(draw, rng, count, -128),
        "y": old_int8(rng, count),
    }


@st.composite
def hard_shrink_grad_s8(draw: Draw) -> Arguments:
    count, rng = draw(COUNTS), rngs(draw)
    return {
        "count": count,
        "y_zero": draw(ZEROS),
        "e": int8(draw, rng, count),
        "y": int8(draw, rng, count, -128),
        "e_x": old_int8(rng, count),
    }


""",
    ),
    (
        "tests/kernels/activation.py",
        "        prelu_s8,\n",
        "        hard_shrink_s8,\n        hard_shrink_grad_s8,\n",
    ),
    (
        "tests/kernels/activation.py",
        '    "prelu": (by_channel,',
        """\
    "hard_shrink": (nothing, "hard_shrink_s8"),
    "hard_shrink_grad": (nothing, "hard_shrink_grad_s8"),
""",
    ),
    ("tests/kernels/activation.py", "real_cases, reals\n", "nothing, "),
    ("CHANGELOG.md", "### Added\n\n|", "* HardShrink, from ONNX's Shrink without a bias.\n"),
)
"""What is written into files that are there: the file, the first text before which it is written, what is written.

Where a text ends with `|`, it is written behind it."""


def tree(folder: Path) -> dict[str, bytes]:
    """Contents of all files, but for what Python and its tools leave."""
    found = (p for p in folder.rglob("*") if p.is_file() and not LEFT & set(p.parts))
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def copy_of_the_repository(to: Path) -> None:
    """All that a change of an operator may touch; with what Python has compiled, which it need not do again."""
    ignore = shutil.ignore_patterns("golden", "recipe", "results", "images", ".hypothesis")
    for folder in ("src", "tests", "benchmarks", "docs"):
        shutil.copytree(ROOT / folder, to / folder, ignore=ignore)
    for file in (*ROOT.glob("*.md"), ROOT / "pyproject.toml"):
        shutil.copy(file, to)


WRITE_AND_TEST = """\
import pytest
import write_operators
assert write_operators.DOCUMENT.read_text(encoding="utf-8") != write_operators.document(), "nothing is out of date"
raise SystemExit(write_operators.main() or pytest.main(TESTS))
"""
"""In one process, which has to import the package once."""


def write_and_test(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """The copy's page of operators is written anew, as its script does it, and some tests of the copy run."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder / "src"), str(folder / "benchmarks")))}
    code = WRITE_AND_TEST.replace("TESTS", repr(["-p", "no:cacheprovider", "-p", "no:xdist", "-q", *tests]))
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def recipe() -> list[str]:
    """Files that CONTRIBUTING names for an operator, with <family>, <operator> and the like in them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text[text.index("## Add an operator") :].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def pattern(named: str) -> re.Pattern[str]:
    """The files that a name with <...> in it stands for."""
    parts = re.split(r"<\w+>", named)
    return re.compile(r"[a-z0-9_]+".join(map(re.escape, parts)))


def test_the_recipe_works_and_touches_what_it_names(tmp_path: Path) -> None:
    net = Net(None, 8)
    assert "Shrink: operator is not supported" in refused(net.op("Shrink", lambd=0.3).fc(8, 2)).where

    copy = tmp_path / "mcugrad"
    copy_of_the_repository(copy)
    before = tree(copy)
    shutil.copytree(ADDED, copy, dirs_exist_ok=True)
    for file, place, text in INSERTIONS:
        path = copy / file
        old = path.read_text(encoding="utf-8")
        found = place.removesuffix("|")
        assert found in old, f"{file} has no {found!r} any more: the recipe goes by it"
        new = found + text if place != found else text + found
        path.write_text(old.replace(found, new, 1), encoding="utf-8", newline="\n")

    tests = ("tests/ops/test_hard_shrink.py", "tests/ops/test_operators_doc.py", "tests/ops/test_families.py")
    done = write_and_test(copy, *tests)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]

    after = tree(copy)
    touched = {name for name in after if before.get(name) != after[name]}
    assert before.keys() <= after.keys()
    assert len(touched) <= MOST, sorted(touched)
    named = recipe()
    assert not [f for f in touched if not any(pattern(n).fullmatch(f) for n in named)]
    assert not [n for n in named if not any(pattern(n).fullmatch(f) for f in touched)]
