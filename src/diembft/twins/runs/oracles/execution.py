"""execution: a correct replica executes each request once, and only what its client signed."""

from __future__ import annotations

from diembft.twins.runs.oracles.facts import Facts
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict
from diembft.twins.runs.record import BlockCommitted

NAME = "execution"
HELD = Finding(NAME, Verdict.HELD)


def judge(facts: Facts, terms: Terms) -> Finding:
    """Every request of a committed block is executed: markers are never duplicates, one names one proposal."""
    requests = facts.reading.requests
    for node in terms.cast.correct:
        executed: set[tuple[str, int]] = set()
        for commit in facts.commits.get(node, ()):
            for client, number, request in requests(commit.block):
                key = (client, number)
                if key in executed:
                    return _violated(terms, node, commit, f"executed request {key[1]} of {key[0]} twice")
                executed.add(key)
                if not terms.signed(request):
                    return _violated(terms, node, commit, f"executed request {key[1]}, which {key[0]} did not sign")
    return HELD


def _violated(terms: Terms, node: int, commit: BlockCommitted, what: str) -> Finding:
    name = terms.cast.names[node]
    return Finding(NAME, Verdict.VIOLATED, f"{name} {what}", commit.block.round, (name,), (commit.certificate,))
