"""The same bytes on every machine: files do not depend on processor, BLAS, threads or NumPy's choice of code."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generated_hashes import generated
from mcugrad import numerics
from mcugrad.importers.onnx import load_onnx
from mcugrad.ops.activation.curves import Function, real_curve
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.passes.calibrate import percentile
from onnx_nets import Net, ours
from thoroughness import LONG

Array = np.ndarray[Any, np.dtype[Any]]

HELPERS = Path(__file__).parent / "helpers"
MACHINES: dict[str, dict[str, str]] = {
    "SSE3 alone, two threads": {
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": "all",
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "2",
    },
}
"""What is as far from this one as can be; a long test takes others between them."""
if LONG:
    MACHINES |= {
        "AVX2, one thread": {
            "OPENBLAS_CORETYPE": "Haswell",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        },
        "AVX": {"OPENBLAS_CORETYPE": "Sandybridge"},
    }


def dispatched() -> str:
    """What NumPy has code of its own for and may be told to leave alone."""
    from numpy._core import _multiarray_umath as built

    return " ".join(name for name in built.__cpu_dispatch__ if built.__cpu_features__.get(name))


def hashes(machine: dict[str, str]) -> dict[str, str]:
    """What tests/helpers/generated_hashes.py prints, where the order of sets is another one, too."""
    changed = {key: dispatched() if value == "all" else value for key, value in machine.items()}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS", "OMP", "NPY", "MKL"))}
    done = subprocess.run(
        [sys.executable, str(HELPERS / "generated_hashes.py")],
        env={**kept, **changed, "PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_generated_files_are_the_same_on_every_machine() -> None:
    expected = {name: hashlib.sha256(data).hexdigest() for name, data in generated()}
    assert len(expected) > 40
    for name, machine in MACHINES.items():
        got = hashes(machine)
        assert [key for key in expected if got[key] != expected[key]] == [], name


# -- sums and products -------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.integers(1, 9000),
    st.integers(0, 1 << 20),
    st.sampled_from([0.0, 1e-45, 1e-38, 1.0, 1e19]),
    st.sampled_from([0.0, 3e-42, 1.0, 1e18]),
)
def test_products_have_no_order(terms: int, seed: int, left: float, right: float) -> None:
    """In whatever order a BLAS adds, fused or not, one value comes out, and it is the right one."""
    random = np.random.default_rng(seed)
    a, b = (
        (random.normal(size=(3, terms)) * left).astype(np.float32),
        (random.normal(size=(terms, 2)) * right).astype(np.float32),
    )
    a[0] *= random.random(terms).astype(np.float32) ** 20  # some far smaller than others
    found = numerics.matmul(a, b)
    for start in range(0, terms, numerics.MOST_TERMS):
        order = np.arange(terms)
        random.shuffle(order[start : start + numerics.MOST_TERMS])
        assert numerics.matmul(a[:, order], b[order]).tobytes() == found.tobytes()
    one_by_one = np.zeros((3, 2))
    (whole_a, unit_a), (whole_b, unit_b) = (
        numerics.on_grid(m, bits, shared)
        for m, bits, shared in zip((a, b), numerics.grid_bits(terms), ((-1,), (-2,)), strict=True)
    )
    for i in range(terms):
        one_by_one += whole_a[:, i, None] * whole_b[None, i]
    if terms <= numerics.MOST_TERMS:
        assert np.array_equal(one_by_one * (unit_a * unit_b), found)
    peaks = np.abs(a).max(axis=1, initial=0)[:, None].astype(np.float64) * np.abs(b).max(axis=0, initial=0)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    assert (np.abs(found - exact) <= terms * 2.0 ** (-19 if terms > 16 else -23) * peaks).all()


@pytest.mark.parametrize("terms", [1, 2, 3, 16, 17, 1000, 1 << 12, (1 << 12) + 1, 1 << 24])
def test_no_sum_on_the_grid_can_be_rounded(terms: int) -> None:
    a, b = numerics.grid_bits(terms)
    assert min(terms, numerics.MOST_TERMS) * 2 ** (a + b) <= 2**53
    assert min(a, b) >= 20
    ones = np.full((2, min(terms, 5000)), np.nextafter(np.float32(2), np.float32(0)))
    assert np.abs(numerics.on_grid(ones, a, (-1,))[0]).max() <= 2**a


def test_products_of_what_is_on_a_grid_are_exact() -> None:
    random = np.random.default_rng(0)
    a, b = (random.integers(-(2**12), 2**12, shape) / 2**10 for shape in ((5, 300), (300, 4)))
    assert np.array_equal(numerics.matmul(a.astype(np.float32), b.astype(np.float32)), a @ b)


def test_what_is_not_finite_stays_so() -> None:
    """Calibration says so afterwards, with the name of the layer."""
    a = np.ones((3, 4), np.float32)
    a[0, 1], a[1, 2] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        found = numerics.matmul(a, np.ones((4, 2), np.float32))
    assert not np.isfinite(found[:2]).any()
    assert np.array_equal(found[2], [4, 4])


def test_products_have_the_shapes_of_numpy() -> None:
    random = np.random.default_rng(1)
    for left, right in (
        ((4,), (4,)),
        ((3, 4), (4,)),
        ((4,), (4, 2)),
        ((2, 3, 4), (4, 5)),
        ((6, 1, 3, 4), (2, 4, 5)),
    ):
        a, b = (random.normal(size=shape).astype(np.float32) for shape in (left, right))
        found = numerics.matmul(a, b)
        assert np.shape(found) == np.shape(a @ b)
        np.testing.assert_allclose(found, a @ b, rtol=1e-5, atol=1e-5)


def test_a_sample_is_computed_as_if_it_were_alone() -> None:
    """However large others of its batch are."""
    random = np.random.default_rng(2)
    layer = Conv2d(name="c", x="x", w="w", b="b", y="y", padding=(1, 1, 1, 1))
    x, w, b = (random.normal(size=s).astype(np.float32) for s in ((9, 6, 5, 3), (4, 3, 3, 3), (4,)))
    x *= 10.0 ** np.arange(9).astype(np.float32)[:, None, None, None]
    together = layer.forward(x, w, b)
    assert np.array_equal(together, np.concatenate([layer.forward(x[i : i + 1], w, b) for i in range(9)]))


def test_sums_are_first_term_first() -> None:
    x = np.asarray([[1e16, 1, 1, -1e16], [1, 1e16, -1e16, 1]])
    assert numerics.ordered_sum(x, axis=1).tolist() == [0, 1]
    assert numerics.ordered_sum(x, axis=0).tolist() == [1e16 + 1, 1e16, 1 - 1e16, 1 - 1e16]


# -- functions -------------------------------------------------------------------------------------------------------

EVERYWHERE = np.concatenate(
    [np.random.default_rng(0).normal(size=400) * size for size in (1e-9, 1e-3, 0.4, 1, 5, 200)]
    + [[0.0, 1.0, -1.0]]
)
POSITIVE = np.abs(EVERYWHERE) + 1e-300


@pytest.mark.parametrize(
    ("ours", "theirs", "x"),
    [
        (numerics.exp, math.exp, EVERYWHERE),
        (numerics.expm1, math.expm1, EVERYWHERE),
        (numerics.log, math.log, POSITIVE),
        (numerics.log1p, math.log1p, np.minimum(POSITIVE, 1)),
        (numerics.tanh, math.tanh, EVERYWHERE),
        (numerics.erf, math.erf, EVERYWHERE),
        (numerics.sigmoid, lambda v: 1 / (1 + math.exp(-v)), np.clip(EVERYWHERE, -700, 700)),
        (lambda v: numerics.power(v, 1.7), lambda v: v**1.7, np.clip(POSITIVE, 1e-9, 1e9)),
    ],
    ids=["exp", "expm1", "log", "log1p", "tanh", "erf", "sigmoid", "power"],
)
def test_functions_are_those_of_mathematics(
    ours: Callable[[Array], Array], theirs: Callable[[float], float], x: Array
) -> None:
    np.testing.assert_allclose(ours(x), [theirs(float(v)) for v in x], rtol=1e-14, atol=1e-320)


def test_reductions_are_those_of_numpy() -> None:
    x = np.random.default_rng(3).integers(1, 5, (2, 3, 4))
    for axis in ((0,), (1, 2), (-1,), (0, 1, 2)):
        for keep in (False, True):
            assert np.array_equal(numerics.in_order(np.add, x, axis, keep), x.sum(axis=axis, keepdims=keep))
            assert np.array_equal(
                numerics.in_order(np.multiply, x, axis, keep), x.prod(axis=axis, keepdims=keep)
            )
    x = np.asarray([1e16, 1, 1, -1e16])
    assert numerics.in_order(np.add, x, (0,)) == 0


def test_functions_at_their_ends() -> None:
    ends = np.asarray([-np.inf, -1e9, 1e9, np.inf, np.nan])
    with np.errstate(all="raise", under="ignore"):
        assert numerics.exp(ends[:2]).tolist() == [0, 0]
        assert numerics.tanh(ends[:4]).tolist() == numerics.erf(ends[:4]).tolist() == [-1, -1, 1, 1]
        assert numerics.sigmoid(ends[:4]).tolist() == [0, 0, 1, 1]
    with np.errstate(all="ignore"):
        assert numerics.exp(ends[2:4]).tolist() == [np.inf, np.inf]
        for function in (
            numerics.exp,
            numerics.expm1,
            numerics.log,
            numerics.tanh,
            numerics.erf,
            numerics.sigmoid,
        ):
            assert np.isnan(function(ends[4:])).all()
    assert numerics.log(np.asarray([0.0, np.inf])).tolist() == [-np.inf, np.inf]
    assert np.isnan(numerics.log(np.asarray([-1.0]))).all()


def test_whole_and_half_powers_are_exact() -> None:
    base = np.asarray([-3.0, 0.5, 7.0, 0.0])
    assert numerics.power(base, 3).tolist() == [-27, 0.125, 343, 0]
    assert numerics.power(base, 0).tolist() == [1, 1, 1, 1]
    assert numerics.power(base[:3], -2).tolist() == [1 / 9, 4, 1 / 49]
    assert numerics.power(np.abs(base), 0.5).tolist() == np.sqrt(np.abs(base)).tolist()
    assert numerics.power(np.float64(2), np.asarray([1, 2, 3])).tolist() == [2, 4, 8]


@pytest.mark.parametrize("function", [Function.GELU, Function.GELU_TANH, Function.SILU, Function.SOFTPLUS])
def test_curves_are_their_definitions(function: Function) -> None:
    x = EVERYWHERE[np.abs(EVERYWHERE) < 50]
    definition: Callable[[float], float] = {
        Function.GELU: lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))),
        Function.GELU_TANH: lambda v: (
            v * 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
        ),
        Function.SILU: lambda v: v / (1 + math.exp(-v)),
        Function.SOFTPLUS: lambda v: math.log1p(math.exp(v)),
    }[function]
    np.testing.assert_allclose(real_curve(function, x), [definition(v) for v in x], rtol=1e-12, atol=1e-13)


# -- the sources ------------------------------------------------------------------------------------------------------

_ELSEWHERE = """
    arccos arcsin arctan arctan2 arctanh average cbrt convolve correlate cos cosh dot erf exp exp2 expm1 fft
    float_power hypot inner interp linalg log log10 log1p log2 logaddexp matmul polyfit pow power sin sinh tan tanh
    tensordot vdot
