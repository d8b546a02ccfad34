"""The client: signs requests, sends them as its workload says, and believes what f + 1 validators say alike.

One of any f + 1 distinct validators is correct, and a correct one replies once the request is committed and durable. So
f + 1 replies with the same content are the truth, whatever f Byzantine validators say. A validator counts once for a
request, with the last reply that it gave.

No clock, no I/O, no randomness: the jitter of retransmissions is computed from a seed. What is kept is bounded by the
open requests, with at most one reply of each validator.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeAlias, assert_never

from msgspec import Struct, structs

from diembft.client.events import (
    Accepted,
    CancelTimer,
    ClientEffect,
    ClientEvent,
    Ended,
    ReplyReceived,
    SetTimer,
    Started,
    Submit,
    Timer,
    TimerFired,
)
from diembft.client.requests import session_of, signed_request
from diembft.consensus.config import max_faulty
from diembft.crypto.interface import Signer
from diembft.errors import SHORTEST_S, require, require_factor, require_types
from diembft.messages.digests import Digests, operations_digest
from diembft.messages.types import OK, Reply, Request

MOST_WAIT_S = 1e12
"""The longest wait of a client, in seconds."""

MOST_GROWTH = 1000.0
"""The largest factor on a wait."""


class Retransmit(Struct, frozen=True, tag=True):
    """One request at a time; it is sent again until it is accepted, then the next.

    The n-th wait is `first_wait_s * growth ** (n - 1)` seconds, at most `max_wait_s`, plus a part of it that is drawn
    from 0 to `jitter`, so that clients do not stay in step.
    """

    first_wait_s: float
    max_wait_s: float = 60.0
    growth: float = 2.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        require_types(self)
        require_factor(self.max_wait_s, "Retransmit.max_wait_s", SHORTEST_S, MOST_WAIT_S)
        right = f"is not between {SHORTEST_S:g} and max_wait_s: a wait of no time would send for ever at one moment"
        require(SHORTEST_S <= self.first_wait_s <= self.max_wait_s, "Retransmit.first_wait_s", self.first_wait_s, right)
        require_factor(self.growth, "Retransmit.growth", 1, MOST_GROWTH)
        require_factor(self.jitter, "Retransmit.jitter", 0, MOST_GROWTH)


class Flood(Struct, frozen=True, tag=True):
    """All requests at once; nothing is sent again."""


class Timed(Struct, frozen=True, tag=True):
    """Request i, then a pause of `pauses_s[i]` seconds, then the next, accepted or not; nothing is sent again."""

    pauses_s: tuple[float, ...]

    def __post_init__(self) -> None:
        require_types(self)
        for pause_s in self.pauses_s:
            require_factor(pause_s, "Timed.pauses_s", 0, MOST_WAIT_S)


Workload: TypeAlias = Retransmit | Flood | Timed


class ClientConfig(Struct, frozen=True, kw_only=True):
    """What one client is and does."""

    client: str
    """Its name, under which the validators know its key."""
    n: int
    """Number of validators."""
    workload: Workload
    count: int
    """How many requests it sends, numbered from 0."""
    timeout_s: float
    """Seconds from its start until all of them must have been accepted."""
    seed: int | float | str = 0
    """For the jitter, and the session unless one is given; the name of the client is mixed in."""
    session: bytes | None = None
    """16 bytes that no other run of the client uses."""

    def __post_init__(self) -> None:
        assert self.n >= 1, "because a system has at least one validator"
        assert self.count >= 0, "because it says how many requests there are"
        if isinstance(self.workload, Timed):
            assert len(self.workload.pauses_s) == max(self.count - 1, 0), "because a pause lies between two requests"


class _Open(Struct, frozen=True, gc=False):
    """A request that is not accepted yet, with the last reply of each validator that gave one."""

    request: Request
    attempt: int
    replies: tuple[tuple[int, Reply], ...] = ()


class Client:
    """One client with its workload.

    `operation` gives the operation of each request by its number; it must be a pure function. `signer` holds the
    client's key, `digests` are those of the system's chain and epoch.
    """

    __slots__ = (
        "_accepted",
        "_digests",
        "_ended",
        "_executed",
        "_open",
        "_operation",
        "_sent",
        "_session",
        "_signer",
        "config",
    )

    def __init__(
        self, config: ClientConfig, signer: Signer, digests: Digests, operation: Callable[[int], bytes]
    ) -> None:
        self.config = config
        self._session = config.session or session_of(config.client, config.seed)
        self._signer = signer
        self._digests = digests
        self._operation = operation
        self._sent = 0
        self._accepted = 0
        self._executed = 0
        self._ended = False
        self._open: dict[int, _Open] = {}

    @property
    def executed(self) -> int:
        """How many requests were accepted as executed so far."""
        return self._executed

    @property
    def ended(self) -> bool:
        """Whether Ended was said."""
        return self._ended

    def fork(self) -> Client:
        """An independent copy."""
        copy = Client(self.config, self._signer, self._digests, self._operation)
        copy._sent = self._sent
        copy._accepted = self._accepted
        copy._executed = self._executed
        copy._ended = self._ended
        copy._open = self._open.copy()
        return copy

    def step(self, event: ClientEvent) -> list[ClientEffect]:
        """What follows from an event. A wrong or useless reply gives nothing."""
        if self._ended:
            return []
        match event:
            case Started():
                return self._started()
            case ReplyReceived(replica, reply):
                return self._reply_received(replica, reply)
            case TimerFired(Timer.RETRY, number):
                return self._submit_again(number)
            case TimerFired(Timer.PAUSE, _):
                return self._submit_next()
            case TimerFired(Timer.DEADLINE, _):
                return self._end(False)
            case _ as unreachable:
                # Mypy does not narrow a class by the values of its fields.
                assert_never(unreachable)  # type: ignore[arg-type]

    def _started(self) -> list[ClientEffect]:
        assert self._sent == 0, "because a client starts once"
        if self.config.count == 0:
            return [Ended(completed=True)]
        effects: list[ClientEffect] = [SetTimer(Timer.DEADLINE, self.config.timeout_s, 0)]
        at_once = self.config.count if isinstance(self.config.workload, Flood) else 1
        for _ in range(at_once):
            effects += self._submit_next()
        return effects

    def _submit_next(self) -> list[ClientEffect]:
        """Send the next request, and wait as the workload says."""
        number, operation = self._sent, self._operation(self._sent)
        request = signed_request(self._signer, self._digests, self.config.client, self._session, number, (operation,))
        self._sent += 1
        self._open[number] = _Open(request, 1)
        effects: list[ClientEffect] = [Submit(request, 1)]
        match self.config.workload:
            case Retransmit() as workload:
                effects.append(SetTimer(Timer.RETRY, self._wait_s(workload, number, 1), number))
            case Timed(pauses_s):
                if number < len(pauses_s):
                    effects.append(SetTimer(Timer.PAUSE, pauses_s[number], number))
            case Flood():
                pass
            case _ as unreachable:
                assert_never(unreachable)
        return effects

    def _submit_again(self, number: int) -> list[ClientEffect]:
        workload = self.config.workload
        assert isinstance(workload, Retransmit), "because only this workload sets the timer"
        assert number in self._open, "because the timer of an accepted request was replaced or cancelled"
        waiting = self._open[number]
        attempt = waiting.attempt + 1
        self._open[number] = structs.replace(waiting, attempt=attempt)
        return [
            Submit(waiting.request, attempt),
            SetTimer(Timer.RETRY, self._wait_s(workload, number, attempt), number),
        ]

    def _wait_s(self, workload: Retransmit, number: int, attempt: int) -> float:
        """How long to wait for replies to this attempt, in seconds."""
        wait_s = workload.first_wait_s
        for _ in range(attempt - 1):
            if wait_s >= workload.max_wait_s:
                break
            wait_s *= workload.growth
        drawn = blake2b(f"{self.config.seed}/{self.config.client}/{number}/{attempt}".encode(), digest_size=8).digest()
        part = int.from_bytes(drawn, "big") / (1 << 64)
        return min(wait_s, workload.max_wait_s) * (1 + workload.jitter * part)

    def _reply_received(self, replica: int, reply: Reply) -> list[ClientEffect]:
        waiting = self._open.get(reply.number)
        if waiting is None or not self._is_mine(reply) or not 0 <= replica < self.config.n:
            return []
        replies = (*(pair for pair in waiting.replies if pair[0] != replica), (replica, reply))
        equal = [other for other, its_reply in replies if its_reply == reply]
        if len(equal) <= max_faulty(self.config.n):
            self._open[reply.number] = structs.replace(waiting, replies=replies)
            return []
        del self._open[reply.number]
        executed = reply.status == OK and reply.operations_digest == operations_digest(waiting.request.operations)
        self._accepted += 1
        self._executed += executed
        effects: list[ClientEffect] = [Accepted(reply.number, reply, tuple(sorted(equal)), executed)]
        if self._accepted == self.config.count:
            return effects + self._end(self._executed == self._accepted)
        if isinstance(self.config.workload, Retransmit):
            effects += self._submit_next()
        return effects

    def _is_mine(self, reply: Reply) -> bool:
        return reply.client == self.config.client and reply.session == self._session

    def _end(self, completed: bool) -> list[ClientEffect]:
        self._ended = True
        self._open = {}
        return [*(CancelTimer(timer) for timer in Timer), Ended(completed)]
