"""agreement: the committed chains of any two correct replicas are prefixes of one another."""

from __future__ import annotations

from diembft.twins.runs.oracles.facts import Facts
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict
from diembft.twins.runs.record import BlockCommitted

NAME = "agreement"
HELD = Finding(NAME, Verdict.HELD)


def judge(facts: Facts, terms: Terms) -> Finding:
    """Each chain against the longest: two that are prefixes of it are prefixes of one another."""
    chains = {node: _chain(facts.commits[node]) for node in terms.cast.correct if node in facts.commits}
    if not chains:
        return HELD
    longest_node = max(chains, key=lambda node: len(chains[node]))
    longest = chains[longest_node]
    for node, chain in chains.items():
        if longest[: len(chain)] == chain:
            continue
        height = next(height for height, block in enumerate(chain) if longest[height] != block)
        one, other = _commit(facts, node, chain[height]), _commit(facts, longest_node, longest[height])
        first, second = terms.cast.names_of((node, longest_node))
        return Finding(
            NAME,
            Verdict.VIOLATED,
            f"{first} committed the block of round {one.block.round} at height {height + 1}, "
            f"{second} that of round {other.block.round}"
            + (", another one" if one.block.round == other.block.round else ""),
            max(one.block.round, other.block.round),
            (first, second),
            (one.certificate, other.certificate),
        )
    return HELD


def _chain(commits: list[BlockCommitted]) -> list[bytes]:
    """The committed blocks; one that comes again is for `commit_order` to judge."""
    return list(dict.fromkeys([committed.block.id for committed in commits]))


def _commit(facts: Facts, node: int, block: bytes) -> BlockCommitted:
    return next(committed for committed in facts.commits[node] if committed.block.id == block)
