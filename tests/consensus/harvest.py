"""Events of all kinds, as one validator met them in a run."""

from __future__ import annotations

from functools import cache

from diembft.consensus.config import Config
from diembft.consensus.events import BlocksRead, Connected, Event, Received, Requests, Timer, TimerFired
from diembft.messages.types import BlockRequest, Relay
from tests.consensus.rig import Rig


@cache
def harvest() -> tuple[Config, list[Event]]:
    """What validator 2 met in a run with losses, timeouts, a crash of a peer and a sync, and what it did not meet."""
    config = Config(n=4, max_block_requests=1, sync_batch=2)
    rig = Rig(config=config)
    events: list[Event] = []
    rig.observe = lambda index, event, effects: events.append(event) if index == 2 else None
    for number in range(3):
        rig.request(number, b"op%d" % number)
    rig.run()
    rig.crash(3)
    for number in range(3, 9):
        rig.request(number, b"op%d" % number)
        rig.run()
        for index in (0, 1, 2):
            if Timer.ROUND in rig.nodes[index].timers:
                rig.fire(index)
    rig.run()
    rig.restart(3)
    rig.run()
    rig.request(9, b"op9", to=[1])
    for _ in range(12):
        rig.run(lambda flight: flight.to != 2)
        rig.drop()
        for index in (0, 1, 3):
            if Timer.ROUND in rig.nodes[index].timers:
                rig.fire(index)
    rig.drop()
    rig.connect(1, 2)
    rig.run()
    events.append(Connected(1))
    events.append(TimerFired(Timer.FETCH, 1))
    events.append(Requests((rig.craft.request(20, b"late"),)))
    events.append(Received(1, Relay(1, (rig.craft.request(21, b"passed on"),))))
    events.append(Received(3, BlockRequest(1, bytes(32), rig.craft.genesis.block.id, 2)))
    events.append(BlocksRead(1, 3, rig.nodes[2].disk.after(rig.craft.genesis.block.id, 2)))
    kinds = {type(event.message).__name__ for event in events if isinstance(event, Received)}
    assert {"ProposalMsg", "VoteMsg", "TimeoutMsg", "SyncInfo", "BlockResponse", "BlockRequest", "Relay"} <= kinds
    return config, events
