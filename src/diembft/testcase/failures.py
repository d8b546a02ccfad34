"""The fate of a message under the failure rules of a test case: the same rules for every driver.

How often each rule struck is counted, so that one that never did can be said.
A driver asks once for each message and destination. Most messages match nothing, so what can be known beforehand
is: the rules are sorted by message kind, the rounds in which a kind can be touched are bounded, and the rules that
fit a link are looked up once.
"""

import random
from collections.abc import Callable, Iterable
from typing import TypeAlias, assert_never

from msgspec import Struct

from diembft.testcase.case import (
    Attribute,
    DelayBy,
    FailureRule,
    Lose,
    Rounds,
    RuleEndpoint,
    SetsAttribute,
    Special,
)
from diembft.testcase.types import MsgType

CLIENT = -1
"""The index that a driver passes for a client, the sender of a request or the receiver of a reply."""

KINDS = tuple(kind.value for kind in MsgType if kind is not MsgType.Wildcard)
"""Every kind of message that a driver may ask about."""

_CLIENT_KINDS = (MsgType.Request.value, MsgType.Reply.value)
_NO_ROUND_LIMIT = 1 << 63  # rounds are below 2**62
_BELOW_ALL_ROUNDS = -1

LeaderOf = Callable[[int], int | None]
"""Who leads a round, as the driver knows it; None if that is unknown (then nobody matches `'leader'`)."""


class Fate(Struct, frozen=True, gc=False):
    """What happens to one message, beyond the network's ordinary delay."""

    lost: bool
    delay_s: float
    """Extra delay; 0 in nearly all cases."""
    sets: tuple[tuple[Attribute, int], ...]
    """Attributes to set in the sender, in this order, after it sent the message; lost or not. Not empty: the
    sender is Byzantine from now on."""


UNTOUCHED = Fate(lost=False, delay_s=0.0, sets=())
"""The fate of a message that no rule struck. Always this very object, so that `is` will do."""


class RuleCount(Struct, frozen=True):
    """How often a rule struck in a run."""

    rule: str
    """The failure as the file has it."""
    struck: int
    """How many messages it matched and did something to: to each receiver that a message has, it can do so once."""


def counted(rules: Iterable[FailureRule], struck: Iterable[int]) -> tuple[RuleCount, ...]:
    """The rules of a case with how often each of them struck."""
    return tuple([RuleCount(rule.written, times) for rule, times in zip(rules, struck, strict=True)])


class FailureRules:
    """The failure rules of one test case, ready to be asked.

    Answers depend on the arguments alone, and draw from the given generator in the order of the rules: one number
    for each rule that matches and is not certain, lost already or not. So the same seed and the same messages
    give the same fates.
    """

    __slots__ = ("_by_kind", "active", "struck")

    active: bool
    """Whether any message can be touched at all. If not, a driver need not ask."""
    struck: list[int]
    """Of each rule, in their order: how many messages it struck so far."""

    def __init__(self, rules: Iterable[FailureRule]) -> None:
        numbered = list(enumerate(rules))
        self.struck = [0] * len(numbered)
        self._by_kind = {}
        for kind in KINDS:
            applicable = tuple(
                (number, rule) for number, rule in numbered if rule.prob > 0 and _covers(rule.msg_type, kind)
            )
            bounds = [_round_bounds(rule.rounds) for _, rule in applicable]
            if bounds:
                first, last = min(low for low, _ in bounds), max(high for _, high in bounds)
                self._by_kind[kind] = _KindRules(first, last, applicable)
        self.active = bool(self._by_kind)

    def fate(self, src: int, dest: int, kind: str, round_: int, leader_of: LeaderOf, rng: random.Random) -> Fate:
        """What happens to one message from `src` to `dest`, indices of replicas or CLIENT.

        `kind` is one of KINDS. `round_` is the round that a proposal, vote or timeout carries, for the other kinds the
        sender's current round. A message to oneself is never lost or late, for it crosses no network, but it
        can set attributes.
        """
        rules = self._by_kind.get(kind)
        if rules is None or not rules.first <= round_ <= rules.last:
            return UNTOUCHED
        lost, delay_s, touched = False, 0.0, False
        sets: tuple[tuple[Attribute, int], ...] = ()
        for number, rule in rules.of_link(src, dest):
            if rule.rounds is not None and round_ not in rule.rounds:
                continue
            if rule.src is Special.LEADER and leader_of(round_) != src:
                continue
            if rule.dest is Special.LEADER and leader_of(_leader_round(kind, round_)) != dest:
                continue
            if rule.prob < 1 and rng.random() >= rule.prob:
                continue
            touched = True
            self.struck[number] += 1
            match rule.action:
                case Lose():
                    lost = True
                case DelayBy(delay_s=extra_s):
                    delay_s += extra_s
                case SetsAttribute(attribute=attribute, value=value):
                    sets = (*sets, (attribute, value))
                case _ as unreachable:
                    assert_never(unreachable)
        return Fate(lost, delay_s, sets) if touched else UNTOUCHED


_Numbered: TypeAlias = tuple[tuple[int, FailureRule], ...]
"""Rules, each with its place among all those of the case."""


class _KindRules:
    """The rules for one kind of message, and the rounds outside of which none of them can strike."""

    __slots__ = ("_links", "first", "last", "rules")

    def __init__(self, first: int, last: int, rules: _Numbered) -> None:
        self.first = first
        self.last = last
        self.rules = rules
        self._links: dict[tuple[int, int], _Numbered] = {}

    def of_link(self, src: int, dest: int) -> _Numbered:
        """The rules that can strike a message from `src` to `dest`, looked for once for each pair."""
        rules = self._links.get((src, dest))
        if rules is None:
            rules = self._links[src, dest] = tuple(
                (number, rule) for number, rule in self.rules if _fits(rule, src, dest)
            )
        return rules


def _covers(msg_type: MsgType, kind: str) -> bool:
    if msg_type is MsgType.Wildcard:
        return kind not in _CLIENT_KINDS
    return msg_type.value == kind


def _fits(rule: FailureRule, src: int, dest: int) -> bool:
    """Whether a rule can strike on a link, whoever leads."""
    if src == dest and not isinstance(rule.action, SetsAttribute):
        return False
    return _may_be(rule.src, src) and _may_be(rule.dest, dest)


def _may_be(endpoint: RuleEndpoint, replica: int) -> bool:
    if isinstance(endpoint, Special):
        return endpoint is Special.ANY or replica != CLIENT
    return endpoint == replica


def _leader_round(kind: str, round_: int) -> int:
    """Whose leader `'leader'` means as a destination: a vote goes to the leader of the next round."""
    return round_ + 1 if kind == MsgType.Vote.value else round_


def _round_bounds(rounds: Rounds | None) -> tuple[int, int]:
    """The lowest and the highest round there is; of no rounds at all, bounds that admit nothing."""
    match rounds:
        case None:
            return 0, _NO_ROUND_LIMIT
        case range() if rounds:  # which may be huge: only its ends are looked at
            return min(rounds[0], rounds[-1]), max(rounds[0], rounds[-1])
        case _:
            return min(rounds, default=_NO_ROUND_LIMIT), max(rounds, default=_BELOW_ALL_ROUNDS)
