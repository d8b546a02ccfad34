"""What `import diembft` gives: every name is there, explained by an example that runs, and refuses wrong arguments."""

from __future__ import annotations

import doctest
import inspect
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
    Scenario,
    Settings,
    Uniform,
    assert_holds,
    assert_safe,
    check_trace,
    explore,
    load_case,
    parse_scenario,
    protocols,
    read_trace,
    run_case,
    run_scenario,
    shrink,
    simulate,
)
from diembft.client.client import Retransmit, Timed
from diembft.simulation.network import LogNormal
from diembft.simulation.schedule import Partition, Stabilise
from diembft.testcase.case import TestCase
from diembft.trace.records import Record
from diembft.twins.exhaustion.search import Limits
from diembft.twins.scenarios.scenario import Round

NAN, INF = float("nan"), float("inf")
VIOLATING = "scenario: replicas=a,b,c,d twins=a' gst=1 bugs=conflicting_votes; 1: a leads a,b,c,d,a'"
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


def a_case() -> TestCase:
    """Some test case."""
    return load_case("faulty_dropouts")


def a_header() -> Record:
    """Of some trace."""
    return simulate(Settings(requests=1, trace=True)).trace[0]


def scenario(**changes: Any) -> Scenario:
    """A scenario with these fields."""
    return Scenario(**{"replicas": ("a", "b", "c", "d"), "twins": (), "rounds": (), "gst": 0, **changes})


