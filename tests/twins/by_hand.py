"""Records made by hand: four replicas, d with a twin, and exactly what a test lets them send and commit.

Oracles check no signatures and no digests, so that the blocks, votes and certificates here may say anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from msgspec.structs import replace

from diembft.consensus.replica import Replica
from diembft.judge.verdict import Verdict
from diembft.messages.types import (
    QC,
    TC,
    Block,
    LedgerCommitInfo,
    Message,
    ProposalMsg,
    Request,
    SyncInfo,
    TimeoutInfo,
    TimeoutMsg,
    VoteInfo,
    VoteMsg,
)
from diembft.twins.runs.judging import Judgement, judge, terms
from diembft.twins.runs.nodes import system_of
from diembft.twins.runs.record import (
    BlockCommitted,
    Ending,
    MessageSent,
    NodeRestarted,
    RoundEntered,
    RunRecord,
    cast_of,
)
from diembft.twins.scenarios.scenario import Round, Scenario, whole_round

REPLICAS = ("a", "b", "c", "d")
TWINS = ("d'",)
CAST = cast_of(REPLICAS, TWINS)
ALL_NODES = REPLICAS + TWINS


def digest(*parts: object) -> bytes:
    """Something of 32 bytes."""
    return sha256(repr(parts).encode()).digest()


def certificate(block_id: bytes, round_: int, parent_id: bytes, parent_round: int, signers: Sequence[int]) -> QC:
    """A QC; one of consecutive rounds commits."""
    info = VoteInfo(block_id, round_, parent_id, parent_round, digest("state", block_id))
    commits = digest("state", parent_id) if parent_round + 1 == round_ else None
    signatures = tuple([(signer, b"") for signer in signers])
    return QC(info, LedgerCommitInfo(commits, digest(info)), signatures, 0, b"")


GENESIS = certificate(digest("genesis"), 0, digest("genesis"), 0, ())


def block(author: str, round_: int, parent: QC = GENESIS, payload: tuple[Request, ...] = ()) -> Block:
    """A block of a node; a node and its twin make different ones."""
    identity = CAST.identity[CAST.names.index(author)]
    return Block(identity, round_, 0, payload, parent, digest(author, round_, parent, payload))


def qc_of(certified: Block, signers: Sequence[int] = (0, 1, 2)) -> QC:
    """A QC for a block."""
    parent = certified.qc.vote_info
    return certificate(certified.id, certified.round, parent.id, parent.round, signers)


def vote_for(voter: str, wanted: Block) -> VoteMsg:
    """A node's vote."""
    qc = qc_of(wanted)
    return VoteMsg(qc.vote_info, qc.ledger_commit_info, GENESIS, CAST.identity[CAST.names.index(voter)], b"")


def timeout_of(node: str, round_: int, high_qc: QC = GENESIS, tc: TC | None = None) -> TimeoutMsg:
    """A node's timeout."""
    return TimeoutMsg(TimeoutInfo(round_, high_qc, CAST.identity[CAST.names.index(node)], b""), tc, GENESIS)


def tc_of(round_: int, signers: Sequence[int] = (0, 1, 2), high_qc: QC = GENESIS) -> TC:
    """A TC."""
    return TC(round_, (high_qc.round,) * len(signers), tuple([(signer, b"") for signer in signers]), high_qc)


class Hand:
    """Writes a record. Nodes are named; time passes by `tick`."""

    def __init__(self) -> None:
        self.tick = 0
        self._record = RunRecord([], [], [], [], Ending.COMPLETE, 0)

    def send(self, node: str, message: Message) -> Hand:
        """A node sends something."""
        self._record.sent.append(MessageSent(self.tick, CAST.names.index(node), message))
        return self

    def propose(self, node: str, proposed: Block, tc: TC | None = None) -> Hand:
        """A node proposes a block."""
        return self.send(node, ProposalMsg(proposed, tc, GENESIS, b""))

    def vote(self, nodes: str, wanted: Block) -> Hand:
        """Nodes, separated by blanks, vote for a block."""
        for node in nodes.split():
            self.send(node, vote_for(node, wanted))
        return self

    def tell(self, node: str, qc: QC) -> Hand:
        """A node shows a QC to others."""
        return self.send(node, SyncInfo(qc.round + 1, qc, GENESIS, None))

    def commit(self, nodes: str, *blocks: Block) -> Hand:
        """Nodes commit blocks, one after the other."""
        for node in nodes.split():
            for committed in blocks:
                self._record.committed.append(
                    BlockCommitted(self.tick, CAST.names.index(node), committed, qc_of(committed))
                )
        return self

    def enter(self, nodes: str, round_: int) -> Hand:
        """Nodes enter a round."""
        for node in nodes.split():
            self._record.entered.append(RoundEntered(self.tick, CAST.names.index(node), round_))
        return self

    def restart(self, node: str) -> Hand:
        """A node runs again after a crash."""
        self._record.restarted.append(NodeRestarted(self.tick, CAST.names.index(node), len(self._record.sent)))
        return self

    def record(self, ending: Ending = Ending.COMPLETE, end: int | None = None) -> RunRecord:
        """The record."""
        return self._record._replace(ending=ending, end=self.tick if end is None else end)


def scenario(
    *scripted: Round, gst: int | None = None, bugs: tuple[str, ...] = (), suffix: int = 0, leader: str = "a"
) -> Scenario:
    """The scenario of the four, with whole rounds at the end."""
    rounds = (*scripted, *[whole_round(REPLICAS, TWINS, leader)] * suffix)
    return Scenario(replicas=REPLICAS, twins=TWINS, rounds=rounds, gst=len(scripted) if gst is None else gst, bugs=bugs)


def judged(hand: Hand, played: Scenario | None = None, ending: Ending = Ending.COMPLETE) -> Judgement:
    """What the oracles say; without a scenario, of one with three synchronous rounds led by a."""
    return judge(hand.record(ending), terms(played or scenario(suffix=3)))


def verdicts(judgement: Judgement) -> dict[str, Verdict]:
    """By oracle."""
    return {finding.oracle: finding.verdict for finding in judgement.findings}


def violated(judgement: Judgement) -> set[str]:
    """The names of the violated oracles."""
    return {finding.oracle for finding in judgement.violations}


def marker(node: str, number: int, *, signed: bool = True) -> Request:
    """A request that its client signed, or not."""
    replica = system_of(scenario(suffix=1)).node(CAST.names.index(node))
    assert isinstance(replica, Replica)
    (request,) = replica.mempool.select(number, ())
    return request if signed else replace(request, signature=b"forged")
