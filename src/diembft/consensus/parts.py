"""What a replica is made of: its parts, its own state, and what the step under way collects.

`main.py` and `replica.py` have the procedures. Here stand the pieces that concern the state as a whole: how it is made,
copied, reduced to a key, made durable, and recovered.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Self

from diembft.consensus import rest, sync
from diembft.consensus.config import Config
from diembft.consensus.effects import (
    Checkpoint,
    Effect,
    Ignored,
    Persist,
    Reason,
    Rejected,
    SafetyRecord,
)
from diembft.consensus.genesis import genesis
from diembft.consensus.kit import CORRECT, Kit
from diembft.consensus.recovery import Recovered, restore
from diembft.consensus.state_machine import StateMachine
from diembft.crypto.interface import KeyRing, Signer
from diembft.messages.digests import Digests
from diembft.messages.types import (
    Block,
    ProposalMsg,
    Request,
    TimeoutMsg,
    VoteMsg,
)


class Parts:
    """The state of one validator."""

    def __init__(
        self,
        config: Config,
        me: int,
        signer: Signer,
        keys: KeyRing,
        machine: StateMachine,
        kit: Kit = CORRECT,
        recovered: Recovered | None = None,
    ) -> None:
        assert 0 <= me < config.n, "because a replica is one of the validators"
        assert config.n > 1 or config.rest, (
            "because a single validator that never rests would commit for ever in one step"
        )
        self.config = config
        self.me = me
        self.machine = machine
        digests = Digests(config.chain_id, config.epoch)
        self._digests = digests
        self._genesis = genesis(digests)
        self.quorums = kit.quorums(config)
        self.verifier = kit.verifier(config, digests, self._genesis, keys, self.quorums)
        self.safety = kit.safety(me, signer, digests)
        self.tree = kit.block_tree(config, digests, self._genesis, machine, self.quorums)
        self.pacemaker = kit.pacemaker(config, self.quorums)
        self.election = kit.leader_election(config)
        self.mempool = kit.mempool(config)

        self.sync = sync.Sync(config, me)
        self.rest = rest.Rest(config, me)

        self.proposals: dict[int, ProposalMsg] = {}
        """The first valid proposal of each author for the current round."""
        self.last_sent: VoteMsg | TimeoutMsg | None = None
        self._unsaved: list[Block] = []
        """Blocks that no Persist covered yet, parents before children."""
        self._begin_step()
        if recovered is not None:
            self._recover(recovered)

    def _begin_step(self) -> None:
        """What belongs to the step under way; empty between steps."""
        self._out: list[Effect] = []
        self._own: list[VoteMsg | TimeoutMsg] = []
        """Messages to oneself, to be handled before the step ends."""
        self._committed: list[bytes] = []
        self._checkpoint: Checkpoint | None = None
        self._must_persist = False
        self._now_ms = 0

    # --- what drivers read

    @property
    def current_round(self) -> int:
        """The round that this replica is in."""
        return self.pacemaker.current_round

    def leader(self, round_: int) -> int:
        """Who leads a round, as far as this replica knows."""
        return self.election.leader(round_, self.tree)

    def fork(self) -> Self:
        """An independent copy that shares all immutable values."""
        copy = object.__new__(type(self))
        copy.config = self.config
        copy.me = self.me
        copy.machine = self.machine
        copy._digests = self._digests
        copy._genesis = self._genesis
        copy.quorums = self.quorums
        copy.verifier = self.verifier
        copy.safety = self.safety.fork()
        copy.tree = self.tree.fork()
        copy.pacemaker = self.pacemaker.fork()
        copy.election = self.election.fork()
        copy.mempool = self.mempool.fork()
        copy.sync = self.sync.fork()
        copy.rest = self.rest.fork()
        copy.proposals = self.proposals.copy()
        copy.last_sent = self.last_sent
        copy._unsaved = self._unsaved.copy()
        copy._begin_step()
        return copy

    def state_key(self) -> Hashable:
        """The whole state as one hashable value: two replicas of one system with equal keys behave alike for ever."""
        return (
            self.me,
            self.safety.state_key(),
            self.tree.state_key(),
            self.pacemaker.state_key(),
            self.mempool.state_key(),
            self.sync.state_key(),
            self.rest.state_key(),
            tuple(self.proposals.items()),
            self.last_sent,
            tuple([block.id for block in self._unsaved]),
        )

    # --- what a step leaves behind

    def _reject(self, reason: Reason) -> bool:
        """The event was wrong and changed nothing."""
        self._out.append(Rejected(reason))
        return False

    def _ignore(self, reason: Reason) -> bool:
        """This part of the event comes to nothing, and changes nothing."""
        self._out.append(Ignored(reason))
        return False

    def _persist(self) -> Persist:
        record = self._record()
        effect = Persist(record, tuple(self._unsaved), tuple(self._committed), self._checkpoint)
        self._unsaved = []
        self._committed = []
        self._checkpoint = None
        self._must_persist = False
        return effect

    def _record(self) -> SafetyRecord:
        return SafetyRecord(
            self.safety.highest_vote_round,
            self.safety.highest_qc_round,
            self.last_sent,
            self.tree.high_qc,
            self.tree.high_commit_qc,
            self.pacemaker.last_round_tc,
        )

    def _hold(self, request: Request) -> None:
        """Hold a verified request that was met in a block: the block may come to nothing."""
        if self.mempool.refusal(request) is None and self.machine.answer(self.tree.root.ledger, request) is None:
            self.mempool.add(request)

    def _recover(self, recovered: Recovered) -> None:
        restore(recovered, self.tree, self.safety, self.pacemaker)
        for node in self.tree.nodes.values():
            for request in node.block.payload if node is not self.tree.root else ():
                self._hold(request)
        if recovered.record is not None:
            self.last_sent = recovered.record.last_sent
