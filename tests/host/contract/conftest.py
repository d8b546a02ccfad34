"""The example of a driver is no package: it is found by its folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "examples"))
