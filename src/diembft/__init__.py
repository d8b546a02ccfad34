"""DiemBFT v4 in Python: the protocol core, its simulator, and Twins testing.

What one imports from here:

- simulate: `Settings` (with `Conditions`, `Uniform`, `Crash`, `Restart`) and `simulate`;
- the seed's test cases: `load_case` and `run_case`;
- Twins scenarios: `Scenario`, `parse_scenario`, `run_scenario`, `shrink`;
- whole spaces of scenarios: `Question` and `explore`;
- in a test suite: `assert_safe` and `assert_holds`;
- one's own protocol: `Protocol`, whose vocabulary is in `diembft.protocols`;
- the record of a run: `read_trace` and `check_trace`;
- what wrong input raises, whatever it was given to: `InputError`.

Each has an example in its docstring. They are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from diembft.errors import InputError as InputError
    from diembft.judge.traces import check as check_trace
    from diembft.protocols.interface import UnderTest as Protocol
    from diembft.simulation.api import Settings as Settings
    from diembft.simulation.api import simulate as simulate
    from diembft.simulation.network import Conditions as Conditions
    from diembft.simulation.network import Uniform as Uniform
    from diembft.simulation.run_case import run_case as run_case
    from diembft.simulation.schedule import Crash as Crash
    from diembft.simulation.schedule import Restart as Restart
    from diembft.testcase.loader import load as load_case
    from diembft.trace.files import read_trace as read_trace
    from diembft.twins.campaigns.shrink import shrink as shrink
    from diembft.twins.campaigns.testing import assert_holds as assert_holds
    from diembft.twins.campaigns.testing import assert_safe as assert_safe
    from diembft.twins.exhaustion.deciding import explore as explore
    from diembft.twins.exhaustion.question import Question as Question
    from diembft.twins.runs.judging import run as run_scenario
    from diembft.twins.scenarios.scenario import Scenario as Scenario
    from diembft.twins.scenarios.text import parse_scenario as parse_scenario

__version__ = "0.1.0"

__all__ = [
    "Conditions",
    "Crash",
    "InputError",
    "Protocol",
    "Question",
    "Restart",
    "Scenario",
    "Settings",
    "Uniform",
    "assert_holds",
    "assert_safe",
    "check_trace",
    "explore",
    "load_case",
    "parse_scenario",
    "read_trace",
    "run_case",
    "run_scenario",
    "shrink",
    "simulate",
]

_WHERE: Final = {
    "Conditions": ("diembft.simulation.network", "Conditions"),
    "Crash": ("diembft.simulation.schedule", "Crash"),
    "InputError": ("diembft.errors", "InputError"),
    "Protocol": ("diembft.protocols.interface", "UnderTest"),
    "Question": ("diembft.twins.exhaustion.question", "Question"),
    "Restart": ("diembft.simulation.schedule", "Restart"),
    "Scenario": ("diembft.twins.scenarios.scenario", "Scenario"),
    "Settings": ("diembft.simulation.api", "Settings"),
    "Uniform": ("diembft.simulation.network", "Uniform"),
    "assert_holds": ("diembft.twins.campaigns.testing", "assert_holds"),
    "assert_safe": ("diembft.twins.campaigns.testing", "assert_safe"),
    "check_trace": ("diembft.judge.traces", "check"),
    "explore": ("diembft.twins.exhaustion.deciding", "explore"),
    "load_case": ("diembft.testcase.loader", "load"),
    "parse_scenario": ("diembft.twins.scenarios.text", "parse_scenario"),
    "read_trace": ("diembft.trace.files", "read_trace"),
    "run_case": ("diembft.simulation.run_case", "run_case"),
    "run_scenario": ("diembft.twins.runs.judging", "run"),
    "shrink": ("diembft.twins.campaigns.shrink", "shrink"),
    "simulate": ("diembft.simulation.api", "simulate"),
}
"""Where each name is defined: a room imports what it needs from there, never from here."""


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module 'diembft' has no attribute {name!r}")
    module, attribute = where
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
