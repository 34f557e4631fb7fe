"""The command line: `mcugrad demo, inspect, advise, compile, bench, train, run, report, state, doctor`.

Exit codes: 0 fine, 1 the answer is no (does not fit, differs, something needed is missing), 2 wrong use, 3 a defect of
mcugrad, 130 stopped by the user, 141 nobody reads on. With --json every verb writes exactly one JSON object to stdout,
an error too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Annotated, Any

import typer

from mcugrad import __version__
from mcugrad.commands.advise import advise
from mcugrad.commands.bench import bench
from mcugrad.commands.compile import compile_
from mcugrad.commands.demo import demo
from mcugrad.commands.doctor import doctor
from mcugrad.commands.inspect import inspect
from mcugrad.commands.output import (
    as_json,
    demand_streams,
    flush_streams,
    forgive_locale,
    noted,
    report_error,
    silence_streams,
)
from mcugrad.commands.report import report
from mcugrad.commands.run import run
from mcugrad.commands.state import state
from mcugrad.commands.train import train
from mcugrad.errors import McugradError, ToolError, UsageError
from mcugrad.files import shown

STOPPED, UNREAD = 130, 141
"""Exit codes after Ctrl-C and of a broken pipe, as shells have them."""

app = typer.Typer(
    name="mcugrad",
    help="Turns a neural network into Cortex-M firmware that keeps learning, in 8-bit arithmetic.",
    epilog="Exit codes: 0 fine, 1 the answer is no (does not fit, differs), 2 wrong use, 3 a defect of mcugrad.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# typer's errors derive from one of click, which typer has as a dependency or inside, depending on its version.
_CommandLineError: type[Exception] = next(
    c for c in typer.BadParameter.__mro__ if issubclass(c, Exception) and c.__name__ == "ClickException"
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mcugrad {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _global(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


# In the list of verbs a sentence has 67 characters; the docstrings are what `mcugrad <verb> --help` says.
for _verb, _what in (
    (demo, "Let an emulated microcontroller learn a changed world."),
    (inspect, "Show a network's layers, and the memory that training it takes."),
    (advise, "Find out what to train within RAM, flash and time, on your data."),
    (compile_, "Write the firmware folder, and say what the firmware needs."),
    (bench, "Count what every layer costs, in a prediction and a training step."),
    (train, "Train on this computer, with the bytes the device would have."),
    (run, "Train on emulated cores and compare every bit with the twin."),
    (report, "Compile, train, compare and measure, and show all of it on a page."),
    (doctor, "Show which tools are found, and what missing ones would unlock."),
):
    app.command(_verb.__name__.rstrip("_"), short_help=_what)(_verb)

app.add_typer(state, short_help="Show what was learned, and bring it from one form into another.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; those of the process if not given.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    machine = "--json" in given
    demand_streams()
    forgive_locale()
    code = 0
    try:
        code = _answer(given, machine)
        flush_streams()
        return code
    except BrokenPipeError:
        code = code or UNREAD
    except OSError as error:
        unsaid = ToolError(
            f"what there is to say cannot be written: {error.strerror or error}"
            if error.filename is None
            else f"a file cannot be read or written: {error.strerror or error}",
            where=shown(str(error.filename or "")),
            hint="free some space, or another place for the output",
        )
        code = code or unsaid.exit_code
        with suppress(OSError):
            report_error(unsaid, machine=False)
    silence_streams()
    return code


@cache
def _command() -> Callable[..., Any]:
    """The verbs and their options as a parser, which is made once for all calls of `main`."""
    return typer.main.get_command(app)


def _answer(given: list[str], machine: bool) -> int:
    """Run a verb, and say what is wrong with it."""
    try:
        with noted():
            result = _command()(given, prog_name="mcugrad", standalone_mode=False)
        if result == STOPPED:
            raise KeyboardInterrupt
        return int(result or 0)
    except McugradError as error:
        return _refused(error, machine)
    except MemoryError as error:
        short = ToolError(_no_memory(error), hint="fewer samples or steps, or a machine with more memory")
        return _refused(short, machine)
    except SystemExit:  # what typer makes of a broken pipe, with 1, which would be an answer
        return UNREAD
    except (KeyboardInterrupt, typer.Abort):
        _stopped(machine)
        return STOPPED
    except _CommandLineError as error:
        return _refused(_wrong_use(error), machine)


def _stopped(machine: bool) -> None:
    """Say so, where somebody listens: as every other end, with --json as one JSON object."""
    with suppress(OSError):
        if machine:
            facts = {"error": "stopped", "kind": "KeyboardInterrupt", "where": "", "hint": ""}
            typer.echo(as_json({**facts, "exit_code": STOPPED}), nl=False)
        else:
            typer.echo("stopped", err=True)


def _refused(error: McugradError, machine: bool) -> int:
    """Say what is wrong, where somebody listens; the exit code says it in any case."""
    try:
        report_error(error, machine)
    except OSError:
        silence_streams()
    return error.exit_code


def _no_memory(error: MemoryError) -> str:
    said = str(error)
    return "this computer has not enough memory" + (f": {said[:1].lower()}{said[1:]}" if said else "")


def _wrong_use(error: Exception) -> UsageError:
    """What typer says about a wrong command line, in our form."""
    message = str(error.format_message()).strip().rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "mcugrad"
    return UsageError(message[:1].lower() + message[1:], hint=f"{command} --help")
