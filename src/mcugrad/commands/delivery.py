"""Where a verb writes firmware, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcugrad.commands.output import demand_places
from mcugrad.errors import UsageError

if TYPE_CHECKING:
    from mcugrad.trainer import Trainer


def demand_folder(out: Path | None, **options: bool) -> None:
    """Raises UsageError for options of a firmware where no folder is named that it would be written into."""
    given = [f"--{name.replace('_', '-')}" for name, is_there in options.items() if is_there]
    if out is None and given:
        raise UsageError(
            f"no firmware is written, so that {' and '.join(given)} {'has' if len(given) == 1 else 'have'} no effect",
            where=given[0],
            hint=f"--out firmware, or no {' and no '.join(given)}",
        )


@dataclass(frozen=True)
class Delivery:
    """A firmware folder to be written.

    Attributes:
        folder: where to.
        format: its name.
        selftest: whether it has a self-test.
    """

    folder: Path
    format: str = "c"
    selftest: bool = False

    def demand(self, name: str) -> None:
        """Refuse a folder that a model of this name cannot be written into, before there is work to be lost.

        Raises:
            UsageError: there is no such format, or it has no model of this name; a place cannot be written, or has no
                room; or somebody has changed the code that is there.
        """
        from mcugrad.emit.folder import demand_unchanged
        from mcugrad.emit.formats import demand_alone, named

        wanted = named(self.format)
        wanted.demand_name(name)
        below = {(self.folder / path).parent for path in wanted.paths(name)}
        demand_places(folders=[self.folder, *sorted(below - {self.folder})])
        demand_alone(self.folder, wanted, name)
        names, code = (wanted.code_paths(name, with_selftest=each) for each in (self.selftest, True))
        demand_unchanged(self.folder, names, code)

    def write(self, made: Trainer, *, delivered: bool = False, inference: bool = False) -> list[str]:
        """Write it, with the firmware as `export` has it. Returns what is in it, and raises as `export` does."""
        from mcugrad.emit.formats import named

        how = {"delivered": delivered, "inference": inference, "selftest": self.selftest}
        made.export(self.folder, format=self.format, **how)
        return sorted(named(self.format).paths(made.model.name, with_selftest=self.selftest))
