"""durability: what a correct node signs after a restart agrees with what it signed before it."""

from __future__ import annotations

from diembft.judge.facts import Roster, TimedOut, Voted
from diembft.judge.verdict import Finding, Report, Verdict, violation
from diembft.judge.votes import Objection, to_timeout, to_vote

NAME = "durability"
UNDECIDED = Finding(NAME, Verdict.UNDECIDED, "no correct replica was restarted")


class Durability:
    """Everything before the last restart of a node against everything after it."""

    def __init__(self, roster: Roster, report: Report) -> None:
        self._roster = roster
        self._report = report
        self._votes: dict[str, list[Voted]] = {}
        self._timeouts: dict[str, list[TimedOut]] = {}
        self._before: dict[str, tuple[int, int]] = {}
        """Of each node that was restarted: how many votes and timeouts it had signed by then."""

    @property
    def decided(self) -> bool:
        """Whether a correct node was restarted."""
        return any(self._roster.correct(node) for node in self._before)

    def restarted(self, node: str) -> None:
        """A node runs again after a crash."""
        self._before[node] = (len(self._votes.get(node, ())), len(self._timeouts.get(node, ())))

    def voted(self, vote: Voted) -> None:
        """A vote in a round that was voted or timed out in before the restart, or below it, but for the same again."""
        votes = self._votes.setdefault(vote.node, [])
        if vote.node in self._before and self._roster.correct(vote.node):
            self._judge_vote(vote)
        votes.append(vote)

    def _judge_vote(self, vote: Voted) -> None:
        node, round_ = vote.node, vote.round
        voted, timed_out = self._before[node]
        votes = self._votes[node][:voted]
        own = [earlier for earlier in votes if earlier.round != round_ or earlier.phase == vote.phase]
        if any(earlier.round == round_ and earlier.content == vote.content for earlier in own):
            return
        for earlier in own:
            if to_vote(round_, vote.content, earlier.round, earlier.content, None) is not None:
                self._violated(f"voted in round {round_} after a restart, having voted in round", vote, earlier)
                return
        for timeout in self._timeouts.get(node, [])[:timed_out]:
            if to_vote(round_, vote.content, None, None, timeout.round) is not None:
                self._violated(f"voted in round {round_} after a restart, having timed out in round", vote, timeout)
                return

    def timed_out(self, timeout: TimedOut) -> None:
        """A timeout that forgets a vote, or the certificate below it."""
        node, round_ = timeout.node, timeout.round
        self._timeouts.setdefault(node, []).append(timeout)
        if node not in self._before or not self._roster.correct(node):
            return
        for vote in self._votes.get(node, [])[: self._before[node][0]]:
            objection = to_timeout(round_, timeout.high_round, vote.round, vote.parent_round)
            if objection is Objection.BELOW:
                self._violated(f"timed out in round {round_} after a restart, having voted in round", timeout, vote)
                return
            if objection is not None:
                detail = (
                    f"{node} timed out in round {round_} after a restart with a certificate of round "
                    f"{timeout.high_round}, having voted for a block on one of round {vote.parent_round}"
                )
                signed = (vote.message, timeout.message)
                self._report.violated(violation(NAME, detail, round_, (node,), (), signed))
                return

    def _violated(self, what: str, after: Voted | TimedOut, before: Voted | TimedOut) -> None:
        detail = f"{after.node} {what} {before.round}"
        signed = (before.message, after.message)
        self._report.violated(violation(NAME, detail, after.round, (after.node,), (), signed))
