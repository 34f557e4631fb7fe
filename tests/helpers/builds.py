"""How twins and firmware of tests are built: without optimisation, where a test does not say otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.qemu import QemuDevice

RUNNERS = (HostTwin, EmulatedDevice, QemuDevice)


@contextmanager
def built_with(opt: str, *runners: type) -> Iterator[None]:
    """Some runners, or all, are built at this level where none is given."""
    with pytest.MonkeyPatch.context() as patch:
        for runner in runners or RUNNERS:
            patch.setitem(runner.__init__.__kwdefaults__, "opt", opt)
        yield