"""
ELSEWHERE = frozenset(_ELSEWHERE.split())
"""What NumPy, BLAS and libm compute otherwise on another processor."""
HARMLESS = {
    "advice.py log10": "told to the user, rounded to a power of ten",
    "fidelity.py log10": "shown, with one digit",
    "importers/onnx/static.py matmul": "of integers",
    "numerics.py @": "of whole numbers below 2^53",
    "numerics.py power": "of integers",
    "ops/core/computation_s8.py @": "of whole numbers below 2^53",
    "report/chart.py log10": "how far apart the lines of a chart are",
    "training/losses.py log": "told to the user, who compares it with a loss",
    "training/rules/rule.py @": "of integers",
}
"""Where they are used all the same, and why it matters to no generated file."""


def test_nothing_else_computes_what_depends_on_the_processor() -> None:
    """Whoever needs exp or a matrix product takes it from mcugrad.numerics, or says here why it does not matter."""
    root = Path(numerics.__file__).parent
    found = set()
    names = re.compile(rf"(np|math)\s*\.\s*({'|'.join(sorted(ELSEWHERE))})\b|from\s+math\b|@\s|@=")
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if not names.search(text):  # parsing takes ten times as long
            continue
        for node in ast.walk(ast.parse(text)):
            used: list[str] = []
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used = [node.attr] if node.value.id in ("np", "math") else []
            elif isinstance(node, ast.ImportFrom) and node.module == "math":
                used = [alias.name for alias in node.names]
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
                found.add(f"{path.relative_to(root).as_posix()} @")
            found |= {f"{path.relative_to(root).as_posix()} {name}" for name in used if name in ELSEWHERE}
    assert found == set(HARMLESS)


# -- in use ----------------------------------------------------------------------------------------------------------


def test_constants_of_files_are_folded_as_onnx_says() -> None:
    """Products and powers, which are computed here: floats, doubles and whole numbers, of any number of axes."""
    from onnx import helper

    net = Net("batch", 6, seed=1)
    base, right = np.abs(net.normal(6, 4)) + 1, net.normal(4, 3)
    net.nodes += [
        helper.make_node("Pow", [net.const("base", base), net.const("e", np.float32(-0.5))], ["p"]),
        helper.make_node("MatMul", ["p", net.const("right", right)], ["w"]),
        helper.make_node(
            "Pow", [net.const("two", np.int64([2, 3])), net.const("one", np.int64([1, 0]))], ["size"]
        ),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("MatMul", [net.const("shape", np.int64([[1, 2]])), "size"], ["four"]),
        helper.make_node("Cast", ["four"], ["factor"], to=1),
        helper.make_node("Mul", ["y", "factor"], ["z"]),
    ]
    net.top = "z"
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_allclose(ours(load_onnx(net.bytes()), x), x @ (base**-0.5 @ right) * 4, rtol=1e-5)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40), st.floats(0, 100))
def test_percentiles_are_those_of_numpy(values: list[int], share: float) -> None:
    x = np.asarray(values, np.float32).reshape(1, -1) / 4
    assert percentile(x, share) == pytest.approx(np.percentile(x.astype(np.float64), share), abs=1e-9)
