"""What `import diembft` gives: every name is there, explained by an example that runs, and refuses wrong arguments."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import diembft
from diembft import (
    Conditions,
    Crash,
    InputError,
    Question,
    Restart,
    Settings,
    Uniform,
    assert_holds,
    assert_safe,
    check_trace,
    explore,
    load_case,
    parse_scenario,
    protocols,
    run_case,
    run_scenario,
    shrink,
    simulate,
)

SCENARIO = "scenario: replicas=a,b,c,d twins=a' gst=1; 1: a leads a,b,c,d,a'"


@pytest.mark.parametrize("name", diembft.__all__)
def test_each_name_has_an_example_that_does_what_it_says(name: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)  # what an example writes goes there
    (tmp_path / "configs").symlink_to(Path(__file__).parents[1] / "configs")
    value = getattr(diembft, name)
    finder = doctest.DocTestFinder(recurse=False)
    examples = [test for test in finder.find(value, name, globs={}) if test.examples]
    assert examples, f"{name} has no example"
    for test in examples:
        outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
        assert outcome.failed == 0


def test_the_names_are_those_of_the_list() -> None:
    assert 15 <= len(diembft.__all__) <= 20
    assert diembft.__all__ == sorted(diembft.__all__)
    assert set(diembft.__all__) <= set(dir(diembft))
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        _ = diembft.simulat


def test_importing_it_is_cheap() -> None:
    code = "import sys, diembft; print(sorted(name for name in sys.modules if name.startswith('diembft.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


WRONG: dict[str, Callable[[], object]] = {
    "Settings.n: 0": lambda: Settings(n=0),
    "Settings.n: 'four'": lambda: Settings(n="four"),  # type: ignore[arg-type]
    "Settings.crypto: 'rsa'": lambda: Settings(crypto="rsa"),  # type: ignore[arg-type]
    "Settings.requests: -1": lambda: Settings(requests=-1),
    "Settings.until_s: 0.0": lambda: Settings(until_s=0.0),
    "Settings.blocks: 0": lambda: Settings(blocks=0),
    "names node 4 of 4": lambda: Settings(schedule=(Crash(1.0, node=4),)),
    "names node -1 of 4": lambda: Settings(schedule=(Restart(1.0, node=-1),)),
    "Settings.schedule": lambda: Settings(schedule=(1,)),  # type: ignore[arg-type]
    "nope": lambda: simulate(Settings(bugs=("nope",))),
    "simulate: 4 is no Settings": lambda: simulate(4),  # type: ignore[arg-type]
    "Conditions.loss: 2": lambda: Conditions(loss=2),
    "Conditions.latency: 0.1": lambda: Conditions(latency=0.1),  # type: ignore[arg-type]
    "Uniform.low_s: 0.5": lambda: Uniform(0.5, 0.4),
    "no_such_case": lambda: load_case("no_such_case"),
    "run_case: 'faulty_dropouts' is no TestCase": lambda: run_case("faulty_dropouts"),  # type: ignore[arg-type]
    "crypto: 'rsa'": lambda: run_case(load_case("faulty_dropouts"), crypto="rsa"),  # type: ignore[arg-type]
    "scenario": lambda: parse_scenario("nonsense"),
    "run_scenario: 'nonsense' is no Scenario": lambda: run_scenario("nonsense"),  # type: ignore[arg-type]
    "crypto: 'dsa'": lambda: run_scenario(parse_scenario(SCENARIO), crypto="dsa"),  # type: ignore[arg-type]
    "shrink: None is no Scenario": lambda: shrink(None),  # type: ignore[arg-type]
    "does not violate": lambda: shrink(parse_scenario(SCENARIO)),
    "Question.replicas: 'x'": lambda: Question(replicas="x"),  # type: ignore[arg-type]
    "model: 'nope'": lambda: Question(model="nope"),
    "explore: 'barrier' is no Question": lambda: explore("barrier"),  # type: ignore[arg-type]
    "protocol: 'nope'": lambda: assert_safe("nope"),
    "rounds: 0": lambda: assert_safe("diembft", rounds=0),
    "assert_holds: 1 is no Scenario": lambda: assert_holds(1),  # type: ignore[arg-type]
    "begins with its header": lambda: list(check_trace([])),
}


@pytest.mark.parametrize("says", WRONG)
def test_a_wrong_argument_is_one_clear_error(says: str) -> None:
    with pytest.raises(InputError) as error:
        WRONG[says]()
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_the_vocabulary_of_protocols_is_in_one_place() -> None:
    for names in protocols._WHERE.values():
        for name in names:
            assert getattr(protocols, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Brodcast'"):
        _ = protocols.Brodcast
