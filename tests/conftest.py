"""Settings of the whole suite."""

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from diembft.cli.parallel import default_jobs

TESTS = Path(__file__).parent

# The suite tries the same examples every time, however slow the machine is. To look for new ones:
# HYPOTHESIS_PROFILE=explore pytest ...
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

# Hundreds of processes are started by tests, and each would compile the project anew where this is set.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that starts the suite in the background has it ignore Ctrl-C, and with it the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto` is one more than there are cores: the tests of DistAlgo, where time is real, mostly wait."""
    return default_jobs() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits comes first, then what takes long, so that at the end of a run all workers have something to do."""

    def place(item: pytest.Item) -> int:
        if item.path.is_relative_to(TESTS / "distalgo"):
            return 0
        return 1 if item.get_closest_marker("slow") or item.path == TESTS / "test_readme.py" else 2

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """The thousands of collected tests stay: the collector of garbage need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def examples_on_path(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The examples can be imported, as for somebody who works in their folder."""
    examples = TESTS.parent / "examples"
    monkeypatch.syspath_prepend(examples)
    return examples
