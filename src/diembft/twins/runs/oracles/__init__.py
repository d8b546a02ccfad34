"""Oracles: each says whether one property held in an execution, from what was sent and committed alone.

`judge_all` asks them all. None calls the core that it judges.
"""

from __future__ import annotations

from diembft.twins.runs.oracles import (
    accountability,
    agreement,
    certified_uniqueness,
    commit_chain,
    commit_order,
    durability,
    execution,
    honest_vote_once,
    liveness_bound,
    liveness_commit,
    quorum_progress,
)
from diembft.twins.runs.oracles.facts import Facts
from diembft.twins.runs.oracles.terms import Finding, Oracle, Terms, Verdict

ORACLES: dict[str, Oracle] = {
    agreement.NAME: agreement.judge,
    certified_uniqueness.NAME: certified_uniqueness.judge,
    commit_chain.NAME: commit_chain.judge,
    honest_vote_once.NAME: honest_vote_once.judge,
    quorum_progress.NAME: quorum_progress.judge,
    liveness_commit.NAME: liveness_commit.judge,
    liveness_bound.NAME: liveness_bound.judge,
    commit_order.NAME: commit_order.judge,
    execution.NAME: execution.judge,
    durability.NAME: durability.judge,
    accountability.NAME: accountability.judge,
}
"""All oracles by name, in the order in which verdicts list them."""


SAFETY = (
    agreement.NAME,
    certified_uniqueness.NAME,
    commit_chain.NAME,
    honest_vote_once.NAME,
    quorum_progress.NAME,
    commit_order.NAME,
    execution.NAME,
    durability.NAME,
)
"""Oracles that, once violated, stay so however an execution goes on."""


def violated_already(facts: Facts, terms: Terms) -> bool:
    """Whether something is violated that stays so, in an execution that is not at its end."""
    return any(ORACLES[name](facts, terms).verdict is Verdict.VIOLATED for name in SAFETY)


def judge_all(facts: Facts, terms: Terms) -> tuple[Finding, ...]:
    """What every oracle says, in their order."""
    return tuple([judge(facts, terms) for judge in ORACLES.values()])
