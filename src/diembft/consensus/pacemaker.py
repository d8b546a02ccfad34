"""Pacemaker: keeps the round, collects timeouts, sets the pace (report, section 3.4)."""

from __future__ import annotations

from collections.abc import Hashable

from diembft.consensus.config import Config
from diembft.consensus.quorums import Quorums
from diembft.messages.types import QC, TC, TimeoutInfo

ROUND_TIMER_DELTAS = 5
"""The round timer in units of delta: the report's pseudocode says 4, its proofs need 5."""

NORMAL_ROUNDS_SINCE_COMMIT = 2
"""How many rounds the current round is ahead of the last commit when all goes well."""


class Pacemaker:
    """`current_round`, the TC by which it was entered if it was, and the timeouts of the current round.

    Timeouts of later rounds need no keeping: the certificates that a valid timeout carries lead into its round.
    """

    __slots__ = ("_config", "_quorums", "current_round", "last_round_tc", "timeouts")

    def __init__(self, config: Config, quorums: Quorums) -> None:
        self._config = config
        self._quorums = quorums
        self.current_round = 1
        self.last_round_tc: TC | None = None
        self.timeouts: dict[int, TimeoutInfo] = {}
        """Of the current round, by sender."""

    def fork(self) -> Pacemaker:
        """An independent copy."""
        copy = object.__new__(type(self))
        copy._config = self._config
        copy._quorums = self._quorums
        copy.current_round = self.current_round
        copy.last_round_tc = self.last_round_tc
        copy.timeouts = self.timeouts.copy()
        return copy

    def state_key(self) -> Hashable:
        """The whole state, exact."""
        return (self.current_round, self.last_round_tc, tuple(sorted(self.timeouts.items())))

    def advance_round_qc(self, qc: QC) -> bool:
        """Report: a QC of this round or a later one starts the round after it.

        A QC of the previous round makes the TC by which that round was left superfluous.
        """
        round_ = qc.vote_info.round
        if round_ < self.current_round - 1:
            return False
        self.last_round_tc = None
        if round_ == self.current_round - 1:
            return False
        self._enter(round_ + 1)
        return True

    def advance_round_tc(self, tc: TC) -> bool:
        """Report: a TC of this round or a later one starts the round after it."""
        if tc.round < self.current_round:
            return False
        self.last_round_tc = tc
        self._enter(tc.round + 1)
        return True

    def _enter(self, round_: int) -> None:
        self.current_round = round_
        self.timeouts.clear()

    def resume_at(self, round_: int) -> None:
        """After a crash: not below the round of the last signature."""
        if round_ > self.current_round:
            self._enter(round_)

    def tc_for(self, high_qc: QC) -> TC | None:
        """The TC that must accompany a message of the current round: none if `high_qc` is of the previous round."""
        return None if high_qc.vote_info.round == self.current_round - 1 else self.last_round_tc

    def counted_as(self, timeout: TimeoutInfo) -> int:
        """As what a timeout counts: as its signer's, so that nobody counts twice.

        A seam: a planted bug counts messages instead (`faults/bugs/count_messages.py`).
        """
        return timeout.sender

    def add_timeout(self, timeout: TimeoutInfo) -> bool:
        """Keep a timeout of the current round; whether it is new."""
        assert timeout.round == self.current_round, "because its certificates were processed, and it is not of the past"
        key = self.counted_as(timeout)
        if key in self.timeouts:
            return False
        self.timeouts[key] = timeout
        return True

    def should_join(self) -> bool:
        """Report (Bracha): f + 1 timeouts of the round include a correct validator's, so one times out as well."""
        return self._quorums.includes_correct(len(self.timeouts))

    def timeout_certificate(self) -> TC | None:
        """A TC of the current round, if a quorum of timeouts is there."""
        if not self._quorums.is_quorum(len(self.timeouts)):
            return None
        timeouts = sorted(self.timeouts.values(), key=_sender)
        return TC(
            self.current_round,
            tuple([timeout.high_qc.vote_info.round for timeout in timeouts]),
            tuple([(timeout.sender, timeout.signature) for timeout in timeouts]),
            max([timeout.high_qc for timeout in timeouts], key=_qc_round),
        )

    def round_timer_s(self, committed_round: int) -> float:
        """Report, `get_round_timer`: how long the current round may take, in seconds.

        Grows with the rounds since the last commit beyond the normal two, up to a configured maximum, and so shrinks
        again after commits. The growth has no bound on its steps, only on its value: an unknown delta is reached.
        """
        config = self._config
        base = ROUND_TIMER_DELTAS * config.delta_s
        late = self.current_round - committed_round - NORMAL_ROUNDS_SINCE_COMMIT
        if late <= 0 or config.timer_growth == 1.0:
            return base
        try:
            return max(base, min(base * config.timer_growth**late, config.max_timer_s))
        except OverflowError:
            return max(base, config.max_timer_s)


def _sender(timeout: TimeoutInfo) -> int:
    return timeout.sender


def _qc_round(qc: QC) -> int:
    return qc.vote_info.round
