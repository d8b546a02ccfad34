"""A protocol that votes more than once in a round, and for no block, by the reader of traces and that of executions."""

from __future__ import annotations

from pathlib import Path

import pytest

from diembft.judge.traces import check
from diembft.trace.files import read_trace, write_trace
from diembft.trace.records import Sent
from diembft.twins.runs.judging import run
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios.space import Space

NAME = "tests.protocols.two_phases:PROTOCOL"
pytestmark = pytest.mark.usefixtures("examples_on_path")


def space(*bugs: str) -> Space:
    return Space(replicas=4, faulty=1, sets=2, rounds=6, protocol=NAME, bugs=bugs)


def test_a_correct_protocol_of_two_phases_is_not_condemned(tmp_path: Path) -> None:
    for rank in space().ranks(0, 40, seed=1):
        assert run(space().scenario(rank)).violations == ()
    _, records = traced(space().scenario(0))
    votes = [record.message.vote for record in records if isinstance(record, Sent) and record.message.vote is not None]
    assert {(vote.phase, vote.block is None) for vote in votes} == {("", False), ("second", False), ("second", True)}
    path = tmp_path / "trace.jsonl"
    write_trace(path, records)
    assert list(check(read_trace(path))) == []


def test_who_votes_twice_in_a_phase_is(tmp_path: Path) -> None:
    scenario = space("twice").scenario(0)
    assert [finding.oracle for finding in run(scenario).violations] == ["honest_vote_once"]
    path = tmp_path / "trace.jsonl"
    write_trace(path, traced(scenario)[1])
    found = list(check(read_trace(path)))
    assert {violated.property for violated in found} == {"honest_vote_once"}
    assert {violated.round for violated in found} == {3}
