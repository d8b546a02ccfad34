"""The window of executed requests forgets too early: a request that is repeated late executes twice."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from diembft.consensus.state_machine import StateMachine
from diembft.ledger.sessions import Session, Sessions


class ForgetfulSessions(Sessions[Any]):
    """Remembers the last request of each client, and takes all others for new."""

    __slots__ = ()

    @override
    def trimmed(self, session: Session) -> Session:
        """Replies are forgotten before their window ends, and the floor does not rise."""
        replies = session.replies
        for number in sorted(replies)[:-1]:
            replies = replies.delete(number)
        return Session(session.floor, replies)


def forgetful(machine: StateMachine) -> StateMachine:
    """The same state machine with the bug; one that remembers no requests is as it was."""
    if not isinstance(machine, Sessions):
        return machine
    return ForgetfulSessions(machine.application, machine.window)
