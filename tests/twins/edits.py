"""Edits of DiemBFT's core, as a regression would be one: nothing is planted, and no tester knows of them.

They are put into this very process, for as long as a test takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NoReturn, TypeAlias

import pytest

from diembft.consensus.block_tree import BlockTree, Node
from diembft.consensus.replica import Replica
from diembft.consensus.safety import Safety
from diembft.machine.effects import Send, SetTimer
from diembft.machine.events import Received, Started, TimerFired
from diembft.messages.types import QC, SyncInfo, TimeoutMsg, VoteMsg

Step: TypeAlias = Callable[[Replica, Any], Sequence[Any]]

_step = Replica.step
_propose = Replica.process_new_round_event
_give_up = Replica.local_timeout_round


def _is_vote(event: Any) -> bool:
    """A vote of round 2 or a later one."""
    return isinstance(event, Received) and isinstance(event.message, VoteMsg) and event.message.vote_info.round >= 2


def endless() -> NoReturn:
    while True:
        pass


def raises(replica: Replica, event: Any) -> Sequence[Any]:
    if _is_vote(event):
        raise KeyError(7)
    return _step(replica, event)


def never_ends(replica: Replica, event: Any) -> Sequence[Any]:
    if _is_vote(event):
        endless()
    return _step(replica, event)


def has_many_effects(replica: Replica, event: Any) -> Sequence[Any]:
    effects = _step(replica, event)
    return [*effects, *[Send(event.peer, event.message)] * 20_000] if _is_vote(event) else effects


def cannot_start(replica: Replica, event: Any) -> Sequence[Any]:
    if isinstance(event, Started):
        raise ValueError("what was\nexpected")
    return _step(replica, event)


def answers_answers(replica: Replica, event: Any) -> Sequence[Any]:
    """Who is told something tells the same back, to the end of days."""
    effects = list(_step(replica, event))
    answer = isinstance(event, Received) and isinstance(event.message, SyncInfo)
    if answer or _is_vote(event):
        round_ = event.message.round if answer else event.message.vote_info.round
        tree = replica.tree
        effects.append(Send(event.peer, SyncInfo(round_, tree.high_qc, tree.high_commit_qc, None)))
    return effects


def timers_without_delay(replica: Replica, event: Any) -> Sequence[Any]:
    """At constant virtual time."""
    effects = _step(replica, event)
    return [*effects, SetTimer(event.timer, 0.0, event.round)] if isinstance(event, TimerFired) else effects


FAILING: dict[str, Step] = {
    "raises": raises,
    "never_ends": never_ends,
    "has_many_effects": has_many_effects,
    "cannot_start": cannot_start,
    "answers_answers": answers_answers,
}


def fail(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Put a step that fails into all replicas."""
    monkeypatch.setattr(Replica, "step", FAILING[name])


# --- edits that violate something, or nothing


def late_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader that gave its round up proposes all the same, and votes for its block again."""

    def propose(self: Replica) -> None:
        round_ = self.pacemaker.current_round
        gave_up = isinstance(self.last_sent, TimeoutMsg) and self.last_sent.tmo_info.round == round_
        if gave_up and self.leader(round_) == self.me and self.me in self.proposals:
            self.safety.highest_vote_round = round_ - 1
            _propose(self)
            assert isinstance(self.last_sent, VoteMsg)
        else:
            _propose(self)

    monkeypatch.setattr(Replica, "process_new_round_event", propose)


def votes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a timeout goes the last vote once more, with what is known to be committed by now."""

    def give_up(self: Replica) -> bool:
        last, news = self.last_sent, _give_up(self)
        if isinstance(last, VoteMsg):
            commit = self.tree.high_commit_qc
            self._send_vote(VoteMsg(last.vote_info, last.ledger_commit_info, commit, last.sender, last.signature))
        return news

    monkeypatch.setattr(Replica, "local_timeout_round", give_up)


def no_vote_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Safety, "above_last_vote", lambda self, round_: True)


def commits_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit takes all pending blocks of rounds up to its own along."""

    def commit(self: BlockTree, qc: QC) -> list[Node]:
        target = self.committed_by(qc)
        path = [] if target is None else self.path(target[0])
        if path:
            pending = [node for node in self.nodes.values() if node is not self.root]
            path = sorted(
                [node for node in pending if node.block.round <= path[-1].block.round],
                key=lambda node: node.block.round,
            )
            for node in path:
                self._keep_committed(node.block)
            self.height += len(path)
            self._prune(path[-1])
        return path

    monkeypatch.setattr(BlockTree, "commit", commit)


def forgets_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up with any certificate, in any round; without agreement being violated nobody can be accused of that."""

    def give_up(self: Replica) -> bool:
        tree, high = self.tree, self.tree.high_qc
        block = tree.nodes.get(high.vote_info.id)
        if block is not None and block.block.round > 1:
            tree.high_qc = block.block.qc
        try:
            return _give_up(self)
        finally:
            tree.high_qc = max(high, tree.high_qc, key=lambda qc: qc.round)

    monkeypatch.setattr(Replica, "local_timeout_round", give_up)
    monkeypatch.setattr(Safety, "safe_to_timeout", lambda self, round_, qc_round, tc: True)


Edit: TypeAlias = Literal["late_leader", "votes_again", "no_vote_lock", "commits_others", "forgets_its_lock"]
EDITS: dict[Edit, Callable[[pytest.MonkeyPatch], None]] = {
    "late_leader": late_leader,
    "votes_again": votes_again,
    "no_vote_lock": no_vote_lock,
    "commits_others": commits_others,
    "forgets_its_lock": forgets_its_lock,
}
