"""What a trace says of blocks, certificates and messages, in the terms of no protocol in particular.

On disk they are JSON objects with the fields' names; a field that has its default is left out, and bytes are base64.
Replicas are identities: numbers from 0 on, which several nodes (twins) may share. Rounds only grow, gaps allowed;
genesis has round 0.

`detail` is the protocol's own value, with signatures and whatever else it has. Nothing but the protocol's own code
looks into it. In memory it is the value itself, as read from a file what JSON makes of it (lists, so that the value
around it has no hash). It stands once, in the outermost value: where a message or a block has a detail, what is inside
it (blocks, certificates) has none of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

KINDS = ("proposal", "vote", "timeout", "answer", "request", "blocks", "relay")
"""Kinds of messages: see `Message.kind`."""


class RequestName(NamedTuple):
    """What names a request."""

    client: str
    number: int
    """The client's own, in this session."""
    session: bytes = b""
    """Of the client, where a protocol has sessions: a client may have several, each with numbers of its own."""


class Certificate(Struct, frozen=True, gc=False, omit_defaults=True):
    """A quorum voted for a block, or gave a round up."""

    round: int
    """Of the certified block, or the one that was given up; 0 for genesis, which nobody signs."""
    block: bytes | None
    """The id of the certified block; None if a round was given up."""
    signers: tuple[int, ...]
    """The replicas that signed it, sorted; one that is named twice signed twice."""
    phase: str = ""
    """Of the votes in it, where a protocol votes more than once in a round."""
    parent: bytes | None = None
    """The id of the certified block's parent, if the certificate tells it."""
    parent_round: int | None = None
    """The round of that parent."""
    commits: bytes | None = None
    """The id of the newest block that this certificate commits, if it commits any."""
    high_rounds: tuple[int, ...] = ()
    """Of a round that was given up: the highest certified round that each of the `signers` told, in their order."""
    detail: Any = None
    """The protocol's own value."""


class Block(Struct, frozen=True, gc=False, omit_defaults=True):
    """A proposed block."""

    id: bytes
    """Names it: different blocks have different ids."""
    round: int
    """The round that it was proposed in."""
    parent: bytes
    """The id of the block that it extends."""
    parent_round: int
    """The round of the block that it extends."""
    author: int
    """The replica that proposed it."""
    certificate: Certificate | None = None
    """That of the parent, if it is in the block."""
    requests: tuple[RequestName, ...] = ()
    """(client, number, session) of the requests that it would execute, in their order; without sessions the last is
    left out."""
    detail: Any = None
    """The protocol's own value."""


class Vote(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a vote says."""

    round: int
    """The round that it is cast in."""
    block: bytes | None
    """The id of the block; None for a vote for none."""
    parent: bytes
    """The id of the block's parent."""
    parent_round: int
    """The round of the block's parent."""
    content: bytes
    """What the signature covers, or a digest of it: two votes that differ in it are different votes."""
    phase: str = ""
    """Where a protocol votes more than once in a round: which of these votes it is. A correct node signs one in each
    round and phase."""


class Timeout(Struct, frozen=True, gc=False):
    """What a timeout says: its sender gives up on a round."""

    round: int
    """The round that is given up."""
    high_round: int
    """The round of the highest certificate of a block that the sender says it knows."""


class Message(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a message says."""

    kind: str
    """`proposal`, `vote`, `timeout` (gives a round up), `answer` (tells a peer that is behind), `request` (asks for
    blocks), `blocks` (brings them) or `relay` (passes clients' requests on)."""
    round: int
    """Of the proposal, vote or timeout; of a request or relay, that of the sender; of an answer or blocks, that of what
    they answer."""
    vote: Vote | None = None
    """The vote in it."""
    timeout: Timeout | None = None
    """The timeout in it."""
    blocks: tuple[Block, ...] = ()
    """The blocks in it, oldest first; those of a proposal are what it proposes."""
    certificates: tuple[Certificate, ...] = ()
    """The certificates in it but for those inside `blocks`."""
    detail: Any = None
    """The protocol's own value."""
    sender: int | None = None
    """The replica that signed it, if the message names one; a faulty node may name another than itself."""
