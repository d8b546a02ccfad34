"""That there is one judge: each judge calls what `judge` defines, and nobody defines a property a second time."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import diembft
from diembft.judge import accountability, agreement, certificates, commit_chain, durability, liveness, order, votes
from diembft.judge.traces import PROPERTIES, Checker, check
from diembft.simulation.api import Settings, simulate
from diembft.trace.records import Header
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import Limits, search
from diembft.twins.runs.judging import run
from diembft.twins.runs.oracles import ORACLES
from diembft.twins.scenarios.text import parse_scenarios

SOURCE = Path(diembft.__file__).parent

TAKES = ("voted", "timed_out", "committed", "seen", "numbers", "told", "entered", "restarted", "holds", "failed")
"""What properties call the methods that take facts."""

NAMES = ("voted", "committed", "seen")
"""Those of them that nothing else is called."""

READERS = {
    "judge/neutral.py: NeutralReader.committed": "makes a fact of a record",
    "judge/diembft.py: DiemBftReader.committed": "makes a fact of a record",
    "judge/neutral.py: voted": "makes a fact of a vote",
    "host/recording.py: committed": "makes a record of an effect",
}
"""What has the name of such a method outside of properties, and why."""


def called(what: Callable[[], object]) -> set[CodeType]:
    """All functions that are called, whatever name they are called by."""
    codes: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            codes.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        what()
    finally:
        sys.setprofile(before)
    return codes


def takes(asked: type) -> dict[str, CodeType]:
    """The methods of a property that take facts."""
    own = {name: getattr(asked, name).__code__ for name in TAKES if callable(getattr(asked, name, None))}
    assert own, asked
    return own


def not_called(by: set[CodeType], asked: type) -> list[str]:
    return [name for name, code in takes(asked).items() if code not in by]


def test_the_judge_of_traces_asks_each_property() -> None:
    trace = simulate(Settings(requests=3, trace=True)).trace
    header = trace[0]
    assert isinstance(header, Header)
    assert {name: type(property_) for name, property_ in Checker(header).asked.items()} == dict(PROPERTIES)
    by = called(lambda: list(check(trace)))
    for asked in PROPERTIES.values():
        assert set(not_called(by, asked)) <= {"restarted", "timed_out"}, asked


SCENARIOS = """
scenario crash: replicas=a,b,c,d gst=5; 1: a leads a,b,c,d; 2: a leads a,b,c,d crash=c; 3: a leads a,b,c,d;
  4: a leads a,b,c,d restart=c; 5: a leads a,b|c,d; 6-11: a leads a,b,c,d
scenario quorumless: replicas=a,b,c,d gst=3; 1: a leads a,b,c,d; 2: a leads a,b|c,d; 3-9: a leads a,b,c,d
scenario split: replicas=a,b,c,d twins=a',b' gst=7; 1-5: a leads a,b,c|a',b',d; 6: d leads a,b,c|a',b'|d;
  7-9: c leads a,b,c,d,a',b'
"""
"""A restart, a round that nobody can leave, and so many twins that both sides commit."""


def test_the_judge_of_scenarios_asks_each_property() -> None:
    by = called(lambda: [run(scenario) for scenario in parse_scenarios(SCENARIOS)])
    for asked in ORACLES.values():
        assert set(not_called(by, asked)) <= {"told", "failed"}, (
            asked
        )  # that nodes fail, tests/twins/runs/test_steps.py
    for rule in (votes.to_vote, votes.to_timeout, certificates.lacks_quorum, order.follows, commit_chain.head_of):
        assert rule.__code__ in by, rule


def test_the_judge_of_explorations_calls_each_rule() -> None:
    asked = [
        (Question(quorum_filter=True, bugs=("conflicting_votes",)), 1),
        (Question(quorum_filter=True, faulty=0, crashes=True), 2),
    ]
    by = called(lambda: [search(question, limits=Limits(rounds=rounds)) for question, rounds in asked])
    rules = (votes.to_vote, votes.to_timeout, certificates.lacks_quorum, certificates.rivals, order.follows)
    for rule in (*rules, agreement.parts):
        assert rule.__code__ in by, rule


# --- nobody else


def homes() -> set[str]:
    """The files that define properties."""
    modules = {asked.__module__ for asked in (*PROPERTIES.values(), *ORACLES.values())}
    return {f"{module.removeprefix('diembft.').replace('.', '/')}.py" for module in modules} | {"judge/verdict.py"}


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """The functions of a module and the methods of its classes, by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", inner
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node


def test_nobody_else_takes_facts_or_finds_violations() -> None:
    seen = []
    for path in sorted(SOURCE.rglob("*.py")):
        file = path.relative_to(SOURCE).as_posix()
        if file in homes():
            continue
        text = path.read_text()
        if not any(f"{word}(" in text for word in (*NAMES, "violation")):
            continue
        tree = ast.parse(text)
        seen += [f"{file}: {name}" for name, _ in functions(tree) if name.rpartition(".")[2] in NAMES]
        for node in ast.walk(tree):
            called_ = node.func if isinstance(node, ast.Call) else None
            name = getattr(called_, "id", getattr(called_, "attr", ""))
            assert name != "violation", f"{file}:{getattr(node, 'lineno', 0)} finds something violated by itself"
    assert sorted(seen) == sorted(READERS)


@pytest.mark.parametrize("asked", sorted({*PROPERTIES.values(), *ORACLES.values()}, key=str))
def test_nobody_overrides_a_property(asked: type) -> None:
    assert asked.__subclasses__() == []


def test_the_properties_have_one_home_each() -> None:
    assert {accountability.__name__, durability.__name__, liveness.__name__} <= {
        asked.__module__ for asked in ORACLES.values()
    }
    for name in ORACLES.keys() & PROPERTIES.keys():
        assert ORACLES[name] is PROPERTIES[name]
