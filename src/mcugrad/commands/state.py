"""mcugrad state: what was learned, outside of a model: show it, and bring it from one form into another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcugrad.commands.options import Json
from mcugrad.commands.output import Output, demand_places, write

if TYPE_CHECKING:
    from mcugrad.state.file import StateFile

state = typer.Typer(
    name="state",
    help="Show what was learned, and convert it: state file, dump of a device's memory, array in C, .npz.",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FORMS = (".mcgstate", ".bin", ".h", ".c", ".npz")
"""Ends of the names of files that can be written."""


@state.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="STATE", help="A .mcgstate file.")],
    json: Json = False,
) -> None:
    """Show which model a state file belongs to, how it was trained, and what lies in it."""
    from mcugrad.state.file import StateFile

    output = Output(json)
    found = StateFile.read(file)
    facts = _facts(found)
    output.say(
        f"{file}: {'a model' if found.about is None else found.about.name}, {_steps(found)}", strong=True
    )
    about = found.about
    if about is not None:
        data = "nothing" if about.data == "" else about.data or "not known"
        rows = [
            ("network", f"{about.source}  sha256 {about.sha256[:16]}"),
            ("trains", about.trains),
            ("loss", about.loss),
            ("precision", about.precision),
            ("trained on", data if len(data) < 64 else f"data sha256 {data}"),
            ("compiled by", f"mcugrad {about.version}"),
        ]
        output.table("", ("", ""), [*rows, *_sizes(found, facts)], "ll")
        arrays = [(a.name, a.ctype, " x ".join(map(str, a.shape)), f"{a.size:,}") for a in about.arrays]
        output.table("learned", ("array", "type", "shape", "bytes"), arrays, "lllr")
    else:
        output.table("", ("", ""), _sizes(found, facts), "ll")
    for text in facts["damages"]:
        output.say(f"note  {text}")
    output.finish(facts)


@state.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FROM",
            help="A .mcgstate or .npz file, a dump of NAME_t or its params, or an array in C (.c, .h, .txt).",
        ),
    ],
    to: Annotated[Path, typer.Argument(metavar="TO", help=f"Its form is its end: {', '.join(FORMS)}.")],
    like: Annotated[
        Path | None,
        typer.Option("--like", metavar="STATE", help="A .mcgstate file of the same model, for what is none."),
    ] = None,
    json: Json = False,
) -> None:
    """Bring a state from one form into another. What is of another model, or damaged, is refused."""
    from mcugrad.errors import UsageError
    from mcugrad.state.file import StateFile
    from mcugrad.state.images import is_state_file, read_state, to_c, to_npz, usable
    from mcugrad.state.program import unpack

    output = Output(json)
    demand_places(files=[to])
    if to.suffix not in FORMS:
        raise UsageError(
            f"{to.suffix or 'no end'} is no form of a state", where=str(to), hint=", ".join(FORMS)
        )
    if like is not None:
        model = StateFile.read(like)
        # compiled only for arrays with rows that stay in flash
        program = (lambda: unpack(model.program, str(like)).build.compiled.program) if model.program else None
        found = read_state(source, model, program)
    elif is_state_file(source):
        found = usable(StateFile.read(source), str(source))
    else:
        raise UsageError(
            "a dump, an array in C or an .npz file does not say of which model it is",
            where=str(source),
            hint="--like with a state file of that model",
        )
    if found.about is not None and to.name in (f"{found.about.name}.h", f"{found.about.name}.c"):
        raise UsageError(
            f"the array would include {found.about.name}.h of the model, and must not be called like its files",
            where=str(to),
            hint=f"{found.about.name}_state{to.suffix}",
        )
    if to.suffix == ".mcgstate":
        write(to, found.to_bytes())
    elif to.suffix == ".bin":
        write(to, found.params)
    else:
        write(to, to_npz(found) if to.suffix == ".npz" else to_c(found))
    output.say(f"wrote {to}: {_steps(found)}, {len(found.params):,} bytes of params")
    output.finish({**_facts(found), "file": str(to)})


def _steps(found: StateFile) -> str:
    return f"{found.steps:,} training step{'' if found.steps == 1 else 's'}"


def _sizes(found: StateFile, facts: dict[str, Any]) -> list[tuple[str, str]]:
    holds = f"yes, {len(found.program):,} bytes" if found.program else "no"
    return [
        ("fingerprint", f"{facts['fingerprint']}  {found.fingerprint.hex()}"),
        ("params", f"{len(found.params):,} bytes"),
        ("holds its model", holds),
    ]


def _facts(found: StateFile) -> dict[str, Any]:
    from dataclasses import asdict

    from mcugrad.emit.fingerprint import word
    from mcugrad.state.check import damages

    about = found.about
    arrays = [] if about is None else [array.buffer for array in about.arrays]
    return {
        "fingerprint": f"0x{word(found.fingerprint):08x}",
        "fingerprint_sha256": found.fingerprint.hex(),
        "steps": found.steps,
        "params_bytes": len(found.params),
        "holds_model": bool(found.program),
        "about": None if about is None else asdict(about),
        "damages": damages(arrays, found.arrays),
    }
