"""Defects of mcugrad that show in one model: a file with all that it takes to see them elsewhere.

`python -m mcugrad.state.defect FILE [NETWORK]` says what the verifier says of the plan in the file, and of that which
is made here. Exit code 3 where this one is wrong, too.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mcugrad._version import __version__
from mcugrad.errors import DataError, DefectError, McugradError
from mcugrad.files import read_file, write_file
from mcugrad.graph import ActivationScale
from mcugrad.model import Model, load
from mcugrad.options import Options
from mcugrad.pipeline import planned_anew
from mcugrad.plan import Plan, PlanError, verify
from mcugrad.program import Program
from mcugrad.state.about import plain_json
from mcugrad.state.program import LENGTH, can_pack, packed, unpacked

MAGIC = b"MCGDEFECT1\n"
CHECKSUM = 4
"""Bytes of the CRC-32 of all that follows it."""
SUFFIX = ".mcgdefect"
MOST = 1 << 30
"""Bytes that a file may have."""


@contextmanager
def told(
    model: Model, scales: Mapping[str, ActivationScale], options: Options, *, inference: bool = False
) -> Iterator[None]:
    """Lets a plan that is wrong be told as a defect, with a file that shows it.

    Args:
        model: the network that is built meanwhile.
        scales: from `calibrate`.
        options: what the user decides.
        inference: whether it is built for inference only.

    Raises:
        DefectError: the verifier has rejected the plan.
    """
    try:
        yield
    except PlanError as error:
        where, shown = _written(model, scales, options, error, inference=inference)
        raise DefectError(
            f"the plan of the working memory is wrong: {error}",
            where=where,
            hint=f"this is a defect of mcugrad {__version__}, not of the model: report it with that file{shown}; "
            "other layers that train, or more RAM, may be planned otherwise",
        ) from error


def places() -> list[Path]:
    """Folders for the file, in the order in which they are tried."""
    return [Path(), Path(tempfile.gettempdir())]


def _written(
    model: Model,
    scales: Mapping[str, ActivationScale],
    options: Options,
    error: PlanError,
    *,
    inference: bool,
) -> tuple[str, str]:
    """Write the file; returns where it is and what it holds, and how it is looked at."""
    has_network = can_pack(model)
    facts = plain_json(
        {
            "version": __version__,
            "name": model.name,
            "source": model.source,
            "network": has_network,
            "problem": str(error),
            "inference": inference,
            "size": None if error.plan is None else error.plan.size,
            "offsets": {} if error.plan is None else {k: int(v) for k, v in error.plan.offsets.items()},
        }
    )
    rest = packed(model, scales, options, None, model.data if has_network else b"")
    body = len(facts).to_bytes(LENGTH, "little") + facts + rest
    content = MAGIC + zlib.crc32(body).to_bytes(CHECKSUM, "little") + body
    holds = "the network with its weights, options and ranges; no samples"
    if not has_network:
        holds = "options and ranges; neither the network nor samples"
    for folder in places():
        with suppress(OSError):
            path = write_file(folder / f"{model.name}{SUFFIX}", content)
            network = "" if has_network else f" {model.source}"
            return f"{path}: {holds}", f" (python -m mcugrad.state.defect {path}{network} shows it)"
    return f"{model.name}{SUFFIX}, which shows it, could not be written", ""


def shown(path: Path, network: Path | None = None) -> tuple[list[str], bool]:
    """What the verifier says of the plan in a file, and of one that is made here.

    Args:
        path: of the file.
        network: where it lies, if it is not in the file.

    Returns:
        Lines for people, and whether the plan that is made here is wrong.

    Raises:
        DataError: it is no such file, or does not hold the network.
        ModelError, UsageError: the network cannot be used.
    """
    content = read_file(path, MOST, what="the file", error=DataError)
    try:
        if not content.startswith(MAGIC):
            raise ValueError("it does not begin like one")
        start = len(MAGIC) + CHECKSUM
        body = content[start:]
        if zlib.crc32(body) != int.from_bytes(content[len(MAGIC) : start], "little"):
            raise ValueError("it is damaged")
        end = LENGTH + int.from_bytes(body[:LENGTH], "little")
        facts = json.loads(body[LENGTH:end])
        if network is None and not facts["network"]:
            raise DataError(
                "the network is not in the file",
                where=str(path),
                hint=f"python -m mcugrad.state.defect {path} {facts['source']}",
            )
        source = unpacked(body[end:], None if network is None else load(network, name=facts["name"]))
    except McugradError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DataError(f"the file shows no defect: {error}", where=str(path)) from None
    program, plan = planned_anew(source.model, source.scales, source.options, inference=facts["inference"])
    lines = []
    if facts["offsets"].keys() == plan.offsets.keys():
        said = _said(program, Plan(facts["offsets"], facts["size"], plan.live))
        lines.append(f"the plan in the file: {said or 'sound'}")
    else:
        lines.append(f"the plan in the file is of other calls: {facts['problem']}")
    said = _said(program, plan)
    return [*lines, f"planned anew: {said or 'sound'}"], bool(said)


def _said(program: Program, plan: Plan) -> str:
    """What the verifier says of a plan; empty where it is sound."""
    try:
        verify(program, plan)
    except PlanError as error:
        return str(error)
    return ""


def main(arguments: Sequence[str]) -> int:
    """Show what a file shows. Returns the exit code."""
    try:
        if not arguments:
            raise DataError("no file is named", hint=f"python -m mcugrad.state.defect NAME{SUFFIX}")
        lines, is_wrong = shown(Path(arguments[0]), *map(Path, arguments[1:2]))
    except McugradError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write("\n".join(lines) + "\n")
    return DefectError.exit_code if is_wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
