"""What a replica asks of its driver.

The driver carries the effects of one step out in their order. The order is a promise of the core: `Persist` comes first
and covers every message that follows it in the list; commits come before the replies that tell of them. A driver must
make a `Persist` durable, as a whole, before it carries out what follows.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeAlias

from msgspec import Struct

from diembft.machine import effects as machine
from diembft.machine.effects import Broadcast, CancelTimer, Send, SetTimer
from diembft.messages.types import QC, TC, Block, Message, Reply, TimeoutMsg, VoteMsg

__all__ = [
    "Broadcast",
    "CancelTimer",
    "Checkpoint",
    "Commit",
    "Divergence",
    "Effect",
    "Equivocation",
    "Ignored",
    "Persist",
    "ReadBlocks",
    "Reason",
    "Rejected",
    "SafetyRecord",
    "Send",
    "SendReply",
    "SetTimer",
]


class SafetyRecord(Struct, frozen=True, array_like=True, gc=False):
    """What must survive a crash besides blocks (report, section 3, Safety; docs/protocol.md, "Durability")."""

    highest_vote_round: int
    highest_qc_round: int
    last_sent: VoteMsg | TimeoutMsg | None
    """The last vote or timeout that was signed."""
    high_qc: QC
    high_commit_qc: QC
    last_round_tc: TC | None


class Checkpoint(Struct, frozen=True, array_like=True, gc=False):
    """Where the committed chain ends, and the state that it ends in."""

    certificate: QC
    """The QC by which it was learnt that the last committed block is committed."""
    height: int
    """How many blocks are committed; genesis does not count."""
    state_id: bytes
    """Of the last committed block."""
    ledger: Any
    """The immutable state of the ledger after that block, of the type of the state machine in use."""


class Persist(machine.Persist, frozen=True, gc=False):
    """Make durable, atomically, all that the step changed of what must survive a crash.

    It is one write because its parts only mean something together: a ledger of an earlier height beside the commits of
    a later one would execute requests a second time, and vote for states that nobody else computes.
    """

    record: SafetyRecord
    """Replaces the last one."""
    blocks: tuple[Block, ...]
    """New ones, parents before children."""
    committed: tuple[bytes, ...]
    """Ids of blocks made durable now or before, oldest first, that were committed in this step. Pending blocks that do
    not descend from the last of them may be forgotten."""
    checkpoint: Checkpoint | None
    """As of the last of `committed`, replacing the last one; None if the step committed nothing."""


class Commit(machine.Commit, frozen=True, gc=False):
    """Deliver a committed block: each once, oldest first. That it is committed is durable already (`Persist`).

    `height` is 1 for the first block after genesis; `results` are the outcomes of its requests, in order. `certificate`
    is the QC by which it was learnt that the block is committed.
    """

    block: Block
    certificate: QC
    state_id: bytes
    results: tuple[Reply | None, ...]


class SendReply(Struct, frozen=True, gc=False):
    """Answer the client that `reply` names."""

    reply: Reply


class ReadBlocks(Struct, frozen=True, gc=False):
    """Read from storage up to `count` committed blocks that follow committed block `after`, oldest first; give them
    back as BlocksRead.

    At most `max_bytes` of operations, but at least one block if there is one. `peer` and `round` are repeated in the
    answer.
    If `after` is no committed block, the answer holds none.
    """

    peer: int
    round: int
    after: bytes
    count: int
    max_bytes: int


class Reason(Enum):
    """Why a message was refused, or had no further effect."""

    BAD_SIGNATURE = "the signature does not verify"
    BAD_BLOCK_ID = "the block's id is not its digest"
    BAD_ROUND = "the rounds contradict one another"
    BAD_GENESIS = "a certificate of round 0 is not the genesis QC"
    BAD_QC = "a QC does not verify"
    NO_QUORUM = "a certificate has no quorum of distinct validators"
    BAD_VOTE_INFO = "the vote info contradicts the commit info"
    BAD_COMMIT_RULE = "the commit info contradicts the rule of consecutive rounds"
    NOT_COMMITTING = "the high commit QC commits nothing"
    BAD_TC = "a TC does not verify"
    MISSING_TC = "a TC is needed and missing, or of another round"
    SUPERFLUOUS_TC = "a TC is attached where the QC is of the previous round"
    TIME_BACKWARDS = "the block's time is before its parent's"
    TIME_AHEAD = "the block's time is too far ahead of the clock"
    BAD_PAYLOAD = "the payload is over a limit, or a request is not its client's"
    BAD_REQUEST = "the request is over a limit or not its client's"
    BAD_KIND = "requests of this kind are not executed"
    TOO_FAR_AHEAD = "the round is too far ahead"
    BAD_CHAIN = "the blocks are not a chain from a known block"
    UNSOLICITED = "the answer was not asked for"
    STALE = "the round is over"
    NOT_LEADER = "the author does not lead the round"
    DUPLICATE = "already known"
    UNKNOWN_PARENT = "the parent is not known yet"
    CONFLICTS_WITH_COMMIT = "the block does not descend from the last commit"
    NOT_SAFE = "the safety rules forbid the vote"
    FULL = "a limit on what is kept is reached"


class Rejected(Struct, frozen=True, gc=False):
    """The event was wrong and left the state unchanged."""

    reason: Reason


class Ignored(Struct, frozen=True, gc=False):
    """The event was well formed but, beyond the certificates in it, came to nothing."""

    reason: Reason


class Equivocation(Struct, frozen=True, gc=False):
    """Evidence: one validator signed two different messages where a correct one signs one."""

    culprit: int
    first: Message
    second: Message


class Divergence(Struct, frozen=True, gc=False):
    """Evidence: a quorum certified, or a validator voted for, another state for a block than this replica computed."""

    block_id: bytes
    own_state_id: bytes
    certificate: QC | None
    """None if it is one vote."""
    vote: VoteMsg | None = None


Effect: TypeAlias = (
    Persist
    | Send[Message]
    | Broadcast[Message]
    | SetTimer
    | CancelTimer
    | Commit
    | SendReply
    | ReadBlocks
    | Rejected
    | Ignored
    | Equivocation
    | Divergence
)
