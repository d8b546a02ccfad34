"""commit_chain: all globally committed blocks are on one chain.

A block is globally committed when f + 1 correct replicas sent votes that complete a chain on it: of as many blocks
as the protocol's commit rule has, of consecutive rounds (in DiemBFT two: votes of round r + 1 for a child of a block
of round r). From then on no quorum can leave it out, whether or not anybody knows.
"""

from __future__ import annotations

from collections.abc import Mapping

from diembft.protocols.interface import Link, Vote
from diembft.twins.runs.oracles.facts import Facts, SentVote
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict, names

NAME = "commit_chain"
HELD = Finding(NAME, Verdict.HELD)


def judge(facts: Facts, terms: Terms) -> Finding:
    """From the highest such block down: each must be an ancestor of the one above it."""
    correct = terms.cast.correct
    blocks = facts.blocks
    steps = terms.protocol.chain - 1
    voters: dict[bytes, dict[int, SentVote]] = {}
    for vote in facts.votes:
        if vote.node in correct:
            head = head_of(vote, steps, blocks)
            if head is not None:
                voters.setdefault(head, {}).setdefault(vote.node, vote)
    f = terms.cast.f
    committed = [
        (next(iter(by_node.values())).round - steps, block) for block, by_node in voters.items() if len(by_node) > f
    ]
    if len(committed) < 2:
        return HELD
    committed.sort(key=lambda entry: entry[0], reverse=True)
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
                Verdict.VIOLATED,
                f"f + 1 correct replicas committed the block of round {second.round}, and f + 1 that of round "
                f"{first.round}, which does not extend it",
                first.round,
                names(terms, both),
                (),
                tuple([vote.message for block in (block, above) for vote in voters[block].values()]),
            )
        above = block
    return HELD


def head_of(vote: SentVote | Vote, steps: int, blocks: Mapping[bytes, Link]) -> bytes | None:
    """The block so many steps below the one that a vote is for; None if the rounds between are not consecutive."""
    block, parent, parent_round, round_ = vote.block, vote.parent, vote.parent_round, vote.round
    for step in range(1, steps + 1):
        if parent_round + 1 != round_ or parent_round == 0:
            return None
        block, round_ = parent, parent_round
        if step < steps:
            link = blocks.get(block)
            if link is None:
                return None
            parent, parent_round = link.parent, link.parent_round
    return block
