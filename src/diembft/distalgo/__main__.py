"""`python -m diembft.distalgo ARGS...`: `python -m da ARGS...`, adapted. The arguments are pyDistAlgo's own.

Exit status: pyDistAlgo's own, or the one that the program states (see `program`), or 2 when pyDistAlgo cannot be
used at all.
"""

import importlib
import sys

from diembft.distalgo.runtime.adapter import MissingDistAlgo, install


def main() -> int:
    """Run a DistAlgo program as the command line says; its exit status."""
    try:
        install()
    except MissingDistAlgo as error:
        print(f"diembft.distalgo: {error}", file=sys.stderr)
        return 2
    sys.argv[0] = "python -m diembft.distalgo"  # what the usage line shows
    status: int = importlib.import_module("da.__main__").libmain()
    return status


if __name__ == "__main__":
    sys.exit(main())
