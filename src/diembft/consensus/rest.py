"""Rest, and the two timers that go with it: a leader without work leaves its round without a block, and then nobody's
round timer runs (docs/protocol.md, "Rest").

A block commits only when its successor is certified and others learn of that certificate, so leaders go on with empty
blocks until every replica can reply. At rest each replica tells one peer after the other what it knows, slowly, so that
an idle laggard catches up.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from diembft.consensus.block_tree import BlockTree, Node
from diembft.consensus.config import Config
from diembft.consensus.effects import CancelTimer, Effect, SetTimer
from diembft.consensus.events import Timer
from diembft.consensus.mempool import Mempool
from diembft.consensus.pacemaker import Pacemaker

REST_TIMER_DELTAS = 20
"""How often a resting validator tells a peer what it knows, in units of delta."""


def may_rest(config: Config, mempool: Mempool, parent: Node) -> bool:
    """Whether a leader may leave the round without a block on this parent.

    It rests if it holds no request and every non-empty block of the chain is committed by a QC inside the chain: then
    every replica that has the parent can reply.
    """
    return config.rest and not len(mempool) and parent.work_round <= parent.commit_round


def has_work(config: Config, mempool: Mempool, tree: BlockTree, current_round: int) -> bool:
    """Whether there is something whose commit must be waited for: then the round timer runs."""
    if not config.rest or len(mempool):
        return True
    head = tree.nodes.get(tree.high_qc.vote_info.id)
    if head is None or head.work_round > tree.root.block.round:
        return True
    return any(node.block.payload and node.block.round == current_round for node in tree.nodes.values())


class Rest:
    """Which of the two timers of a replica runs. What it returns are effects for the driver."""

    __slots__ = ("_config", "_me", "next_peer", "resting", "timer_round")

    def __init__(self, config: Config, me: int) -> None:
        self._config = config
        self._me = me
        self.timer_round: int | None = None
        """The round that the round timer runs for; None while it is stopped."""
        self.resting = False
        """Whether the rest timer runs."""
        self.next_peer = me
        """Whom this replica told last."""

    def fork(self) -> Rest:
        """An independent copy."""
        copy = object.__new__(type(self))
        copy._config = self._config
        copy._me = self._me
        copy.timer_round = self.timer_round
        copy.resting = self.resting
        copy.next_peer = self.next_peer
        return copy

    def state_key(self) -> Hashable:
        """The whole state, exact."""
        return (self.timer_round, self.resting, self.next_peer)

    def update(self, work: bool, pacemaker: Pacemaker, tree: BlockTree) -> Sequence[Effect]:
        """At the end of a step: with work the round timer runs for the current round, without it the rest timer."""
        round_ = pacemaker.current_round
        if work:
            if self.timer_round == round_ and not self.resting:
                return ()
            effects: list[Effect] = []
            if self.timer_round != round_:
                self.timer_round = round_
                effects.append(SetTimer(Timer.ROUND, pacemaker.round_timer_s(tree.root.block.round), round_))
            if self.resting:
                self.resting = False
                effects.append(CancelTimer(Timer.REST))
            return effects
        effects = []
        if self.timer_round is not None:
            self.timer_round = None
            effects.append(CancelTimer(Timer.ROUND))
        if not self.resting and self._config.n > 1:
            self.resting = True
            effects.append(self.timer(round_))
        return effects

    def timer(self, round_: int) -> SetTimer:
        """The rest timer, to be started."""
        return SetTimer(Timer.REST, REST_TIMER_DELTAS * self._config.delta_s, round_)

    def whom_to_tell(self) -> int:
        """One peer after the other."""
        self.next_peer = (self.next_peer + 1) % self._config.n
        if self.next_peer == self._me:
            self.next_peer = (self.next_peer + 1) % self._config.n
        return self.next_peer
