"""Carrying effects out: every kind reaches its method, and slow writes keep the order whatever the disk does.

What drivers make of it is in `contract`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Ignored,
    Persist,
    ReadBlocks,
    Reason,
    Rejected,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import Timer
from diembft.host.outlet import InOrder, Outlet, carry_out
from diembft.messages.types import Relay
from tests.making import reply_to
from tests.simulation.chains import GENESIS, chain, persist

REPLY = reply_to("client0", 0, b"op", b"")
EFFECTS: dict[str, Any] = {
    "persist": persist([], []),
    "commit": Commit(1, chain(1)[0], GENESIS.qc, b"state", ()),
    "send": Send(1, Relay(1, ())),
    "broadcast": Broadcast(Relay(2, ())),
    "set_timer": SetTimer(Timer.ROUND, 1.0, 1),
    "cancel_timer": CancelTimer(Timer.ROUND),
    "reply": SendReply(REPLY),
    "read_blocks": ReadBlocks(1, 1, b"", 1, 1),
    "report": Divergence(b"", b"", None),
    "note": Rejected(Reason.STALE),
}
NOT_HELD_BACK = ("set_timer", "cancel_timer", "note")
"""Nobody outside sees these."""


class Log(Outlet):
    """Writes down what reaches it."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int, Any]] = []
        for name in EFFECTS:
            setattr(self, name, lambda node, effect, name=name: self.log.append((name, node, effect)))

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.log]


def test_every_kind_reaches_its_method_in_order() -> None:
    outlet = Log()
    more = (Ignored(Reason.STALE), Equivocation(1, Relay(1, ()), Relay(2, ())))
    carry_out(outlet, 3, [*EFFECTS.values(), *more])
    assert outlet.log == [
        *[(name, 3, effect) for name, effect in EFFECTS.items()],
        ("note", 3, more[0]),
        ("report", 3, more[1]),
    ]


def test_every_effect_of_the_core_is_among_them() -> None:
    kinds = {getattr(kind, "__origin__", kind) for kind in get_args(Effect)}
    assert kinds == {type(effect) for effect in EFFECTS.values()} | {Ignored, Equivocation}


def test_what_the_outside_could_see_waits_and_nothing_else() -> None:
    outlet, writes = Log(), list[Callable[[], None]]()
    front = InOrder(outlet, lambda node, effect, done: writes.append(done))
    carry_out(front, 0, list(EFFECTS.values()))
    assert outlet.names == list(NOT_HELD_BACK)
    writes.pop()()
    assert outlet.names[len(NOT_HELD_BACK) :] == [
        name for name in EFFECTS if name not in ("persist", *NOT_HELD_BACK)
    ], "the write itself is the disk's"


def test_with_writes_that_are_done_at_once_nothing_waits() -> None:
    outlet = Log()
    front = InOrder(outlet, lambda node, effect, done: done())
    carry_out(front, 0, list(EFFECTS.values()))
    assert outlet.names == [name for name in EFFECTS if name != "persist"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_long_queue_of_writes_is_worked_off_in_order(at_once: bool) -> None:
    """The first write takes long; the disk finds that it has made the others with it."""
    outlet, writes = Log(), list[Callable[[], None]]()
    written: list[Persist] = []

    def write(node: int, effect: Any, done: Callable[[], None]) -> None:
        written.append(effect)
        if at_once and len(written) > 1:
            done()
        else:
            writes.append(done)

    front = InOrder(outlet, write)
    effects = [persist([], [], vote_round=number) for number in range(3000)]
    for number, effect in enumerate(effects):
        carry_out(front, 0, [effect, Send(1, Relay(number, ()))])
    assert outlet.log == []
    while writes:
        writes.pop()()
    assert written == effects
    assert [effect.message.round for _, _, effect in outlet.log] == list(range(3000))
    carry_out(front, 0, [EFFECTS["send"]])
    assert len(outlet.log) == 3001, "nothing is under way"


def test_what_an_effect_brings_about_at_once_comes_after_what_waits() -> None:
    """Among it a write: nothing overtakes it either."""
    outlet, writes = Log(), list[Callable[[], None]]()
    front = InOrder(outlet, lambda node, effect, done: writes.append(done))

    def answered(node: int, effect: Any) -> None:
        outlet.log.append(("reply", node, effect))
        carry_out(front, 0, [EFFECTS["persist"], EFFECTS["broadcast"]])

    outlet.reply = answered  # type: ignore[method-assign]
    carry_out(front, 0, [EFFECTS["persist"], EFFECTS["reply"], EFFECTS["send"]])
    writes.pop()()
    assert outlet.names == ["reply", "send"]
    writes.pop()()
    assert outlet.names == ["reply", "send", "broadcast"]


def test_a_crash_while_effects_are_carried_out_ends_them() -> None:
    outlet, writes = Log(), list[Callable[[], None]]()
    front = InOrder(outlet, lambda node, effect, done: writes.append(done))
    outlet.reply = lambda node, effect: front.crashed(node)  # type: ignore[method-assign]
    carry_out(front, 0, [EFFECTS["persist"], EFFECTS["reply"], EFFECTS["send"]])
    writes.pop()()
    assert outlet.names == []
    carry_out(front, 0, [EFFECTS["send"]])
    assert outlet.names == ["send"]


@pytest.mark.parametrize("name", ["persist", "commit", "send", "broadcast", "set_timer", "cancel_timer"])
def test_a_driver_must_say_what_becomes_of_it(name: str) -> None:
    with pytest.raises(NotImplementedError):
        carry_out(Outlet(), 0, [EFFECTS[name]])


def test_the_rest_is_the_drivers_choice() -> None:
    carry_out(Outlet(), 0, [EFFECTS[name] for name in ("reply", "read_blocks", "report", "note")])
    Outlet().crashed(0)
