"""Small changes of meaning, one at a time: what `mutants.py` breaks code with.

Python is changed in its syntax tree, C by the line. The list of a text is always the same, in the order of the text,
and a change is named by what it changes, so that its name outlives other changes of the file.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

ORDER: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
DROPPED = (ast.Expr, ast.AugAssign, ast.Raise, ast.Break, ast.Continue)
"""Statements that can go, beside assignments to members and elements: those leave no name undefined."""
SKIPPED = (ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr)
UNREAD = ("annotation", "returns", "decorator_list", "type_params")
C_CHANGES = {
    r"(?<![-<>=])<(?![<=])": ("<=", ">="),
    r"<=": ("<", ">"),
    r"(?<![-<>=])>(?![>=])": (">=", "<="),
    r">=": (">", "<"),
    r"==": ("!=",),
    r"!=": ("==",),
    r"&&": ("||",),
    r"\|\|": ("&&",),
    r"(?<= )\+(?= )": ("-",),
    r"(?<= )-(?= )": ("+",),
    r"(?<= )\*(?= )": ("+",),
    r"(?<= )/(?= )": ("*",),
    r"\+=": ("-=",),
}


@dataclass(frozen=True)
class Mutation:
    """A change.

    Attributes:
        name: function, what was there, what is there now; numbered where that is not unique.
        text: the whole changed file.
    """

    name: str
    text: str


@dataclass(frozen=True)
class _Site:
    """Something that can be another thing: a member of a node, or a place in a list."""

    where: str
    shown: Callable[[], str]
    put: Callable[[Any], None]
    old: Any
    others: Sequence[Any]


def of_python(text: str) -> Iterator[Mutation]:
    """Changes of a Python file; docstrings, annotations, texts, messages of errors and asserts are left alone."""
    tree = ast.parse(text)
    seen: Counter[str] = Counter()
    for site in list(_sites(tree, "", None)):
        before = site.shown()
        for other in site.others:
            site.put(other)
            yield Mutation(
                _named(seen, f"{site.where or 'module'}: {before} -> {site.shown()}"), ast.unparse(tree)
            )
            site.put(site.old)


def _sites(node: ast.AST, where: str, statement: ast.stmt | None) -> Iterator[_Site]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        where = f"{where}.{node.name}" if where else node.name
    if isinstance(node, ast.stmt):
        statement = node
    if statement is not None:
        for owner, member, others in _members(node):
            put, old = _setter(owner, member), getattr(owner, member)
            yield _Site(where, _first_line(statement), put, old, others)
    if isinstance(node, ast.Raise):
        return
    for name, value in ast.iter_fields(node):
        if name in UNREAD:
            continue
        children = value if isinstance(value, list) else [value]
        for i, child in enumerate(children):
            if not isinstance(child, ast.AST) or isinstance(child, SKIPPED):
                continue
            if _is_text(child) or _is_any_size(node, child):
                continue
            if isinstance(child, ast.stmt) and _can_go(child):
                yield _Site(where, _place(children, i), _filler(children, i), child, [ast.Pass()])
            yield from _sites(child, where, statement)


def _members(node: ast.AST) -> Iterator[tuple[ast.AST, str, Sequence[Any]]]:
    """Members of a node that can be something else."""
    match node:
        case ast.Compare(ops=ops):
            changed = [(i, kind()) for i, op in enumerate(ops) for kind in ORDER[type(op)]]
            yield node, "ops", [[*ops[:i], op, *ops[i + 1 :]] for i, op in changed]
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in ARITHMETIC:
            yield node, "op", [ARITHMETIC[type(op)]()]
        case ast.BoolOp(op=op):
            yield node, "op", [ast.And() if isinstance(op, ast.Or) else ast.Or()]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, "operand", [ast.UnaryOp(ast.Not(), operand)]
        case ast.If(test=test) | ast.IfExp(test=test) if isinstance(
            test, ast.Name | ast.Attribute | ast.Call
        ):
            yield node, "test", [ast.UnaryOp(ast.Not(), test)]
        case ast.Constant(value=bool(value)):
            yield node, "value", [not value]
        case ast.Constant(value=int(value)):
            yield node, "value", [value + 1, value - 1] if value > 0 else [value + 1]
        case ast.Constant(value=float(value)):
            yield node, "value", [v for v in (value + 1, value * 1.0625) if v != value]


def _can_go(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Attribute | ast.Subscript)
    return isinstance(node, DROPPED)


def _is_any_size(node: ast.AST, child: ast.AST) -> bool:
    """Whether it is the -1 of a `reshape`, which any other negative number could be."""
    reshapes = (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reshape"
    )
    return reshapes and isinstance(child, ast.UnaryOp)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _setter(owner: ast.AST, member: str) -> Callable[[Any], None]:
    return lambda value: setattr(owner, member, value)


def _filler(children: list[Any], i: int) -> Callable[[Any], None]:
    return lambda value: children.__setitem__(i, value)


def _first_line(statement: ast.stmt) -> Callable[[], str]:
    return lambda: ast.unparse(statement).split("\n")[0]


def _place(children: list[Any], i: int) -> Callable[[], str]:
    return lambda: ast.unparse(children[i]).split("\n")[0]


def of_c(text: str, functions: str) -> Iterator[Mutation]:
    """Changes of comparisons and sums of C, in functions whose names match; comments and templates are left alone."""
    lines, where, seen = text.split("\n"), "", Counter[str]()
    for i, line in enumerate(lines):
        if line and not line[0].isspace() and (found := re.search(r"(\w|\{\{ name \}\})+(?=\()", line)):
            where = found.group()
        if not line[:1].isspace() or not re.search(functions, where):
            continue
        code = re.sub(r"/\*.*?\*/|//.*|\{\{.*?\}\}|\{%.*?%\}", lambda m: " " * len(m.group()), line)
        for pattern, others in C_CHANGES.items():
            for match in re.finditer(pattern, code):
                for other in others if line[match.end() : match.end() + 1] in " (0123456789" else ():
                    changed = line[: match.start()] + other + line[match.end() :]
                    name = f"{where}: {line.strip()} -> {changed.strip()}"
                    yield Mutation(_named(seen, name), "\n".join([*lines[:i], changed, *lines[i + 1 :]]))


def _named(seen: Counter[str], name: str) -> str:
    """The name, with a number from the second one on."""
    seen[name] += 1
    return name if seen[name] == 1 else f"{name} ({seen[name]})"
