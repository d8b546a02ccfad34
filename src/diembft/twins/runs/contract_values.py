"""What of the values that a protocol gives is not as the interface has it: effects, messages, blocks, certificates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct

from diembft.errors import in_one_line
from diembft.machine.effects import EFFECTS, Broadcast, CancelTimer, Commit, Send, SetTimer
from diembft.machine.events import Received, Started, Timer, TimerFired
from diembft.protocols.cast import Cast
from diembft.protocols.interface import (
    BLOCKS,
    LATE_REQUEST,
    NOBODY,
    PROPOSAL,
    TIMEOUT,
    VOTE,
    Certificate,
    Link,
    Told,
    UnderTest,
    Vote,
)
from diembft.protocols.interface import Timeout as TimeoutTold
from diembft.twins.runs.steps import StepFailed, guarded

A = TypeVar("A")
R = TypeVar("R")

KINDS = tuple([kind for kind in range(BLOCKS + 1) if kind != LATE_REQUEST])
"""Of messages, as a protocol tells them."""

_EVENTS = (Started, Received, TimerFired)


class Flaw(NamedTuple):
    """Something that does not hold of a protocol."""

    rule: str
    """By its name in `contract.RULES`."""
    what: str


class _Broken(Exception):
    """Nothing more can be said of a value."""

    def __init__(self, what: str, rule: str) -> None:
        super().__init__(what)
        self.flaw = Flaw(rule, what)


class Values:
    """Looks at the values of one protocol, each message and block once."""

    def __init__(self, protocol: UnderTest, cast: Cast) -> None:
        self.protocol = protocol
        self.reading = protocol.reading
        self.cast = cast
        self.messages: dict[Any, int] = {}
        """Those that are as they should be, and their kinds."""
        self.blocks: dict[bytes, Any] = {}
        self.certificates: dict[Any, None] = {}
        self.flaws: dict[tuple[str, str], Flaw] = {}
        """One of each kind, by rule and by what is said but for the step in which it is seen."""

    def sound(self, effect: Any, by: str) -> bool:
        """Whether an effect is as it should be; `by` says of which step."""
        try:
            self._effect(effect, by)
        except _Broken as broken:
            rule, what = broken.flaw
            kind = what.partition(":")[0] if what.startswith("reading.") else what.replace(by, "")
            self.flaws.setdefault((rule, kind), broken.flaw)
            return False
        return True

    def _effect(self, effect: Any, by: str) -> None:
        kind = EFFECTS[type(effect)]
        name = type(effect).__name__
        if kind is Send or kind is Broadcast:
            if kind is Send:
                whole = isinstance(effect.to, int) and NOBODY <= effect.to < self.cast.n
                _require(whole, f"{by} sends to {in_one_line(effect.to)}, which is no replica", "effects")
            self._message(effect.message, by)
        elif kind is SetTimer:
            delay_s = effect.delay_s
            _require(isinstance(effect.timer, Timer), f"{by} sets {in_one_line(effect.timer)}, no Timer", "effects")
            right = isinstance(delay_s, (int, float)) and math.isfinite(delay_s) and delay_s >= 0
            _require(right, f"{by} sets a timer to {in_one_line(delay_s)} seconds", "effects")
            _require(
                isinstance(effect.round, int), f"{by} sets a timer of round {in_one_line(effect.round)}", "effects"
            )
        elif kind is CancelTimer:
            _require(isinstance(effect.timer, Timer), f"{by} cancels {in_one_line(effect.timer)}, no Timer", "effects")
        elif kind is Commit:
            self._block(effect.block, by)
            self._certificate(effect.certificate, by)
        elif kind is None:
            is_message = type(effect) in self.protocol.kinds
            hint = ": Send or Broadcast it" if is_message else ""
            strange = is_message or type(effect).__module__ == "builtins" or isinstance(effect, _EVENTS)
            _require(not strange, f"{by} returns {_article(name)}, which is no effect{hint}", "effects")

    def _message(self, message: Any, by: str) -> None:
        name = type(message).__name__
        _ask("messages", f"{by} sends {_article(name)}, which cannot be hashed", hash, message)
        known = self.messages.get(message)
        if known is not None:
            return
        by_identity = getattr(type(message), "__eq__", None) is object.__eq__
        _require(not by_identity, f"{name} has no __eq__: messages are values, compared by what is in them", "messages")
        kind = self.protocol.kinds.get(type(message))
        _require(kind is not None, f"kinds: has no entry for {name}, which {by} sends", "messages")
        assert kind is not None, "because of the line above"
        round_ = _ask("messages", "round_of", self.protocol.round_of, message)
        whole = isinstance(round_, int) and round_ >= 0
        _require(whole, f"round_of: gives {in_one_line(round_)} for {_article(name)}, no round", "messages")
        told = _ask("reading", "reading.told", self.reading.told, message)
        _require(isinstance(told, Told), f"reading.told: gives {in_one_line(told)} for {_article(name)}, no Told")
        self._told(told, kind, name, by)
        self.messages[message] = kind

    def _told(self, told: Told, kind: int, name: str, by: str) -> None:
        needs: Mapping[int, tuple[str, Any, type]] = {
            VOTE: ("vote", told.vote, Vote),
            TIMEOUT: ("timeout", told.timeout, TimeoutTold),
        }
        if kind in needs:
            field, value, right = needs[kind]
            what = f"reading.told: tells no {field} of {_article(name)}, which by kinds is a {field.upper()}"
            _require(isinstance(value, right), what)
        if kind == PROPOSAL:
            _require(bool(told.blocks), f"reading.told: tells no blocks of {_article(name)}, by kinds a PROPOSAL")
        for block in told.blocks:
            self._block(block, by)
        for certificate in (*told.qcs, *told.tcs):
            self._certificate(certificate, by)

    def _block(self, block: Any, by: str) -> None:
        name = type(block).__name__
        id_: Any = getattr(block, "id", None)
        round_: Any = getattr(block, "round", None)
        _require(isinstance(id_, bytes), f"{name}.id: is {in_one_line(id_)}, no bytes ({by})", "blocks")
        _require(isinstance(round_, int), f"{name}.round: is {in_one_line(round_)}, no whole number ({by})", "blocks")
        if round_ == 0 or id_ in self.blocks:
            return
        link = _ask("blocks", "reading.link", self.reading.link, block)
        _require(isinstance(link, Link), f"reading.link: gives {in_one_line(link)}, no Link", "blocks")
        _require(isinstance(link.parent, bytes), "reading.link: its parent is no bytes", "blocks")
        same = link.round == round_
        _require(same, f"reading.link: says round {in_one_line(link.round)} of a block of round {round_}", "blocks")
        is_replica = isinstance(link.author, int) and 0 <= link.author < self.cast.n
        _require(is_replica, f"reading.link: its author {in_one_line(link.author)} is no replica", "blocks")
        earlier = isinstance(link.parent_round, int) and 0 <= link.parent_round < round_
        what = f"reading.link: the parent of a block of round {round_} is of round {in_one_line(link.parent_round)}"
        _require(earlier, what, "blocks")
        self._requests(block)
        self.blocks[id_] = block
        if link.certificate is not None:
            self._certificate(link.certificate, by)

    def _requests(self, block: Any) -> None:
        requests = _ask("blocks", "reading.requests", self.reading.requests, block)
        try:
            marker, _, _ = next(iter(requests))
        except (TypeError, ValueError, StopIteration):
            marker = None
        named = marker in self.cast.names
        what = f"reading.requests: gives {in_one_line(requests)}, not first (the name of a node, a number, a request)"
        _require(named, what, "blocks")

    def _certificate(self, certificate: Any, by: str) -> None:
        name = type(certificate).__name__
        _ask("certificates", f"{by} has {_article(name)}, which cannot be hashed", hash, certificate)
        if certificate in self.certificates:
            return
        says = _ask("certificates", "reading.certificate", self.reading.certificate, certificate)
        right = isinstance(says, Certificate)
        _require(right, f"reading.certificate: gives {in_one_line(says)}, no Certificate", "certificates")
        _require(
            isinstance(says.signers, Sequence)
            and all(isinstance(signer, int) and 0 <= signer < self.cast.n for signer in says.signers),
            f"reading.certificate: signers {in_one_line(says.signers)} are no replicas",
            "certificates",
        )
        whole = isinstance(says.round, int) and isinstance(says.block, (bytes, type(None)))
        _require(whole, f"reading.certificate: round or block of {in_one_line(says)} is wrong", "certificates")
        self.certificates[certificate] = None


def _require(holds: bool, what: str, rule: str = "reading") -> None:
    if not holds:
        raise _Broken(what, rule)


def _ask(rule: str, name: str, function: Callable[[A], R], argument: A) -> R:
    """What a function of the protocol gives. Raises _Broken with what it raises instead."""
    try:
        return guarded(type(argument).__name__, function, argument)
    except StepFailed as failure:
        raise _Broken(f"{name}: {failure.what}", rule) from None


def _article(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"


# --- the same value in another process


def digest(value: Any) -> bytes:
    """A digest of all that is in a value, the same in each process; sets and dicts have no order."""
    return _digest(value, {})


def _digest(value: Any, known: dict[int, bytes]) -> bytes:
    if id(value) in known:
        return known[id(value)]
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return _hashed([repr(value).encode()])
    known[id(value)] = b"above"
    parts = [type(value).__qualname__.encode()]
    match value:
        case Enum():
            parts.append(value.name.encode())
        case Mapping():
            parts += sorted([_digest(key, known) + _digest(held, known) for key, held in value.items()])
        case set() | frozenset():
            parts += sorted([_digest(held, known) for held in value])
        case tuple() | list():
            parts += [_digest(held, known) for held in value]
        case Struct():
            parts += [_digest(getattr(value, field), known) for field in value.__struct_fields__]
        case type():
            parts.append(value.__qualname__.encode())
        case _:
            parts += [_digest(held, known) for held in getattr(value, "__dict__", {}).values()]
    known[id(value)] = _hashed(parts)
    return known[id(value)]


def _hashed(parts: Sequence[bytes]) -> bytes:
    hashed = blake2b(digest_size=16)
    for part in parts:
        hashed.update(len(part).to_bytes(4, "big") + part)
    return hashed.digest()
