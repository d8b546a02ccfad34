"""What an exploration found, executed: by the executor, which knows nothing of it, and judged by the one judge."""

from __future__ import annotations

from diembft.judge import agreement, certificates, crash, durability, order, requests, votes
from diembft.judge.verdict import Finding
from diembft.twins.exhaustion.expansion import ChoicePath
from diembft.twins.exhaustion.paths import scenario_of
from diembft.twins.exhaustion.question import Question
from diembft.twins.runs.judging import run

JUDGED = frozenset(
    {
        agreement.NAME,
        certificates.CERTIFIED_UNIQUENESS,
        certificates.QUORUM_PROGRESS,
        votes.NAME,
        order.NAME,
        requests.EXECUTION,
        durability.NAME,
        crash.NAME,
    }
)
"""The oracles of the executor that an exploration answers for."""


def objections(question: Question, path: ChoicePath) -> tuple[Finding, ...]:
    """What the judge objects to in the scenario of a path, of what an exploration answers for."""
    judgement = run(scenario_of(question, path))
    return tuple([finding for finding in judgement.violations if finding.oracle in JUDGED])
