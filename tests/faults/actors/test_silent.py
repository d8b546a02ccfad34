from __future__ import annotations

from diembft.consensus.effects import Broadcast, Send, SendReply
from diembft.consensus.events import Event, Received, Requests, Timer, TimerFired
from diembft.faults.actors.silent import Silent
from diembft.trace.records import Replied, Sent
from tests.consensus.rig import Craft
from tests.faults.actors.acting import acting, run_among_correct


def test_it_hears_all_and_says_nothing() -> None:
    craft = Craft()
    silent, replica = acting(craft, Silent, me=1), craft.started(1)
    blocks = craft.chain([1, 2, 3, 4], {1: (craft.request(),)})
    events: list[Event] = [
        Requests((craft.request(), craft.request(2))),
        *[Received(block.author, craft.proposal(block)) for block in blocks],
        TimerFired(Timer.ROUND, 4),
        Requests((craft.request(),)),
    ]
    unsaid = []
    for event in events:
        effects = replica.step(event)
        unsaid += [type(effect) for effect in effects if isinstance(effect, Send | Broadcast | SendReply)]
        heard = silent.step(event)
        assert heard == [effect for effect in effects if not isinstance(effect, Send | Broadcast | SendReply)]
    assert silent.replica.state_key() == replica.state_key()
    assert set(unsaid) == {Send, Broadcast, SendReply}


def test_the_others_go_on_without_it() -> None:
    for result in run_among_correct("silent"):
        assert result.held, result.violations
        assert result.reached.blocks > 0
        said = [record for record in result.trace if isinstance(record, Sent | Replied) and record.node == "replica3"]
        assert said == []
