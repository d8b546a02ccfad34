"""quorum_progress: nobody leaves a round without a quorum, and every certificate names one of distinct signers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diembft.twins.runs.oracles.facts import Facts
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict, names

NAME = "quorum_progress"
HELD = Finding(NAME, Verdict.HELD)


def judge(facts: Facts, terms: Terms) -> Finding:
    """Certificates first: they name the culprit of the progress."""
    quorum = terms.cast.quorum
    certificate = facts.reading.certificate
    for certificates in (facts.qcs, facts.tcs):
        for value, node in certificates.items():
            says = certificate(value)
            if says.round > 0 and len(frozenset(says.signers)) < quorum:
                return _too_few(terms, value, says.round, says.signers, node)
    highest, node = facts.highest_entry
    if terms.quorumless is not None and highest > terms.quorumless:
        who = names(terms, [entered for entered, round_ in facts.first_entries if round_ > terms.quorumless])
        return Finding(
            NAME,
            Verdict.VIOLATED,
            f"{terms.cast.names[node]} is in round {highest}, though no set of round {terms.quorumless} held a quorum",
            terms.quorumless,
            who,
        )
    return HELD


def _too_few(terms: Terms, certificate: Any, round_: int, signers: Iterable[int], node: int) -> Finding:
    distinct = terms.cast.names_of(sorted(frozenset(signers)))
    return Finding(
        NAME,
        Verdict.VIOLATED,
        f"{terms.cast.names[node]} sent a {type(certificate).__name__} of round {round_} "
        f"signed by {', '.join(distinct)} alone",
        round_,
        (terms.cast.names[node],),
        (certificate,),
    )
