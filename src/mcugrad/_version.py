"""The version, once."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("mcugrad")
except PackageNotFoundError:  # a source tree on the path, not installed
    VERSION = "0"
