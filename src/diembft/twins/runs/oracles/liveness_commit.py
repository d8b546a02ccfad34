"""liveness_commit: after gst every correct replica commits something.

Judged only if liveness_bound is judged for some round.
"""

from __future__ import annotations

from diembft.twins.runs.oracles import liveness_bound
from diembft.twins.runs.oracles.facts import Facts
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict

NAME = "liveness_commit"
HELD = Finding(NAME, Verdict.HELD)
UNDECIDED = Finding(NAME, Verdict.UNDECIDED, "no synchronous round with correct leaders was judged")


def judge(facts: Facts, terms: Terms) -> Finding:
    """Counted from the first correct replica's entry into the first round that nothing disturbs."""
    if liveness_bound.judge(facts, terms).verdict is Verdict.UNDECIDED:
        return UNDECIDED
    began = liveness_bound.correct_entries(facts, terms)[terms.gst + 1]
    idle = [
        node
        for node in terms.judged
        if node not in facts.commits or not any(commit.tick >= began for commit in facts.commits[node])
    ]
    if not idle:
        return HELD
    who = terms.cast.names_of(idle)
    return Finding(
        NAME,
        Verdict.VIOLATED,
        f"after round {terms.gst + 1} began, the first synchronous one, {', '.join(who)} committed nothing",
        terms.gst + 1,
        who,
    )
