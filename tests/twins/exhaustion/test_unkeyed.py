"""Scenarios decided without a key: all of them, and what they violate."""

from __future__ import annotations

import math

import pytest

from diembft.twins.campaigns.workers import Inline
from diembft.twins.exhaustion.confirmation import objections
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.unkeyed import decide, decide_part

FEW = Question("barrier", quorum_filter=True, twins_lead=True)
CHOICES = 13


def test_every_scenario_of_a_depth_is_executed() -> None:
    decided = decide(FEW, math.inf, rounds=2, executor=Inline())
    assert decided.rounds == 2
    assert decided.steps == CHOICES + (CHOICES + CHOICES**2)
    assert decided.found is None


@pytest.mark.parametrize("bug", ["conflicting_votes", "small_quorum", "no_timeout_lock"])
def test_what_violates_is_found_with_as_few_rounds_as_there_are(bug: str) -> None:
    question = Question("barrier", quorum_filter=True, bugs=(bug,))
    decided = decide(question, math.inf, rounds=2)
    assert decided.found is not None
    assert decided.rounds == len(decided.found.path) - 2
    assert {finding.oracle for finding in objections(question, decided.found.path)} & set(decided.found.oracles)


def test_the_time_limits_what_is_decided() -> None:
    assert decide(FEW, 0.0).rounds == 0
    assert not decide_part(FEW, (0,), 0, CHOICES, 2, -1.0).complete
