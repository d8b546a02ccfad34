"""liveness_bound: after gst, the block of a round with correct leaders is committed by all, soon and alone.

Judged for each synchronous round from the second on that correct replicas lead, as they do those after it in which
its commit becomes known (in DiemBFT two): within 7 delay bounds of the first correct replica's entry (more where a
longer chain commits) its one block is committed by every correct replica.
"""

from __future__ import annotations

from collections.abc import Sequence

from diembft.twins.runs.oracles.facts import Facts
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict, judged_rounds
from diembft.twins.runs.record import BlockCommitted

NAME = "liveness_bound"
HELD = Finding(NAME, Verdict.HELD)
UNDECIDED = Finding(NAME, Verdict.UNDECIDED, "no synchronous round with correct leaders was entered")


def judge(facts: Facts, terms: Terms) -> Finding:
    """Whether each such block was committed by all within the bound, and no other of its round."""
    rounds = judged_rounds(terms)
    entries = correct_entries(facts, terms)
    commits = {node: _by_round(facts.commits.get(node, ())) for node in terms.judged}
    decided = False
    for round_ in rounds:
        entry = entries.get(round_)
        if entry is None:
            break
        deadline = entry + terms.bound
        found: dict[bytes, int] = {}
        late: list[int] = []
        for node, by_round in commits.items():
            own = by_round.get(round_)
            if own is not None:
                found.setdefault(own.block.id, node)
            if own is None or own.tick > deadline:
                late.append(node)
        if len(found) > 1:
            return _violated(terms, round_, f"two blocks of round {round_} are committed", tuple(found.values()))
        if late:
            if facts.end < deadline and not any(max(commits[node], default=0) > round_ for node in late):
                continue  # it ended too early to tell
            who = ", ".join(terms.cast.names_of(late))
            bound = f"within {terms.bounds} delay bounds of the first entry into it"
            return _violated(
                terms, round_, f"the block of round {round_} is not committed {bound} by {who}", tuple(late)
            )
        decided = True
    return HELD if decided else UNDECIDED


def correct_entries(facts: Facts, terms: Terms) -> dict[int, int]:
    """When the first correct replica was in each round or in a later one, in ticks."""
    correct = terms.cast.correct
    entries: dict[int, int] = {}
    reached = 0
    for (node, round_), tick in facts.first_entries.items():
        if round_ > reached and node in correct:
            for passed in range(reached + 1, round_ + 1):
                entries[passed] = tick
            reached = round_
    return entries


def _by_round(commits: Sequence[BlockCommitted]) -> dict[int, BlockCommitted]:
    by_round: dict[int, BlockCommitted] = {}
    for commit in commits:
        by_round.setdefault(commit.block.round, commit)
    return by_round


def _violated(terms: Terms, round_: int, detail: str, nodes: tuple[int, ...]) -> Finding:
    return Finding(NAME, Verdict.VIOLATED, detail, round_, terms.cast.names_of(nodes))