WRONG: dict[str, Callable[[], object]] = {
    "Settings.n: 0": lambda: Settings(n=0),
    "Settings.n: 'four'": lambda: Settings(n="four"),  # type: ignore[arg-type]
    "Settings.crypto: 'rsa'": lambda: Settings(crypto="rsa"),  # type: ignore[arg-type]
    "Settings.requests: -1": lambda: Settings(requests=-1),
    "Settings.n: True": lambda: Settings(n=True),
    "Settings.until_s: 0.0": lambda: Settings(until_s=0.0),
    "Settings.until_s: inf": lambda: Settings(until_s=INF),
    "Settings.delta_s: inf": lambda: Settings(delta_s=INF, requests=1),
    "Settings.delta_s: nan": lambda: Settings(delta_s=NAN),
    "Settings.delta_s: 1e+300": lambda: Settings(delta_s=1e300, requests=1),
    "Settings.delta_s: 1e-300": lambda: Settings(delta_s=1e-300, requests=1),
    "Settings.delta_s: 1e-06 is less than 5e-05": lambda: Settings(delta_s=1e-6, requests=1),
    "Settings.clients: 0": lambda: Settings(clients=0, requests=3),
    "Settings.workload: Timed(pauses_s=(1.0,)) has 1": lambda: Settings(workload=Timed((1.0,)), requests=5),
    "Retransmit.first_wait_s: 0.0": lambda: Retransmit(0.0),
    "Retransmit.max_wait_s: inf": lambda: Retransmit(1.0, INF),
    "Timed.pauses_s: -1.0": lambda: Timed((-1.0,)),
    "Settings.blocks: 0": lambda: Settings(blocks=0),
    "names node 4 of 4": lambda: Settings(schedule=(Crash(1.0, node=4),)),
    "Restart.node: -1": lambda: Settings(schedule=(Restart(1.0, node=-1),)),
    "Crash.node: 1.5": lambda: Crash(1.0, node=1.5),  # type: ignore[arg-type]
    "Crash.node: True": lambda: Crash(1.0, node=True),
    "Crash.at_s: 'x'": lambda: Crash("x", node=0),  # type: ignore[arg-type]
    "Crash.at_s: nan": lambda: Crash(NAN, node=0),
    "Crash.at_s: inf": lambda: Crash(INF, node=0),
    "Crash.at_s: -1.0": lambda: Crash(-1.0, node=0),
    "Partition.sets: ((0, 1), (1,)) name a node twice": lambda: Partition(1.0, ((0, 1), (1,))),
    "Stabilise.delta_s: -1.0": lambda: Stabilise(1.0, -1.0),
    "Settings.schedule": lambda: Settings(schedule=(1,)),  # type: ignore[arg-type]
    "nope": lambda: simulate(Settings(bugs=("nope",))),
    "simulate: 4 is no Settings": lambda: simulate(4),  # type: ignore[arg-type]
    "Conditions.loss: 2": lambda: Conditions(loss=2),
    "Conditions.latency: 0.1": lambda: Conditions(latency=0.1),  # type: ignore[arg-type]
    "Uniform.low_s: 0.5": lambda: Uniform(0.5, 0.4),
    "Uniform.high_s: inf": lambda: Conditions(latency=Uniform(0.0, INF)),
    "Uniform.high_s: 1e-300": lambda: Uniform(0.0, 1e-300),
    "LogNormal.sigma: inf": lambda: LogNormal(0.1, INF, 1.0),
    "no_such_case": lambda: load_case("no_such_case"),
    "load_case: None is no str or Path": lambda: load_case(None),  # type: ignore[arg-type]
    "'nope': there is no such test case": lambda: load_case(Path("nope")),
    "load_case: draw_seed: 5": lambda: load_case("faulty_dropouts", draw_seed=5),  # type: ignore[arg-type]
    "run_case: bugs: 'x' is no Planting": lambda: run_case(a_case(), bugs="x"),  # type: ignore[arg-type]
    "run_case: keep_trace: 1 is no bool": lambda: run_case(a_case(), keep_trace=1),  # type: ignore[arg-type]
    "run_case: 'faulty_dropouts' is no TestCase": lambda: run_case("faulty_dropouts"),  # type: ignore[arg-type]
    "crypto: 'rsa'": lambda: run_case(load_case("faulty_dropouts"), crypto="rsa"),  # type: ignore[arg-type]
    "scenario": lambda: parse_scenario("nonsense"),
    "a scenario has at most": lambda: parse_scenario("scenario: replicas=a; 1-999999999: a leads a"),
    "rounds[0]: 5 is no Round": lambda: scenario(rounds=(5,)),
    "rounds: 5 is no tuple or list": lambda: scenario(rounds=5),
    "replicas: 5 is no collection of names": lambda: scenario(replicas=5),
    "replicas: 'abcd' is no collection of names": lambda: scenario(replicas="abcd"),
    "gst: True is no int": lambda: scenario(gst=True),
    "gst: 0.0 is no int": lambda: scenario(gst=0.0),
    "timeout: inf": lambda: scenario(timeout_s=INF),
    "timeout: 1e+300": lambda: scenario(timeout_s=1e300),
    "seed: nan": lambda: scenario(seed=NAN),
    "rounds[0].Round.partition: ('abcd',)": lambda: scenario(rounds=(Round("a", ("abcd",)),)),  # type: ignore[arg-type]
    "run_scenario: 'nonsense' is no Scenario": lambda: run_scenario("nonsense"),  # type: ignore[arg-type]
    "crypto: 'dsa'": lambda: run_scenario(parse_scenario(SCENARIO), crypto="dsa"),  # type: ignore[arg-type]
    "shrink: None is no Scenario": lambda: shrink(None),  # type: ignore[arg-type]
    "does not violate any oracle": lambda: shrink(parse_scenario(SCENARIO)),
    "does not violate durability": lambda: shrink(parse_scenario(VIOLATING), "durability"),
    "shrink: oracle: [] is no str": lambda: shrink(parse_scenario(VIOLATING), []),  # type: ignore[arg-type]
    "shrink: watch: 5 cannot be called": lambda: shrink(parse_scenario(VIOLATING), watch=5),  # type: ignore[arg-type]
    "delayed: 1 is no bool": lambda: run_scenario(parse_scenario(SCENARIO), delayed=1),  # type: ignore[arg-type]
    "observer: 5 cannot be called": lambda: run_scenario(parse_scenario(SCENARIO), observer=5),  # type: ignore[arg-type]
    "Question.replicas: 'x'": lambda: Question(replicas="x"),  # type: ignore[arg-type]
    "model: 'nope'": lambda: Question(model="nope"),
    "explore: 'barrier' is no Question": lambda: explore("barrier"),  # type: ignore[arg-type]
    "explore: limits: None is no Limits": lambda: explore(Question(), limits=None),  # type: ignore[arg-type]
    "explore: checkpoint: 5 is no str or Path": lambda: explore(Question(), checkpoint=5),  # type: ignore[arg-type]
    "explore: checkpoint: 'a\\x00b' is no name": lambda: explore(Question(), checkpoint="a\0b"),
    "explore: executor: 5 is no Executor": lambda: explore(Question(), executor=5),  # type: ignore[arg-type]
    "explore: seed: 'x' is no int": lambda: explore(Question(), seed="x"),  # type: ignore[arg-type]
    "explore: jobs: 0": lambda: explore(Question(), jobs=0),
    "explore: on_level: 5 cannot be called": lambda: explore(Question(), on_level=5),  # type: ignore[arg-type]
    "walk_seconds: nan": lambda: explore(Question(), walk_seconds=NAN),
    "Limits.rounds: 'x'": lambda: Limits(rounds="x"),  # type: ignore[arg-type]
    "Limits.rounds: -1": lambda: Limits(rounds=-1),
    "Limits.seconds: inf": lambda: Limits(seconds=INF),
    "protocol: 'nope'": lambda: assert_safe("nope"),
    "protocol: None is neither": lambda: assert_safe(None),  # type: ignore[arg-type]
    "protocol: 5 is neither": lambda: assert_safe(5),  # type: ignore[arg-type]
    "rounds: 0": lambda: assert_safe("diembft", rounds=0),
    "rounds: 'x' is no int": lambda: assert_safe("hotstuff", rounds="x"),  # type: ignore[arg-type]
    "rounds: True is no int": lambda: assert_safe("diembft", rounds=True),
    "bugs: 5 is no collection of names": lambda: assert_safe("diembft", bugs=5),  # type: ignore[arg-type]
    "bugs: 'abc' is no collection of names": lambda: assert_safe("diembft", bugs="abc"),
    "leaders: 'none' is none of": lambda: assert_safe("diembft", leaders="none"),  # type: ignore[arg-type]
    "max_states: -1": lambda: assert_safe("diembft", max_states=-1),
    "seconds: nan": lambda: assert_safe("diembft", seconds=NAN),
    "read_trace: None is no str or Path": lambda: read_trace(None),  # type: ignore[arg-type]
    "nothing.jsonl: cannot be read: No such file": lambda: list(read_trace("nothing.jsonl")),
    "cannot be read: no file has a name with": lambda: list(read_trace(Path("a\0b"))),
    "assert_holds: 1 is no Scenario": lambda: assert_holds(1),  # type: ignore[arg-type]
    "check_trace: None is no Iterable": lambda: check_trace(None),  # type: ignore[arg-type]
    "check_trace: record 2: int: after the header": lambda: list(check_trace([a_header(), 5])),  # type: ignore[list-item]
    "check_trace: record 2: Header: after the header": lambda: list(check_trace([a_header(), a_header()])),
    "begins with its header": lambda: list(check_trace([])),
}


