"""The schema of a trace: what happened in a run, in order, as values of any protocol.

A trace is a header followed by records. In memory it is a list; on disk it is JSON Lines, one object a line, whose
field `type` names the record (bytes are base64; messages, blocks and certificates are those of
`diembft.trace.values`). `at` is in seconds since the start of the run: virtual time in the simulator, real time
elsewhere. Nodes and clients are named as in the header. A message has one `Sent` (a client's request one `Submitted`, a
reply one `Replied`), with a number, and for each receiver in `to` later a `Delivered` or a `Dropped` (neither, if the
run ended first; several, if it was duplicated on its way). Several nodes may share one identity (`replica`): twins.
docs/trace.md says which records a program in another language has to write, and what is judged from what.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

from diembft.trace.header import FORMAT as FORMAT
from diembft.trace.header import VERSION as VERSION
from diembft.trace.header import Header as Header
from diembft.trace.header import Node as Node
from diembft.trace.values import Block, Certificate, Message, RequestName


class Sent(Struct, frozen=True, gc=False, tag_field="type", tag="sent"):
    """A node sent a message to others (its copy to itself is not recorded)."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    number: int
    """Names the message in Delivered and Dropped; unique in the trace."""
    to: tuple[str, ...]
    """The nodes that it was sent to, the sender itself left out."""
    message: Message
    """What it says."""


class Delivered(Struct, frozen=True, gc=False, tag_field="type", tag="delivered"):
    """A node handled a message or a request, or a client (then `node` is its name) a reply.

    `rejected` or `ignored` holds the reason if it came to nothing.
    """

    at: float
    """In seconds since the start of the run."""
    node: str
    """The name of whoever received it."""
    number: int
    """Of the message."""
    rejected: str | None = None
    """Why the node refused it: it was wrong."""
    ignored: str | None = None
    """Why it had no effect, though it was right."""


class Dropped(Struct, frozen=True, gc=False, tag_field="type", tag="dropped"):
    """A message will not reach this receiver; `reason` is one of a few words such as `loss`, `partition`, `crashed`."""

    at: float
    """In seconds since the start of the run."""
    number: int
    """Of the message."""
    to: str
    """The name of the node or client that it will not reach."""
    reason: str
    """A word or two."""


class TimerSet(Struct, frozen=True, gc=False, tag_field="type", tag="timer_set"):
    """A timer was started anew."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    timer: str
    """Its name: `round` for the one that gives a round up."""
    delay_s: float
    """In how many seconds it fires."""
    round: int
    """The round that it was set in."""


class TimerCancelled(Struct, frozen=True, gc=False, tag_field="type", tag="timer_cancelled"):
    """A timer was stopped."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    timer: str
    """Its name."""


class Fired(Struct, frozen=True, gc=False, tag_field="type", tag="fired"):
    """A timer ran out and the node handled it."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    timer: str
    """Its name."""
    round: int
    """The round that it was set in."""


class State(Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="state"):
    """What a node's state is after a step that changed any of these."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    current_round: int
    """The round that it is in; it never goes down while the node runs."""
    leader: int
    """The replica that leads this round in the node's view; -1 if it does not know."""
    height: int
    """How many blocks it committed."""
    voted_round: int
    """The highest round that it voted in, or gave up if that forbids to vote in it."""
    high: Certificate
    """The highest certificate of a block that it knows."""
    committed_by: Certificate | None = None
    """The certificate that commits the newest block that it committed."""
    given_up: Certificate | None = None
    """The certificate that a round was given up by which it entered its round, if it did so."""
    locked_round: int | None = None
    """The round of its lock: blocks on a lower certificate it does not vote for. None if the protocol has none."""
    detail: Any = None
    """What the protocol has beyond this."""


class Persisted(Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="persisted"):
    """A node made this durable."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    voted_round: int
    """As in State."""
    locked_round: int | None = None
    """As in State."""
    signed: Message | None = None
    """The vote or timeout that it signed last."""
    blocks: tuple[bytes, ...] = ()
    """The ids of the blocks that were written."""
    committed: tuple[bytes, ...] = ()
    """The ids of the blocks that were noted as committed."""
    detail: Any = None
    """What the protocol has beyond this."""


class Committed(Struct, frozen=True, gc=False, tag_field="type", tag="committed"):
    """A node delivered a committed block."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    height: int
    """How many blocks it has now committed, this one included."""
    block: Block
    """What was committed."""
    certificate: Certificate
    """The one that commits it."""
    executed: tuple[RequestName, ...] | None = None
    """(client, number, session) of the requests that took effect in this block; without sessions the last is left
    out. None if that is not told."""
    state: bytes | None = None
    """A digest of the replicated state after this block, if there is one."""


class Submitted(Struct, frozen=True, gc=False, tag_field="type", tag="submitted"):
    """A client sent a request to validators."""

    at: float
    """In seconds since the start of the run."""
    client: str
    """The client's name."""
    number: int
    """The client's own number for the request."""
    size: int
    """Of its operations, in bytes."""
    attempt: int = 1
    """For the how-manieth time it is sent, from 1."""
    message: int = 0
    """The number of the message, by which its Delivered and Dropped name it."""
    to: tuple[str, ...] = ()
    """The nodes that it was sent to."""
    detail: Any = None
    """The protocol's own value."""
    session: bytes = b""
    """Of the client, where a protocol has sessions."""


