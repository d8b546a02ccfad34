"""Executes each client's request once, whatever the application: the window of executed requests.

Part of the ledger's state is, per session of a client: the replies to its requests by number, bounded to a
window of so many, and the *floor*, below which numbers are forgotten. A request whose number is

- in the window is a duplicate: a no-op, answered from the window. If two requests come under one number, the first in
  chain order has won, and the reply names its digest;
- below the floor is refused as stale: it may have been executed, so it must not be executed (again);
- anything else is new: the application executes its operations in their order, and its reply enters the window. When
  the window is over its size, the lowest number leaves it and the floor rises above that number.

Requests of other kinds than ordinary ones are no-ops. Different sessions of a client know nothing of one another.

So a client loses no request as long as each that is not executed yet is less than `window` below its highest number, in
whatever order they arrive.

The root of the state is a digest chained over the replies of all executed requests, which name the operations by their
digests. It depends on nothing else: not on how requests are cut into blocks, nor on duplicates and stale requests.
Since everything is deterministic, equal roots mean equal histories and thus equal states; and a block without new
requests costs nothing.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Generic, TypeAlias

import msgspec
from immutables import Map
from msgspec import Struct
from typing_extensions import override

from diembft.consensus.state_machine import Execution, StateMachine
from diembft.ledger.application import Application, S
from diembft.messages.digests import DIGEST_SIZE, operations_digest
from diembft.messages.types import OK, STALE, Block, Reply, Request, RequestKind

DEFAULT_WINDOW = 512
"""How many replies are remembered per session, unless said otherwise."""

_DENSE = 64
"""How many numbers are looked up one by one for the lowest of a window before all of them are compared."""

_encode = msgspec.msgpack.Encoder().encode


SessionKey: TypeAlias = tuple[str, bytes]
"""A client and one of its sessions."""


class Session(Struct, frozen=True, gc=False):
    """What the ledger remembers of one session. Numbers in `replies` are all >= `floor`."""

    floor: int
    replies: Map[int, Reply]


class LedgerState(Struct, Generic[S], frozen=True, gc=False):
    """The ledger's state: immutable, sharing structure with the states that it came from."""

    application: S
    sessions: Map[SessionKey, Session]
    root: bytes


class Sessions(StateMachine, Generic[S]):
    """A `diembft.consensus.state_machine.StateMachine` made of an application.

    `window`: how many replies are remembered per session, at least 1. All replicas of a system must use the same.
    """

    __slots__ = ("application", "window")

    def __init__(self, application: Application[S], window: int = DEFAULT_WINDOW) -> None:
        assert window >= 1, "because a request's duplicates in its own block must be recognised"
        self.application = application
        self.window = window

    @override
    def genesis(self) -> LedgerState[S]:
        return LedgerState(self.application.genesis(), Map(), _digest(b""))

    @override
    def execute(self, ledger: LedgerState[S], block: Block) -> Execution:
        """The result of a stale request is a reply that says so; that of a duplicate is None."""
        payload = block.payload
        if not payload:
            return Execution(ledger, ledger.root, ())
        state, root = ledger.application, ledger.root
        sessions: dict[SessionKey, Session] = {}
        results: list[Reply | None] = []
        for request in payload:
            if request.kind is not RequestKind.ORDINARY:
                results.append(None)
                continue
            key, number = (request.client, request.session), request.number
            session = sessions.get(key) or ledger.sessions.get(key) or _NO_SESSION
            if number < session.floor:
                results.append(_stale(request))
            elif number in session.replies:
                results.append(None)
            else:
                outcomes: list[bytes] = []
                for operation in request.operations:
                    state, outcome = self.application.apply(state, operation)
                    outcomes.append(outcome)
                digest = operations_digest(request.operations)
                reply = Reply(request.client, request.session, number, digest, OK, tuple(outcomes))
                root = _digest(root + _encode(reply))
                sessions[key] = self.trimmed(Session(session.floor, session.replies.set(number, reply)))
                results.append(reply)
        if not sessions:
            return Execution(ledger, ledger.root, tuple(results))
        return Execution(LedgerState(state, ledger.sessions.update(sessions), root), root, tuple(results))

    @override
    def answer(self, ledger: LedgerState[S], request: Request) -> Reply | None:
        session = ledger.sessions.get((request.client, request.session))
        if session is None:
            return None
        return _stale(request) if request.number < session.floor else session.replies.get(request.number)

    def trimmed(self, session: Session) -> Session:
        """The session with at most `window` replies: the rule of forgetting: what is forgotten is stale."""
        replies, floor = session.replies, session.floor
        while len(replies) > self.window:
            lowest = _lowest(replies, floor)
            replies, floor = replies.delete(lowest), lowest + 1
        return session if replies is session.replies else Session(floor, replies)


_NO_SESSION = Session(0, Map())


def _stale(request: Request) -> Reply:
    return Reply(request.client, request.session, request.number, operations_digest(request.operations), STALE, ())


def _lowest(replies: Map[int, Reply], floor: int) -> int:
    """The lowest number. It is next to the floor, unless the client leaves gaps between its numbers."""
    for number in range(floor, floor + _DENSE):
        if number in replies:
            return number
    return min(replies)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST_SIZE, person=b"diembft-ledger").digest()
