"""All figures of the core and the simulator, one after the other: ``python -m benchmarks.figures``.

Takes the options of `benchmarks/core.py`.
"""

import sys

from benchmarks import core, simulation

if __name__ == "__main__":
    simulation.main()
    core.main(sys.argv[1:])
