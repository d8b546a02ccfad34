"""accountability: where agreement is violated, the signatures show f + 1 culprits.

A culprit signed two votes in a round and phase; or a vote of round v for a block with parent round p, and a timeout of
a round >= v whose highest certificate is older than p. Not judged with planted bugs, which make correct replicas do so.
"""

from __future__ import annotations

from typing import Any

from diembft.judge.facts import Roster, TimedOut, Voted
from diembft.judge.verdict import Finding, Verdict
from diembft.judge.votes import Objection, to_timeout

NAME = "accountability"
NO_RULE = Finding(NAME, Verdict.UNDECIDED, "not judged for this protocol")
BUGS = Finding(NAME, Verdict.UNDECIDED, "not judged with planted bugs")
UNDECIDED = Finding(NAME, Verdict.UNDECIDED, "agreement was not violated")


def convicts(round_: int, high_round: int, voted_round: int, parent_round: int) -> bool:
    """Whether a timeout and a vote convict who signed both."""
    return to_timeout(round_, high_round, voted_round, parent_round) is Objection.FORGETS


class Accountability:
    """Signers are replicas: what a node and its twin sign is signed by one."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._votes: dict[int, list[Voted]] = {}
        self._timeouts: dict[int, list[TimedOut]] = {}

    def voted(self, vote: Voted) -> None:
        """A vote."""
        self._votes.setdefault(self._roster.identity[vote.node], []).append(vote)

    def timed_out(self, timeout: TimedOut) -> None:
        """A timeout."""
        self._timeouts.setdefault(self._roster.identity[timeout.node], []).append(timeout)

    def finding(self, broken: Finding | None) -> Finding:
        """The finding, by that of agreement if it is violated."""
        if broken is None:
            return UNDECIDED
        culprits = self.culprits()
        who = self._roster.replicas(culprits)
        enough = len(culprits) > self._roster.f
        return Finding(
            NAME,
            Verdict.HELD if enough else Verdict.VIOLATED,
            f"the signatures convict {', '.join(who) or 'nobody'}, which is {'' if enough else 'not '}f + 1",
            broken.round,
            who,
            (),
            tuple([message for pair in culprits.values() for message in pair]),
        )

    def culprits(self) -> dict[int, tuple[Any, Any]]:
        """The replicas that signed what no correct one signs, each with two messages that show it."""
        culprits: dict[int, tuple[Any, Any]] = {}
        for replica, own in self._votes.items():
            first: dict[tuple[int, str], Voted] = {}
            for vote in own:
                other = first.setdefault((vote.round, vote.phase), vote)
                if other.content != vote.content:
                    culprits.setdefault(replica, (other.message, vote.message))
                for timeout in self._timeouts.get(replica, ()):
                    if convicts(timeout.round, timeout.high_round, vote.round, vote.parent_round):
                        culprits.setdefault(replica, (vote.message, timeout.message))
        return culprits
