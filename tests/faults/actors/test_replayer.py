from __future__ import annotations

from diembft.consensus.effects import Broadcast, Effect
from diembft.consensus.events import Event, Received, Requests
from diembft.faults.actors.replayer import KEPT, Replayer
from diembft.messages.types import Message, Relay, Request
from tests.consensus.rig import Craft
from tests.faults.actors.acting import acting, messages_to, run_among_correct


def happenings(craft: Craft) -> list[Event]:
    requests = [craft.request(number) for number in range(1, 9)]
    blocks = craft.chain([1, 2, 3, 4, 5, 6, 7], {2: (requests[0],), 3: (requests[1], requests[2])})
    return [
        Requests(tuple(requests[3:])),
        *[Received(block.author, craft.proposal(block)) for block in blocks],
        *[Received(0, craft.vote(block, 0)) for block in blocks],
        *[Received(1, craft.timeout(8, 1, craft.qc(blocks[-1]))) for _ in range(40)],
    ]


def test_it_sends_again_what_it_received_and_nothing_else() -> None:
    craft = Craft()
    events = happenings(craft)
    received: list[Message] = []
    requests: list[Request] = []
    replayer, replica = acting(craft, Replayer, me=3), craft.started(3)
    repeated: list[Message] = []
    for event in events:
        if isinstance(event, Received):
            received.append(event.message)
            requests += getattr(getattr(event.message, "block", None), "payload", ())
        elif isinstance(event, Requests):
            requests += event.requests
        honest = replica.step(event)
        effects = replayer.step(event)
        assert effects[: len(honest)] == honest
        extra: list[Effect] = effects[len(honest) :]
        assert not any(isinstance(effect, Broadcast) for effect in extra)
        for peer in replayer.peers:
            for message in messages_to(extra, peer):
                repeated.append(message)
                if isinstance(message, Relay):
                    assert message.requests[0] in requests
                else:
                    assert message in received
    assert any(isinstance(message, Relay) for message in repeated)
    assert any(not isinstance(message, Relay) for message in repeated)


def test_it_keeps_so_much_and_no_more() -> None:
    craft = Craft()
    replayer = acting(craft, Replayer, me=3)
    assert isinstance(replayer, Replayer)
    for number in range(KEPT + 50):
        replayer.step(Requests((craft.request(number),)))
    assert len(replayer._requests) == KEPT  # all that it keeps
    assert replayer._messages == []


def test_the_others_execute_nothing_twice_and_are_unharmed() -> None:
    for result in run_among_correct("replayer"):
        assert result.held, result.violations
