"""honest_vote_once: a correct node signs one vote in a round at most, and none after its timeout of the round.

Restarts included. A vote is what its signature covers, its *content*, and a timeout likewise its round and the round of
its highest certificate. What was signed before and is sent once more is no second one, whatever comes with it this
time, and whatever was signed in between: nothing new is promised. So who voted, gave the round up and sends the same
vote again has voted once, and before its timeout.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import Protocol

from diembft.judge.facts import Roster, TimedOut, Voted
from diembft.judge.verdict import Report, violation

NAME = "honest_vote_once"


class SignedVote(Protocol):
    """A vote, as somebody remembers it: a fact, or a summary of one."""

    @property
    def round(self) -> int:
        """Of the block."""
        ...

    @property
    def content(self) -> Hashable:
        """What the signature covers."""
        ...

    @property
    def parent_round(self) -> int:
        """Of the certificate in the block."""
        ...


class SignedTimeout(Protocol):
    """A timeout, likewise."""

    @property
    def round(self) -> int:
        """That is given up."""
        ...

    @property
    def high_round(self) -> int:
        """Of the highest certificate that the signer says it knows."""
        ...


class Objection(Enum):
    """What a vote or a timeout contradicts that was signed before."""

    TWICE = "another vote in the round"
    BELOW = "a vote in a later round"
    AFTER_TIMEOUT = "a timeout of the round or a later one"
    FORGETS = "a vote for a block on a higher certificate"


def to_vote(
    round_: int, content: Hashable, voted_round: int, voted_content: Hashable, timeout_round: int
) -> Objection | None:
    """How a vote contradicts an earlier one and the last timeout, 0 being the round of none. The same vote again is
    one vote."""
    if voted_round == round_:
        return None if voted_content == content else Objection.TWICE
    if voted_round > round_:
        return Objection.BELOW
    return Objection.AFTER_TIMEOUT if timeout_round >= round_ else None


def to_timeout(round_: int, high_round: int, voted_round: int, parent_round: int) -> Objection | None:
    """How a timeout contradicts an earlier vote in `voted_round` for a block on a certificate of `parent_round`."""
    if round_ < voted_round:
        return Objection.BELOW
    return Objection.FORGETS if high_round < parent_round else None


def once(vote: SignedVote, first: SignedVote | None, *, given_up: bool) -> Objection | None:
    """How a vote contradicts the node's first vote of its round, and its timeout of that round, if there were any."""
    round_ = vote.round
    voted_round, voted_content = (0, None) if first is None else (round_, first.content)
    return to_vote(round_, vote.content, voted_round, voted_content, round_ if given_up else 0)


def told(objection: Objection, node: str, round_: int) -> str:
    """The sentence that says what is wrong with a vote in this round."""
    if objection is Objection.TWICE:
        return f"{node} voted twice in round {round_}"
    return f"{node} voted in round {round_} after its timeout of it"


class HonestVoteOnce:
    """Remembers the first vote of each node in each round and phase, and its first timeout of each round."""

    def __init__(self, roster: Roster, report: Report) -> None:
        self._roster = roster
        self._report = report
        self._votes: dict[tuple[str, int, str], Voted] = {}
        self._timeouts: dict[tuple[str, int], TimedOut] = {}

    def timed_out(self, timeout: TimedOut) -> None:
        """A node gives a round up."""
        self._timeouts.setdefault((timeout.node, timeout.round), timeout)

    def voted(self, vote: Voted) -> None:
        """A node votes."""
        node, round_ = vote.node, vote.round
        if not self._roster.correct(node):
            return
        first = self._votes.setdefault((node, round_, vote.phase), vote)
        given_up = self._timeouts.get((node, round_))
        objection = once(vote, None if first is vote else first, given_up=given_up is not None)
        if objection is None:
            return
        before = given_up if objection is Objection.AFTER_TIMEOUT and given_up is not None else first
        detail = told(objection, node, round_)
        self._report.violated(violation(NAME, detail, round_, (node,), (), (before.message, vote.message)))
