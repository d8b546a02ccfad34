"""quorum_progress: nobody leaves a round without a quorum, and every certificate names one of distinct signers."""

from __future__ import annotations

from diembft.messages.types import QC, TC
from diembft.twins.oracles.facts import Facts
from diembft.twins.oracles.verdict import Finding, Outcome, Terms, names

NAME = "quorum_progress"
HELD = Finding(NAME, Outcome.HELD)


def judge(facts: Facts, terms: Terms) -> Finding:
    """Certificates first: they name the culprit of the progress."""
    quorum = terms.cast.quorum
    for qc, node in facts.qcs.items():
        if qc.vote_info.round > 0 and len(frozenset([signer for signer, _ in qc.signatures])) < quorum:
            return _too_few(terms, qc, qc.vote_info.round, [signer for signer, _ in qc.signatures], node)
    for tc, node in facts.tcs.items():
        if len(frozenset([signer for signer, _ in tc.tmo_signatures])) < quorum:
            return _too_few(terms, tc, tc.round, [signer for signer, _ in tc.tmo_signatures], node)
    highest, node = facts.highest_entry
    if terms.quorumless is not None and highest > terms.quorumless:
        who = names(terms, [entered for entered, round_ in facts.first_entries if round_ > terms.quorumless])
        return Finding(
            NAME,
            Outcome.VIOLATED,
            f"{terms.cast.names[node]} is in round {highest}, though no set of round {terms.quorumless} held a quorum",
            terms.quorumless,
            who,
        )
    return HELD


def _too_few(terms: Terms, certificate: QC | TC, round_: int, signers: list[int], node: int) -> Finding:
    distinct = terms.cast.names_of(sorted(frozenset(signers)))
    return Finding(
        NAME,
        Outcome.VIOLATED,
        f"{terms.cast.names[node]} sent a {type(certificate).__name__} of round {round_} "
        f"signed by {', '.join(distinct)} alone",
        round_,
        (terms.cast.names[node],),
        (certificate,),
    )
