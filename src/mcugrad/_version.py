"""The version, once."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mcugrad")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0"
