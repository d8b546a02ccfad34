"""Oracles: the properties of `diembft.judge`, asked of an execution, from what was sent and committed alone.

Nothing here says what holds or not: this gives the facts of an execution (`facts`) to the properties, and lists what
they found in one order. None calls the core that is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from diembft.judge import (
    accountability,
    agreement,
    certificates,
    commit_chain,
    crash,
    durability,
    liveness,
    order,
    votes,
)
from diembft.judge import requests as requests_
from diembft.judge.facts import Roster, Voted
from diembft.judge.liveness import Promise
from diembft.judge.verdict import Finding, FirstFindings, Verdict
from diembft.twins.runs.oracles.facts import Facts, roster_of
from diembft.twins.runs.oracles.terms import Terms, judged_rounds

ORACLES: Mapping[str, type] = MappingProxyType(
    {
        agreement.NAME: agreement.Agreement,
        certificates.CERTIFIED_UNIQUENESS: certificates.CertifiedUniqueness,
        commit_chain.NAME: commit_chain.CommitChain,
        votes.NAME: votes.HonestVoteOnce,
        certificates.QUORUM_PROGRESS: certificates.QuorumProgress,
        liveness.LIVENESS_COMMIT: liveness.Liveness,
        liveness.LIVENESS_BOUND: liveness.Liveness,
        order.NAME: order.CommitOrder,
        requests_.EXECUTION: requests_.Requests,
        durability.NAME: durability.Durability,
        accountability.NAME: accountability.Accountability,
        crash.NAME: crash.Crash,
    }
)
"""All oracles by name, in the order in which verdicts list them, each with the property that it asks."""

_HELD = {name: Finding(name, Verdict.HELD) for name in ORACLES}


def judge_all(facts: Facts, terms: Terms) -> tuple[Finding, ...]:
    """What every oracle says, in their order."""
    found = FirstFindings()
    roster = roster_of(terms.cast)
    decided = _signed(facts, roster, found)
    _certificates(facts, terms, roster, found)
    _commits(facts, terms, roster, found)
    _failures(facts, found)
    findings = dict(_HELD)
    if not decided:
        findings[durability.NAME] = durability.UNDECIDED
    for finding in _liveness(facts, terms, roster):
        findings[finding.oracle] = finding
    findings.update(found.of)
    findings[accountability.NAME] = _accountability(facts, terms, roster, found.of.get(agreement.NAME))
    return tuple(findings.values())


def _signed(facts: Facts, roster: Roster, found: FirstFindings) -> bool:
    """Votes and timeouts in their order, and restarts between them; whether durability is decided."""
    once = votes.HonestVoteOnce(roster, found)
    durable = durability.Durability(roster, found) if facts.restarts else None
    restarts = facts.restarts[::-1]
    for number, signed in enumerate(facts.signed):
        while durable is not None and restarts and restarts[-1][0] <= number:
            durable.restarted(restarts.pop()[1])
        if isinstance(signed, Voted):
            once.voted(signed)
            if durable is not None:
                durable.voted(signed)
        else:
            once.timed_out(signed)
            if durable is not None:
                durable.timed_out(signed)
    if durable is None:
        return False
    for _, node in restarts:
        durable.restarted(node)
    return durable.decided


def _certificates(facts: Facts, terms: Terms, roster: Roster, found: FirstFindings) -> None:
    """Certificates, then votes, and what these say of blocks together."""
    unique = certificates.CertifiedUniqueness(roster, found)
    progress = certificates.QuorumProgress(roster, found, terms.quorumless)
    chain = commit_chain.CommitChain(roster, terms.protocol.chain, facts.blocks)
    for verb, certificates_ in (("sent", facts.certificates), ("holds", facts.held)):
        for node, certificate in certificates_:
            progress.seen(node, certificate, verb)
            unique.seen(node, certificate)
    for signed in facts.signed:
        if isinstance(signed, Voted):
            unique.voted(signed)
            chain.voted(signed)
    unique.settle()
    if terms.quorumless is not None:
        for entry in facts.entries:
            progress.entered(entry.node, entry.round)
    for finding in (progress.finding(), chain.finding()):
        if finding is not None:
            found.violated(finding)


def _commits(facts: Facts, terms: Terms, roster: Roster, found: FirstFindings) -> None:
    """Commits node by node; of agreement, each chain against the longest."""
    order_ = order.CommitOrder(roster, found)
    requests = requests_.Requests(roster, found, validity=requests_.EXECUTION)
    own = [facts.commits[node] for node in roster.correct_nodes() if node in facts.commits]
    for commits in own:
        for commit in commits:
            order_.committed(commit)
            requests.committed(commit)
    agree = agreement.Agreement(roster, found)
    longest = max(own, key=lambda commits: len({commit.block for commit in commits}), default=[])
    for commits in (longest, *[commits for commits in own if commits is not longest]):
        for commit in commits:
            agree.committed(commit)


def _failures(facts: Facts, found: FirstFindings) -> None:
    failures = crash.Crash(found)
    for failure in facts.failed:
        failures.failed(failure)


def _liveness(facts: Facts, terms: Terms, roster: Roster) -> tuple[Finding, ...]:
    if facts.failed:
        return (liveness.COMMIT_CUT_SHORT, liveness.BOUND_CUT_SHORT)
    rounds = tuple(judged_rounds(terms))
    if not rounds:
        return (liveness.NOT_JUDGED, liveness.NOT_ENTERED)
    judged = terms.cast.names_of(terms.judged)
    lively = liveness.Liveness(roster, Promise(judged, rounds, terms.gst, terms.bound, terms.bounds))
    for entry in facts.entries:
        lively.entered(entry)
    for node in judged:
        for commit in facts.commits.get(node, ()):
            lively.committed(commit)
    return lively.findings(facts.end)


def _accountability(facts: Facts, terms: Terms, roster: Roster, broken: Finding | None) -> Finding:
    if not terms.protocol.accountable:
        return accountability.NO_RULE
    if terms.bugs:
        return accountability.BUGS
    if broken is None:
        return accountability.UNDECIDED
    account = accountability.Accountability(roster)
    for signed in facts.signed:
        if isinstance(signed, Voted):
            account.voted(signed)
        else:
            account.timed_out(signed)
    return account.finding(broken)
