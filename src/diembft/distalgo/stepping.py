"""Stepping a replica that runs in another process: events and effects as bytes, and what stands for it here.

The executor of Twins asks a node for one step at a time and waits for its effects, so an execution is the same on
DistAlgo as anywhere else, whatever the processes and the network between them do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast, get_args

import msgspec
from typing_extensions import override

from diembft.consensus.effects import Effect
from diembft.consensus.events import Event
from diembft.consensus.recovery import Recovered
from diembft.consensus.replica import Replica
from diembft.protocols.diembft.system import DiemBftSystem

_KINDS: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in (*get_args(Event), *get_args(Effect))}
_named: Final = msgspec.msgpack.Decoder(tuple[tuple[str, msgspec.Raw], ...])
_recovered: Final = msgspec.msgpack.Decoder(Recovered)
_decoders: Final = {name: msgspec.msgpack.Decoder(kind) for name, kind in _KINDS.items()}
_encoder: Final = msgspec.msgpack.Encoder()


def encode(values: Sequence[Event | Effect]) -> bytes:
    """Events or effects as bytes."""
    return _encoder.encode([(type(value).__name__, value) for value in values])


def decode_event(data: bytes) -> Event:
    """The one event in these bytes."""
    ((name, raw),) = _named.decode(data)
    return cast(Event, _decoders[name].decode(raw))


def decode_effects(data: bytes) -> list[Effect]:
    """The effects in these bytes, in their order."""
    return [cast(Effect, _decoders[name].decode(raw)) for name, raw in _named.decode(data)]


def encode_recovered(recovered: Recovered | None) -> bytes:
    """What a node restarts from."""
    return b"" if recovered is None else _encoder.encode(recovered)


def decode_recovered(data: bytes) -> Recovered | None:
    """What a node restarts from."""
    return _recovered.decode(data) if data else None


class Answer(NamedTuple):
    """What a node says after a step."""

    round: int
    """The round that it is in."""
    effects: bytes


Ask: TypeAlias = Callable[[int, str, bytes], Answer]
"""Asks node i to `restart` from what it had persisted, or to `step`; waits for the answer."""


class RemoteNode:
    """Stands for a replica in another process, as far as an executor needs one."""

    def __init__(self, node: int, ask: Ask) -> None:
        self.current_round = 0
        self._node = node
        self._ask = ask

    def step(self, event: Event) -> list[Effect]:
        """Let the node handle an event, there; the effects to carry out, in their order."""
        answer = self._ask(self._node, "step", encode([event]))
        self.current_round = answer.round
        return decode_effects(answer.effects)


class RemoteSystem(DiemBftSystem):
    """A system whose nodes run in other processes."""

    def __init__(self, local: DiemBftSystem, ask: Ask) -> None:
        # What a system has beside its nodes is shared with the one that judges; no replicas are made here.
        self.__dict__.update(local.__dict__)
        self._ask = ask

    @override
    def node(self, node: int, recovered: Recovered | None = None) -> Replica:
        self._ask(node, "restart", encode_recovered(recovered))
        # An executor that knows its whole script and has no observer uses `step` and the round alone.
        return cast(Replica, RemoteNode(node, self._ask))
