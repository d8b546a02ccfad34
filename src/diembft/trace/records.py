"""The schema of a trace: what happened in a run, in order, as values.

A trace is a header followed by records. In memory it is a list; on disk it is JSON Lines, one object a line, whose
field `type` names the record (bytes are base64, messages are the arrays of `diembft.messages.types`). `at` is in
seconds since the start of the run: virtual time in the simulator, real time elsewhere. Nodes and clients are named as
in the header. A message has one `Sent` (a client's request one `Submitted`, a reply one `Replied`), with a number, and
for each receiver in `to` later a `Delivered` or a `Dropped` (neither, if the run ended first; several, if it was
duplicated on its way). Several nodes may share one identity (`replica`): twins.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from diembft.messages.types import QC, TC, Block, Message, Reply, Request, TimeoutMsg, VoteMsg

FORMAT = "diembft-trace"
VERSION = 1


class Node(Struct, frozen=True):
    """A running copy of a validator."""

    name: str
    replica: int
    """The identity whose key it holds."""
    correct: bool = True
    """False from the start for twins, planted bugs and Byzantine actors; SetAttribute tells of those made so later."""


class Header(Struct, frozen=True, tag_field="type", tag="header"):
    """The first record."""

    runtime: str
    """`simulator`, `twins`, `distalgo` or `node`."""
    nodes: tuple[Node, ...]
    n: Annotated[int, Meta(ge=1, le=1 << 16)]
    chain_id: str
    epoch: int
    crypto: Literal["symbolic", "ed25519"]
    delta_s: Annotated[float, Meta(gt=0)]
    clients: tuple[str, ...] = ()
    public_keys: dict[str, bytes] = {}
    """Ed25519: of `replica0` ... and of the clients."""
    seed: str = ""
    replay: str = ""
    """The command that runs the same again, if there is one."""
    description: str = ""
    format: str = FORMAT
    version: int = VERSION


class Sent(Struct, frozen=True, gc=False, tag_field="type", tag="sent"):
    """A node sent a message to others (its copy to itself is not recorded)."""

    at: float
    node: str
    number: int
    to: tuple[str, ...]
    message: Message


class Delivered(Struct, frozen=True, gc=False, tag_field="type", tag="delivered"):
    """A node handled a message or a request, or a client (then `node` is its name) a reply.

    `rejected` or `ignored` holds the reason if it came to nothing.
    """

    at: float
    node: str
    number: int
    rejected: str | None = None
    ignored: str | None = None


class Dropped(Struct, frozen=True, gc=False, tag_field="type", tag="dropped"):
    """A message will not reach this receiver; `reason` is one of a few words such as `loss`, `partition`, `crashed`."""

    at: float
    number: int
    to: str
    reason: str


class TimerSet(Struct, frozen=True, gc=False, tag_field="type", tag="timer_set"):
    """A timer was started anew."""

    at: float
    node: str
    timer: str
    delay_s: float
    round: int


class TimerCancelled(Struct, frozen=True, gc=False, tag_field="type", tag="timer_cancelled"):
    """A timer was stopped."""

    at: float
    node: str
    timer: str


class Fired(Struct, frozen=True, gc=False, tag_field="type", tag="fired"):
    """A timer ran out and the node handled it."""

    at: float
    node: str
    timer: str
    round: int


class State(Struct, frozen=True, gc=False, tag_field="type", tag="state"):
    """What a node's state is after a step that changed any of these."""

    at: float
    node: str
    current_round: int
    leader: int
    highest_vote_round: int
    highest_qc_round: int
    high_qc: QC
    high_commit_qc: QC
    last_round_tc: TC | None
    height: int
    """How many blocks it committed."""


class Persisted(Struct, frozen=True, gc=False, tag_field="type", tag="persisted"):
    """A node made this durable."""

    at: float
    node: str
    highest_vote_round: int
    highest_qc_round: int
    last_sent: VoteMsg | TimeoutMsg | None
    blocks: tuple[bytes, ...]
    committed: tuple[bytes, ...]


class Committed(Struct, frozen=True, gc=False, tag_field="type", tag="committed"):
    """A node delivered a committed block.

    `executed` are (client, number) of the requests that took effect in this block.
    """

    at: float
    node: str
    height: int
    block: Block
    state_id: bytes
    executed: tuple[tuple[str, int], ...]
    certificate: QC


