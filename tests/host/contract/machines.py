"""Machines for the tests of drivers: one that does what it is told, and a replica whose power may go in any step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from typing_extensions import override

from diembft.consensus.effects import Commit, Effect
from diembft.consensus.events import Connected, Event, Received, TimerFired
from diembft.faults.tampering import Tampered
from diembft.messages.types import OK, Message
from tests.host.contract.rig import Rig

TOLD = Connected(0)
"""The event with which a test makes a machine act."""


class Scripted(Tampered):
    """Answers `TOLD` with the effects that it was given, other events with those of its script, by default none."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.events: list[Event] = []
        self.next: Sequence[Effect] = ()
        self.script: Callable[[Event], Sequence[Effect]] = lambda event: ()

    @override
    def step(self, event: Event) -> list[Effect]:
        if event == TOLD:
            effects, self.next = self.next, ()
            return list(effects)
        self.events.append(event)
        return list(self.script(event))

    @override
    def fork(self) -> Self:
        return self

    @property
    def heard(self) -> list[Message]:
        return [event.message for event in self.events if isinstance(event, Received)]

    @property
    def fired(self) -> list[tuple[str, int]]:
        return [(event.timer.value, event.round) for event in self.events if isinstance(event, TimerFired)]


def tell(rig: Rig, node: int, *effects: Effect) -> None:
    """Let a scripted node make a step with these effects."""
    rig.machine(node).next = effects
    rig.hand(node, TOLD)


class Journal:
    """What replicas did, over all their lives, and when the power of one goes."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, Event, tuple[Effect, ...]]] = []
        """(validator, event, the effects that its step asked for)."""
        self.commits: list[tuple[int, Commit]] = []
        self.power: Callable[[int, Event, list[Effect]], int | None] = lambda me, event, effects: None
        """After how many effects of this step the power goes; None if it stays."""

    def kind(self) -> type[Mortal]:
        """The class of replicas that write into this journal."""
        return type("Mortal", (Mortal,), {"journal": self})

    def states(self) -> dict[int, set[bytes]]:
        """By height: the states that replicas came to."""
        found: dict[int, set[bytes]] = {}
        for _, commit in self.commits:
            found.setdefault(commit.height, set()).add(commit.state_id)
        return found

    def executed(self, me: int | None = None) -> dict[tuple[str, int], set[int]]:
        """By request: the heights at which it was executed, at all or at one."""
        found: dict[tuple[str, int], set[int]] = {}
        for replica, commit in self.commits:
            for reply in commit.results:
                if reply is not None and reply.status == OK and me in (None, replica):
                    found.setdefault((reply.client, reply.number), set()).add(commit.height)
        return found


class Mortal(Tampered):
    """A replica. When its power goes, only the first effects of the step are carried out, and it reacts to nothing more
    until the test crashes its node."""

    journal: ClassVar[Journal]
    dead = False

    @override
    def step(self, event: Event) -> list[Effect]:
        if self.dead:
            return []
        effects = super().step(event)
        journal = self.journal
        journal.steps.append((self.me, event, tuple(effects)))
        journal.commits += [(self.me, effect) for effect in effects if isinstance(effect, Commit)]
        left = journal.power(self.me, event, effects)
        if left is None:
            return effects
        self.dead = True
        return effects[:left]
