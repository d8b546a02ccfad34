"""Protocols under test: what one supplies, and those that come with it.

`interface` says what a protocol supplies, `state_keys` what it may supply besides, so that an exploration meets states
which behave alike once. `by_name` finds a protocol by its name. `diembft` is the protocol of this project, `hotstuff`
another one that shares nothing with it.

Whoever writes a protocol of one's own imports its vocabulary from here: events and effects, what messages tell, the
nodes of a test, and the help for keys of protocols that certify chains of blocks. Where each name is defined,
`_WHERE` says; it is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from diembft.machine.effects import Broadcast as Broadcast
    from diembft.machine.effects import CancelTimer as CancelTimer
    from diembft.machine.effects import Commit as Commit
    from diembft.machine.effects import Persist as Persist
    from diembft.machine.effects import Send as Send
    from diembft.machine.effects import SetTimer as SetTimer
    from diembft.machine.events import Received as Received
    from diembft.machine.events import Started as Started
    from diembft.machine.events import Timer as Timer
    from diembft.machine.events import TimerFired as TimerFired
    from diembft.protocols.cast import Cast as Cast
    from diembft.protocols.chain_keys import ChainKeys as ChainKeys
    from diembft.protocols.chain_keys import NodeView as NodeView
    from diembft.protocols.chain_keys import Rule as Rule
    from diembft.protocols.interface import ANSWER as ANSWER
    from diembft.protocols.interface import BLOCKS as BLOCKS
    from diembft.protocols.interface import NOBODY as NOBODY
    from diembft.protocols.interface import PROPOSAL as PROPOSAL
    from diembft.protocols.interface import REQUEST as REQUEST
    from diembft.protocols.interface import TIMEOUT as TIMEOUT
    from diembft.protocols.interface import VOTE as VOTE
    from diembft.protocols.interface import Leaders as Leaders
    from diembft.protocols.states import NodeState as NodeState

_WHERE: Final = {
    "effects": ("Broadcast", "CancelTimer", "Commit", "Persist", "Send", "SetTimer"),
    "events": ("Received", "Started", "Timer", "TimerFired"),
    "cast": ("Cast",),
    "chain_keys": ("ChainKeys", "NodeView", "Rule"),
    "interface": ("ANSWER", "BLOCKS", "NOBODY", "PROPOSAL", "REQUEST", "TIMEOUT", "VOTE", "Leaders"),
    "states": ("NodeState",),
}
"""By module: of `diembft.machine` the first two, else of this room."""

_MACHINE: Final = ("effects", "events")


def __getattr__(name: str) -> Any:
    for module, names in _WHERE.items():
        if name in names:
            room = "diembft.machine" if module in _MACHINE else "diembft.protocols"
            value = globals()[name] = getattr(import_module(f"{room}.{module}"), name)
            return value
    raise AttributeError(f"module 'diembft.protocols' has no attribute {name!r}")
