"""commit_chain: all globally committed blocks are on one chain.

A block of round r is globally committed when f + 1 correct replicas sent votes of round r + 1 with it as parent:
from then on no quorum can leave it out, whether or not anybody knows.
"""

from __future__ import annotations

from diembft.twins.oracles.facts import Facts, Vote
from diembft.twins.oracles.verdict import Finding, Outcome, Terms, names

NAME = "commit_chain"
HELD = Finding(NAME, Outcome.HELD)


def judge(facts: Facts, terms: Terms) -> Finding:
    """From the highest such block down: each must be an ancestor of the one above it."""
    correct = terms.cast.correct
    voters: dict[bytes, dict[int, Vote]] = {}
    for vote in facts.votes:
        if vote.parent_round + 1 == vote.round and vote.node in correct and vote.parent_round > 0:
            voters.setdefault(vote.parent, {}).setdefault(vote.node, vote)
    f = terms.cast.f
    committed = [
        (next(iter(by_node.values())).parent_round, block) for block, by_node in voters.items() if len(by_node) > f
    ]
    if len(committed) < 2:
        return HELD
    committed.sort(key=lambda entry: entry[0], reverse=True)
    blocks = facts.blocks
    above = committed[0][1]
    for round_, block in committed[1:]:
        ancestor = above
        while ancestor in blocks and blocks[ancestor].round > round_:
            ancestor = blocks[ancestor].parent
        if ancestor != block:
            first, second = blocks[above], blocks[block]
            both = {**voters[above], **voters[block]}
            return Finding(
                NAME,
                Outcome.VIOLATED,
                f"f + 1 correct replicas committed the block of round {second.round}, and f + 1 that of round "
                f"{first.round}, which does not extend it",
                first.round,
                names(terms, both),
                (),
                tuple([vote.message for block in (block, above) for vote in voters[block].values()]),
            )
        above = block
    return HELD
