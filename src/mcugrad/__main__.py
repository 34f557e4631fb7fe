"""`python -m mcugrad`."""

import sys

from mcugrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
