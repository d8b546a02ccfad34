"""Carrying effects out: the same for every driver.

A driver is an `Outlet`: it says what becomes of each kind of effect. `carry_out` hands it the effects of one step in
their order, which is a promise of the core (docs/architecture.md, "The contract of effects"): first what must be
durable, then what tells of it. A driver whose writes take time puts an `InOrder` in front, and may go on with the next
step meanwhile.

One outlet serves all nodes of a driver, `node` being the one whose effect it is; a driver of one replica has no use for
it. The effects are those of `diembft.machine` as a protocol extends them, and those that DiemBFT has besides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import override

from diembft.consensus.effects import Divergence, Equivocation, Ignored, ReadBlocks, Rejected, SendReply
from diembft.machine.effects import EFFECTS, Broadcast, CancelTimer, Commit, Persist, Send, SetTimer


class Outlet:
    """What a driver does with effects. What is not overridden is of no concern to it."""

    def persist(self, node: int, effect: Any) -> None:
        """A `Persist` of the protocol: make it durable, as a whole, before this returns (or see `InOrder`)."""
        raise NotImplementedError

    def commit(self, node: int, effect: Any) -> None:
        """A `Commit` of the protocol: deliver the block. That it is committed is durable already."""
        raise NotImplementedError

    def send(self, node: int, effect: Send[Any]) -> None:
        """Send to all copies of one identity but the sender, which has handled its own already."""
        raise NotImplementedError

    def broadcast(self, node: int, effect: Broadcast[Any]) -> None:
        """Send to all but the sender."""
        raise NotImplementedError

    def set_timer(self, node: int, effect: SetTimer) -> None:
        """Start a timer anew: one of its kind that runs must not fire."""
        raise NotImplementedError

    def cancel_timer(self, node: int, effect: CancelTimer) -> None:
        """Stop a timer: it must not fire."""
        raise NotImplementedError

    def reply(self, node: int, effect: SendReply) -> None:
        """Answer a client."""

    def read_blocks(self, node: int, effect: ReadBlocks) -> None:
        """Read from storage, and hand the node a BlocksRead once the effects of this step are carried out, or later."""

    def report(self, node: int, effect: Equivocation | Divergence) -> None:
        """Evidence, for a log or an operator."""

    def note(self, node: int, effect: Any) -> None:
        """What asks for nothing: `Rejected`, `Ignored`, and whatever else a protocol tells."""

    def crashed(self, node: int) -> None:
        """The node is down: nothing of it that waits is carried out any more."""


def carry_out(outlet: Outlet, node: int, effects: Sequence[Any]) -> None:
    """Carry out the effects of one step of a node, in their order."""
    kinds = EFFECTS
    for effect in effects:
        # By the identity of the kind, the frequent ones first: a match costs several times as much.
        kind = kinds[type(effect)]
        if kind is Send:
            outlet.send(node, effect)
        elif kind is SetTimer:
            outlet.set_timer(node, effect)
        elif kind is Persist:
            outlet.persist(node, effect)
        elif kind is None:
            _carry_out_other(outlet, node, effect)
        elif kind is Commit:
            outlet.commit(node, effect)
        elif kind is Broadcast:
            outlet.broadcast(node, effect)
        else:
            outlet.cancel_timer(node, effect)


def _carry_out_other(outlet: Outlet, node: int, effect: Any) -> None:
    """What only DiemBFT has, or another protocol."""
    kind = type(effect)
    if kind is SendReply:
        outlet.reply(node, effect)
        return
    if kind is Ignored or kind is Rejected:
        outlet.note(node, effect)
        return
    match effect:
        case ReadBlocks():
            outlet.read_blocks(node, effect)
        case Equivocation() | Divergence():
            outlet.report(node, effect)
        case _:
            outlet.note(node, effect)


Write = Callable[[int, Persist, Callable[[], None]], None]
"""Begins to make something of a node durable; calls the function once it is, now or later, in the order of the calls
for one node. If it never will be, the node must be stopped: a failed write is not repeated."""


class _Waiting:
    """What waits for the write of a node that is under way."""

    __slots__ = ("effects", "released", "under_way")

    def __init__(self) -> None:
        self.effects: deque[Any] = deque()
        self.under_way = False
        self.released = False
        """Whether effects are being carried out."""


class InOrder(Outlet):
    """Lets a node go on while a write of its is under way: what the outside could see waits until the write is durable.

    Replica 0 votes in round 7: Persist, then Send. While the disk works, a message completes a QC, and the next step
    wants to broadcast a proposal of round 8, which tells of the vote as well as the vote itself does. If the power goes
    now, nobody may have heard of either. So a write holds back all that comes after it, of later steps too, and later
    writes with it. Timers are not held back: nobody else sees them, and one that was replaced must not fire.
    """

    def __init__(self, outlet: Outlet, write: Write) -> None:
        self._outlet = outlet
        self._write = write
        self._waiting: dict[int, _Waiting] = {}
        """What waits for the write under way, by node; a node without a write under way has no entry."""

    @override
    def persist(self, node: int, effect: Persist) -> None:
        if node in self._waiting:
            self._waiting[node].effects.append(effect)
        else:
            waiting = self._waiting[node] = _Waiting()
            self._begin(node, effect, waiting)

    def _begin(self, node: int, effect: Persist, waiting: _Waiting) -> None:
        waiting.under_way = True
        self._write(node, effect, lambda: self._durable(node, waiting))

    def _durable(self, node: int, waiting: _Waiting) -> None:
        waiting.under_way = False
        if waiting.released:
            return  # the write was done at once; what waits for it is being carried out below
        waiting.released = True
        # The entry stays until all is carried out: what an effect brings about at once comes after what waits already.
        while self._waiting.get(node) is waiting:  # it is not, once the node has crashed: then what waited is gone
            if waiting.under_way:
                waiting.released = False
                return
            if not waiting.effects:
                del self._waiting[node]
                return
            effect = waiting.effects.popleft()
            if isinstance(effect, Persist):
                self._begin(node, effect, waiting)
            else:
                carry_out(self._outlet, node, (effect,))

    def _after_writes(self, node: int, effect: Any) -> None:
        if node in self._waiting:
            self._waiting[node].effects.append(effect)
        else:
            carry_out(self._outlet, node, (effect,))

    @override
    def commit(self, node: int, effect: Commit) -> None:
        self._after_writes(node, effect)

    @override
    def send(self, node: int, effect: Send[Any]) -> None:
        self._after_writes(node, effect)

    @override
    def broadcast(self, node: int, effect: Broadcast[Any]) -> None:
        self._after_writes(node, effect)

    @override
    def set_timer(self, node: int, effect: SetTimer) -> None:
        self._outlet.set_timer(node, effect)

    @override
    def cancel_timer(self, node: int, effect: CancelTimer) -> None:
        self._outlet.cancel_timer(node, effect)

    @override
    def reply(self, node: int, effect: SendReply) -> None:
        self._after_writes(node, effect)

    @override
    def read_blocks(self, node: int, effect: ReadBlocks) -> None:
        self._after_writes(node, effect)

    @override
    def report(self, node: int, effect: Equivocation | Divergence) -> None:
        self._after_writes(node, effect)

    @override
    def note(self, node: int, effect: Any) -> None:
        self._outlet.note(node, effect)

    @override
    def crashed(self, node: int) -> None:
        self._waiting.pop(node, None)
        self._outlet.crashed(node)
