"""Format: what firmware looks like for those who take it: which files, and where the code lies among them.

A format is data: what it is called, where its code is, and its other files, each a template. `emit/formats/` has them,
a module each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from mcugrad.emit.code import code
from mcugrad.emit.context import context
from mcugrad.emit.firmware import Firmware
from mcugrad.emit.interface import functions, row
from mcugrad.emit.render import render
from mcugrad.emit.selftest import selftest, selftest_names
from mcugrad.errors import UsageError

README, LICENCE = "README.md", "LICENSE"


@dataclass(frozen=True)
class Part:
    """A file beside the code.

    Attributes:
        path: in the folder, `/` between its parts; `{name}` is the model's. Code below `examples/` is for the user to
            edit, as is all that is no code.
        what: it is, for the README.
        template: that it is made from.
    """

    path: str
    what: str
    template: str


@dataclass(frozen=True)
class Format:
    """A kind of folder.

    Attributes:
        name: what users call it.
        help: what it is, in one line.
        code: folder of the generated code: nothing, or a path that ends with a slash.
        parts: the other files; README and LICENSE, which all formats have, are not among them.
        use: what to do with the folder, for the README: sentences with `{name}` for the model's name.
        taken: names that a model must not have in it.
    """

    name: str
    help: str
    code: str
    parts: tuple[Part, ...]
    use: str
    taken: frozenset[str] = frozenset()

    def files(self, firmware: Firmware) -> dict[str, str]:
        """Text of every file by its path in the folder. Raises UsageError for a name that is taken."""
        known = context(firmware)
        name = known["name"]
        self.demand_name(name)
        known |= {
            "code": self.code,
            "parts": [(part.path.format(name=name), part.what) for part in self.parts],
            "use": self.use.format(name=name),
            "apache": _apache(),
            "functions": [
                row(each, firmware.emitted, known["layout"])
                for each in functions(firmware.emitted, firmware.has)
            ],
        }
        return {
            **{f"{self.code}{file}": text for file, text in code(firmware).items()},
            **{part.path.format(name=name): render(part.template, known) for part in self.parts},
            README: render("README.md.j2", known),
            LICENCE: render("LICENSE.j2", known),
            **{f"{self.code}{file}": text for file, text in selftest(firmware).items()},
        }

    def demand_name(self, name: str) -> None:
        """Refuse a name that a model must not have in this format. Raises UsageError."""
        if name in self.taken:
            raise UsageError(
                f"{name}.h is the name of a header that {self.name} has itself",
                where="name",
                hint=f"name='{name}_model' where the network is loaded",
            )

    def code_paths(self, name: str, *, with_selftest: bool = False) -> list[str]:
        """Where the code of a model of this name lies."""
        tests = selftest_names(name) if with_selftest else []
        return [f"{self.code}{file}" for file in (f"{name}.h", f"{name}.c", *tests)]

    def paths(self, name: str, *, with_selftest: bool = False) -> list[str]:
        """Where all files of a model of this name lie, known before there is a model."""
        parts = [part.path.format(name=name) for part in self.parts]
        return [*self.code_paths(name, with_selftest=with_selftest), *parts, README, LICENCE]


@cache
def _apache() -> str:
    return (files("mcugrad") / "emit/apache-2.0.txt").read_text(encoding="utf-8")
