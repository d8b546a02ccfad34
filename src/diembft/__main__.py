"""`python -m diembft` is the command `diembft`."""

from __future__ import annotations

import sys

from diembft.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
