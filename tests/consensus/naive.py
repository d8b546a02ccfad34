"""A deliberately naive second version of the rules of safety and of quorums, to compare the real one with.

Written from the protocol's definition alone, in the plainest way: it remembers every signature ever made and every
certificate ever seen and asks of that history what the rules mean, where the real one keeps two numbers. It does not
know `diembft.consensus` (a test looks).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations


@dataclass(frozen=True)
class NaiveTc:
    """A timeout certificate: its round, and what its signers said that their highest QC's round is."""

    round: int
    qc_rounds: tuple[int, ...]


@dataclass
class NaiveSafety:
    """What one validator may sign."""

    votes: list[tuple[int, int]] = field(default_factory=list)
    """(round of the block, round of its QC) of every vote."""
    timeouts: list[int] = field(default_factory=list)

    def may_vote(self, block_round: int, qc_round: int, tc: NaiveTc | None) -> bool:
        for voted_round, _ in self.votes:
            if voted_round >= block_round:
                return False
        for timed_out_round in self.timeouts:
            if timed_out_round >= block_round:
                return False
        if qc_round >= block_round:
            return False
        if qc_round == block_round - 1:
            return True
        if tc is None or tc.round != block_round - 1:
            return False
        return all(qc_round >= known for known in tc.qc_rounds)

    def vote(self, block_round: int, qc_round: int, tc: NaiveTc | None) -> bool:
        allowed = self.may_vote(block_round, qc_round, tc)
        if allowed:
            self.votes.append((block_round, qc_round))
        return allowed

    def may_time_out(self, round_: int, qc_round: int, tc: NaiveTc | None) -> bool:
        for _, extended_round in self.votes:
            if qc_round < extended_round:
                return False
        for voted_round, _ in self.votes:
            if voted_round > round_:
                return False
        for timed_out_round in self.timeouts:
            if timed_out_round > round_:
                return False
        if qc_round >= round_:
            return False
        return qc_round == round_ - 1 or (tc is not None and tc.round == round_ - 1)

    def time_out(self, round_: int, qc_round: int, tc: NaiveTc | None) -> bool:
        allowed = self.may_time_out(round_, qc_round, tc)
        if allowed:
            self.timeouts.append(round_)
        return allowed


def commits(block_round: int, qc_round: int) -> bool:
    """Whether a QC for a block of this round commits its parent, of the other round."""
    return list(range(qc_round, block_round + 1)) == [qc_round, block_round] and qc_round != block_round


def naive_max_faulty(n: int) -> int:
    """The most validators that may be faulty: the largest f with 3f + 1 <= n."""
    f = 0
    while 3 * (f + 1) + 1 <= n:
        f += 1
    return f


def naive_quorum(n: int) -> int:
    """By trial over sets of validators: the fewest that the correct ones can always bring together."""
    return n - naive_max_faulty(n)


def share_a_correct_validator(n: int, quorum: int) -> bool:
    """Whether any two sets of so many share more validators than may be faulty, looked at one by one."""
    validators = range(n)
    f = naive_max_faulty(n)
    first = set(combinations(validators, quorum).__next__())
    return all(len(first & set(other)) > f for other in combinations(validators, quorum))


def is_certificate(n: int, signers: list[int]) -> bool:
    """Whether a list of signers, each of whose signatures is right, certifies: nobody twice, all known, enough."""
    known = [signer for signer in signers if signer in range(n)]
    once = [signer for signer in known if signers.count(signer) == 1]
    return len(once) == len(signers) and len(once) >= naive_quorum(n)


def collect(n: int, messages: list[tuple[int, str]]) -> dict[str, int]:
    """For each thing voted for: after how many of these (sender, thing) votes a quorum was for it, if ever."""
    completed: dict[str, int] = {}
    for count in range(1, len(messages) + 1):
        for thing in {thing for _, thing in messages[:count]}:
            senders = {sender for sender, voted in messages[:count] if voted == thing}
            if len(senders) >= naive_quorum(n) and thing not in completed:
                completed[thing] = count
    return completed
