"""commit_order: a correct replica commits each block once, right after its parent."""

from __future__ import annotations

from diembft.twins.runs.oracles.facts import Facts
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict
from diembft.twins.runs.record import BlockCommitted

NAME = "commit_order"
HELD = Finding(NAME, Verdict.HELD)


def judge(facts: Facts, terms: Terms) -> Finding:
    """The first block extends genesis, whose round is 0; each other one extends the one before it."""
    for node in terms.cast.correct:
        before: BlockCommitted | None = None
        for commit in facts.commits.get(node, ()):
            link = facts.blocks[commit.block.id]
            if link.parent_round != 0 if before is None else link.parent != before.block.id:
                return _violated(facts, commit, node, terms)
            before = commit
    return HELD


def _violated(facts: Facts, wrong: BlockCommitted, node: int, terms: Terms) -> Finding:
    commits = facts.commits[node]
    name, round_ = terms.cast.names[node], wrong.block.round
    earlier = [commit.block for commit in commits[: commits.index(wrong)]]
    times = sum(1 for commit in commits if commit.block.id == wrong.block.id)
    if times > 1:
        detail = f"{name} committed the block of round {round_} twice"
    elif any(block.round > round_ for block in earlier):
        detail = f"{name} committed the block of round {round_} after one of a later round"
    else:
        parent_round = facts.blocks[wrong.block.id].parent_round
        detail = f"{name} committed the block of round {round_} without its parent, of round {parent_round}"
    return Finding(NAME, Verdict.VIOLATED, detail, round_, (name,), (wrong.certificate,))