@pytest.mark.parametrize("says", WRONG)
def test_a_wrong_argument_is_one_clear_error(says: str) -> None:
    with pytest.raises(InputError) as error:
        WRONG[says]()
    assert says in str(error.value)
    assert "\n" not in str(error.value)


NUMBERS = (5, -1, 0, 1.5, True, NAN, INF, -INF, 1e300, 1e-300, 10**400)
JUNK: tuple[Any, ...] = (None, *NUMBERS, "x", "a\0b", "", [], [[]], [5], {}, b"", object())

SCENARIO_VALUE = parse_scenario(SCENARIO)
FEW: dict[str, Any] = {"replicas": 2, "faulty": 0, "sets": 1}
SMALL = Question(**FEW)
QUICK: dict[str, tuple[Callable[..., object], dict[str, Any]]] = {
    "Conditions": (lambda **given: run(conditions=Conditions(**given)), {"loss": 0.0}),
    "Crash": (lambda **given: run(schedule=(Crash(**given),)), {"at_s": 0.1, "node": 1}),
    "Restart": (lambda **given: run(schedule=(Crash(0.1, 1), Restart(**given))), {"at_s": 0.2, "node": 1}),
    "Uniform": (lambda **given: run(conditions=Conditions(latency=Uniform(**given))), {"low_s": 0.1, "high_s": 0.2}),
    "Settings": (lambda **given: simulate(Settings(**given)), {"requests": 1, "until_s": 20.0}),
    "simulate": (simulate, {"settings": Settings(requests=1)}),
    "Retransmit": (lambda **given: run(workload=Retransmit(**given)), {"first_wait_s": 1.0}),
    "Timed": (lambda **given: run(workload=Timed(**given)), {"pauses_s": ()}),
    "Question": (lambda **given: Question(**given).engine(), {"replicas": 4}),
    "Scenario": (
        lambda **given: run_scenario(Scenario(**given)),
        {"replicas": ("a", "b", "c", "d"), "twins": (), "rounds": SCENARIO_VALUE.rounds[:0], "gst": 0},
    ),
    "Round": (
        lambda **given: scenario(rounds=(Round(**given),)),
        {"leader": "a", "partition": (("a", "b", "c", "d"),)},
    ),
    "assert_holds": (assert_holds, {"scenario": SCENARIO_VALUE}),
    "assert_safe": (assert_safe, {"protocol": "diembft", "rounds": 1, "max_states": 50, "walk_seconds": 0, **FEW}),
    "explore": (explore, {"question": SMALL, "limits": Limits(rounds=1, states=50), "walk_seconds": 0}),
    "load_case": (load_case, {"name_or_file": "faulty_dropouts"}),
    "parse_scenario": (parse_scenario, {"text": SCENARIO}),
    "read_trace": (lambda path: list(read_trace(path)), {"path": "nothing.jsonl"}),
    "run_scenario": (run_scenario, {"scenario": SCENARIO_VALUE}),
    "shrink": (shrink, {"scenario": parse_scenario(VIOLATING)}),
}
"""Each name, with arguments of which one at a time is replaced by junk, and used as far as it goes quickly."""