class Submitted(Struct, frozen=True, gc=False, tag_field="type", tag="submitted"):
    """A client sent a request to validators, for the `attempt`-th time (from 1)."""

    at: float
    client: str
    request: Request
    attempt: int
    number: int = 0
    to: tuple[str, ...] = ()


class Replied(Struct, frozen=True, gc=False, tag_field="type", tag="replied"):
    """A node sent a reply to its client."""

    at: float
    node: str
    reply: Reply
    number: int = 0


class Accepted(Struct, frozen=True, gc=False, tag_field="type", tag="accepted"):
    """A client has f + 1 equal replies."""

    at: float
    client: str
    number: int
    status: str
    latency_s: float


class WorkloadEnded(Struct, frozen=True, gc=False, tag_field="type", tag="workload_ended"):
    """A client's workload is complete, or timed out."""

    at: float
    client: str
    completed: bool


class Crashed(Struct, frozen=True, gc=False, tag_field="type", tag="crashed"):
    """A node stopped and lost all but what it had persisted."""

    at: float
    node: str


class Restarted(Struct, frozen=True, gc=False, tag_field="type", tag="restarted"):
    """A crashed node runs again from what it had persisted."""

    at: float
    node: str


class Paused(Struct, frozen=True, gc=False, tag_field="type", tag="paused"):
    """A node stands still (its messages wait)."""

    at: float
    node: str


class Resumed(Struct, frozen=True, gc=False, tag_field="type", tag="resumed"):
    """A paused node goes on."""

    at: float
    node: str


class Partitioned(Struct, frozen=True, gc=False, tag_field="type", tag="partitioned"):
    """From now on (or, with `round`, for the messages of that round) nodes hear only those of their set.

    A node in no set hears nobody. One set of all nodes: the network is whole.
    """

    at: float
    sets: tuple[tuple[str, ...], ...]
    round: int | None = None


class Synchronous(Struct, frozen=True, gc=False, tag_field="type", tag="synchronous"):
    """From now on (GST) every correct node runs, and each message between correct nodes arrives within `delta_s`.

    That holds until a record tells of a new fault. It is the driver's promise, which liveness is judged on.
    """

    at: float
    delta_s: float


class PeerConnected(Struct, frozen=True, gc=False, tag_field="type", tag="peer_connected"):
    """A node was told that it can reach a peer (again)."""

    at: float
    node: str
    peer: str


class BlocksRead(Struct, frozen=True, gc=False, tag_field="type", tag="blocks_read"):
    """A node read `count` committed blocks from its storage, to answer validator `peer`."""

    at: float
    node: str
    peer: int
    count: int


class SetAttribute(Struct, frozen=True, gc=False, tag_field="type", tag="set_attribute"):
    """Failure injection changed a node's state: it is Byzantine from here on."""

    at: float
    node: str
    attribute: str
    value: int


class Evidence(Struct, frozen=True, gc=False, tag_field="type", tag="evidence"):
    """A node reports a culprit (`equivocation`), that its state diverges from a certified one (`divergence`), or that
    it does not run again because its storage contradicts itself (`unrecoverable`)."""

    at: float
    node: str
    kind: str
    culprit: int | None
    messages: tuple[Message, ...]
    certificate: QC | None = None
    """For `divergence`: the one that certifies another state."""
    detail: str = ""
    """For `unrecoverable`: what contradicts what."""


class Violated(Struct, frozen=True, gc=False, tag_field="type", tag="violated"):
    """An invariant or an oracle does not hold; `detail` says of what, in one sentence."""

    at: float
    property: str
    detail: str
    nodes: tuple[str, ...] = ()
    round: int | None = None
    certificates: tuple[QC, ...] = ()
    votes: tuple[VoteMsg, ...] = ()


class Ended(Struct, frozen=True, tag_field="type", tag="ended"):
    """The last record: the verdict."""

    at: float
    passed: bool
    reasons: tuple[str, ...] = ()
    figures: dict[str, Any] = {}


Record: TypeAlias = (
    Header
    | Sent
    | Delivered
    | Dropped
    | TimerSet
    | TimerCancelled
    | Fired
    | State
    | Persisted
    | Committed
    | Submitted
    | Replied
    | Accepted
    | WorkloadEnded
    | Crashed
    | Restarted
    | Paused
    | Resumed
    | Partitioned
    | Synchronous
    | PeerConnected
    | BlocksRead
    | SetAttribute
    | Evidence
    | Violated
    | Ended
)