class Replied(Struct, frozen=True, gc=False, tag_field="type", tag="replied"):
    """A node sent a reply to a client."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    client: str
    """The client's name."""
    number: int
    """The client's own number for the request."""
    status: str
    """`ok`, or why the request was refused: `stale`."""
    message: int = 0
    """The number of the message, by which its Delivered and Dropped name it."""
    detail: Any = None
    """The protocol's own value."""
    session: bytes = b""
    """Of the client, where a protocol has sessions."""


class Accepted(Struct, frozen=True, gc=False, tag_field="type", tag="accepted"):
    """A client has f + 1 equal replies."""

    at: float
    """In seconds since the start of the run."""
    client: str
    """The client's name."""
    number: int
    """The client's own number for the request."""
    status: str
    """`ok`, or why it was refused."""
    latency_s: float
    """Since it was first sent, in seconds."""
    session: bytes = b""
    """Of the client, where a protocol has sessions."""


class WorkloadEnded(Struct, frozen=True, gc=False, tag_field="type", tag="workload_ended"):
    """A client's workload is complete, or timed out."""

    at: float
    """In seconds since the start of the run."""
    client: str
    """The client's name."""
    completed: bool
    """Whether all its requests were accepted."""


class Crashed(Struct, frozen=True, gc=False, tag_field="type", tag="crashed"):
    """A node stopped and lost all but what it had persisted."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""


class Restarted(Struct, frozen=True, gc=False, tag_field="type", tag="restarted"):
    """A crashed node runs again from what it had persisted."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""


class Paused(Struct, frozen=True, gc=False, tag_field="type", tag="paused"):
    """A node stands still (its messages wait)."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""


class Resumed(Struct, frozen=True, gc=False, tag_field="type", tag="resumed"):
    """A paused node goes on."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""


class Partitioned(Struct, frozen=True, gc=False, tag_field="type", tag="partitioned"):
    """From now on (or, with `round`, for the messages of that round) nodes hear only those of their set.

    A node in no set hears nobody. One set of all nodes: the network is whole.
    """

    at: float
    """In seconds since the start of the run."""
    sets: tuple[tuple[str, ...], ...]
    """Names of nodes."""
    round: int | None = None
    """The round, if it is for the messages of one round."""


class Synchronous(Struct, frozen=True, gc=False, tag_field="type", tag="synchronous"):
    """From now on (GST) every correct node runs, and each message between correct nodes arrives within `delta_s`.

    That holds until a record tells of a new fault. It is the driver's promise, which liveness is judged on.
    """

    at: float
    """In seconds since the start of the run."""
    delta_s: float
    """In seconds."""


class PeerConnected(Struct, frozen=True, gc=False, tag_field="type", tag="peer_connected"):
    """A node was told that it can reach a peer (again)."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    peer: str
    """The name of that node."""


class BlocksRead(Struct, frozen=True, gc=False, tag_field="type", tag="blocks_read"):
    """A node read `count` committed blocks from its storage, to answer validator `peer`."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    peer: int
    """The replica that asked."""
    count: int
    """How many."""


class SetAttribute(Struct, frozen=True, gc=False, tag_field="type", tag="set_attribute"):
    """Failure injection changed a node's state: it is Byzantine from here on."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    attribute: str
    """What was changed."""
    value: int
    """Its new value."""


class Evidence(Struct, frozen=True, gc=False, tag_field="type", tag="evidence"):
    """A node reports what it saw."""

    at: float
    """In seconds since the start of the run."""
    node: str
    """The node's name."""
    kind: str
    """`equivocation` (of a culprit), `divergence` (its state differs from a certified one) or `unrecoverable` (it does
    not run again because its storage contradicts itself)."""
    culprit: int | None
    """The replica that is to blame."""
    messages: tuple[Message, ...] = ()
    """What shows it."""
    certificate: Certificate | None = None
    """For `divergence`: the one that certifies another state."""
    detail: str = ""
    """For `unrecoverable`: what contradicts what."""


class Violated(Struct, frozen=True, gc=False, tag_field="type", tag="violated"):
    """A property does not hold."""

    at: float
    """In seconds since the start of the run."""
    property: str
    """Its name."""
    detail: str
    """What was seen, in one sentence."""
    nodes: tuple[str, ...] = ()
    """The nodes that it was seen at."""
    round: int | None = None
    """The round that it was seen in."""
    certificates: tuple[Certificate, ...] = ()
    """Certificates that show it."""
    signed: tuple[Message, ...] = ()
    """Votes and timeouts that show it."""


class Ended(Struct, frozen=True, tag_field="type", tag="ended"):
    """The last record: the verdict."""

    at: float
    """In seconds since the start of the run."""
    passed: bool
    """Whether all was as it should be."""
    reasons: tuple[str, ...] = ()
    """Why not."""
    figures: dict[str, Any] = {}
    """What was measured, by name."""


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
