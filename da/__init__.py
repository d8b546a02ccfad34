"""`python -m da ARGS...` from this folder: the installed pyDistAlgo, through the adapter of `diembft.distalgo`.

Python finds this package before the installed one of the same name when it runs in the project's root. It puts
the adapted package into its own place and is gone. It is not part of what is installed: elsewhere, use
`python -m diembft.distalgo`. The environment that diembft and pyDistAlgo are installed in must be active.
"""

import sys

try:
    from diembft.distalgo.runtime.adapter import install

    install()
except ImportError as error:
    if sys.argv[:1] != ["-m"]:  # imported by a program, which may want to know
        raise
    hint = ": is its environment active?" if error.name == "diembft" else ""
    print(f"python -m da: {error}{hint}", file=sys.stderr)
    sys.exit(2)