UNTRIED = {"InputError", "Protocol", "check_trace", "run_case"}
"""An exception, a description of what others write, and those that the table of wrong arguments is enough for."""


def run(**given: Any) -> object:
    """A short simulation."""
    return simulate(Settings(**{"requests": 1, "until_s": 20.0, **given}))


def parameters_of(name: str) -> list[str]:
    kind: Any = {"Retransmit": Retransmit, "Timed": Timed, "Round": Round}.get(name) or getattr(diembft, name)
    found = getattr(kind, "__struct_fields__", None) or inspect.signature(kind).parameters
    return [parameter for parameter in found if parameter != "walk_seconds"]  # which would be walked


def test_all_names_are_tried() -> None:
    assert UNTRIED | set(QUICK) >= set(diembft.__all__)


@pytest.mark.parametrize(("name", "parameter"), [(name, one) for name in QUICK for one in parameters_of(name)])
def test_junk_is_refused_in_one_line_or_does(name: str, parameter: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    call, given = QUICK[name]
    for junk in JUNK:
        try:
            call(**{**given, parameter: junk})
        except InputError as error:
            if "\n" in str(error):
                raise
        except AssertionError as error:
            if not str(error).startswith("not decided"):  # which assert_safe may say
                raise


def test_the_vocabulary_of_protocols_is_in_one_place() -> None:
    for names in protocols._WHERE.values():
        for name in names:
            assert getattr(protocols, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Brodcast'"):
        _ = protocols.Brodcast
