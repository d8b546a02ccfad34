"""A few short runs, told in text. `python -m tests.consensus.transcripts` writes them anew into golden/.

A change of these files is a change of behaviour: read it before you commit it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from diembft.consensus.config import Config
from diembft.consensus.effects import Effect
from diembft.consensus.events import Event, Requests, Timer
from diembft.messages.types import ProposalMsg, VoteMsg
from tests.consensus.rig import Crypto, Flight, Rig
from tests.consensus.telling import Teller

GOLDEN = Path(__file__).parent / "golden"


class Transcript:
    """Tells what a rig does, line by line."""

    def __init__(self, rig: Rig) -> None:
        self.lines: list[str] = []
        self._teller = Teller(rig.craft.genesis.block)
        rig.observe = self._stepped

    def _stepped(self, index: int, event: Event, effects: list[Effect]) -> None:
        self.lines.append(f"{index} {self._teller.event(event)}")
        self.lines.extend(f"    {self._teller.effect(effect)}" for effect in effects)

    def note(self, text: str) -> None:
        self.lines.extend(["", f"# {text}"])

    def text(self) -> str:
        return "\n".join(self.lines).strip() + "\n"


def begin(config: Config | None = None, crypto: Crypto = "symbolic") -> tuple[Rig, Transcript]:
    rig = Rig(4, config=config, crypto=crypto, start=False)
    return rig, Transcript(rig)


def start(rig: Rig) -> None:
    for node in rig.nodes:
        rig.start(node.index)


def one_request(crypto: Crypto = "symbolic") -> str:
    """The fast path: a request is proposed, certified, committed, answered; then all rest."""
    rig, transcript = begin(crypto=crypto)
    start(rig)
    transcript.note("alice asks; validator 0 leads round 1")
    rig.request(1, b"a")
    rig.run()
    return transcript.text()


def a_silent_leader() -> str:
    """Validator 1, who leads rounds 2 and 3, is down: two timeouts, and the chain goes on over the gap."""
    rig, transcript = begin()
    start(rig)
    rig.crash(1)
    rig.request(1, b"a")
    rig.run()
    for round_ in (1, 2, 3):
        transcript.note(f"the timers of round {round_} fire")
        for index in (0, 2, 3):
            rig.fire(index)
        rig.run()
    return transcript.text()


def a_crash_between_persist_and_send() -> str:
    """The leader crashes when its vote is durable and its proposal is not sent; it sends both after its restart."""
    rig, transcript = begin()
    start(rig)
    transcript.note("only what was made durable happens")
    rig.step(0, Requests((rig.craft.request(1, b"a"),)), crash_after=1)
    transcript.note("restart")
    rig.restart(0)
    transcript.note("bob's request comes too late for this round")
    rig.step(0, Requests((rig.craft.request(2, b"b", "bob"),)))
    rig.run(until=2)
    return transcript.text()


def a_laggard_catches_up() -> str:
    """Validator 3 hears nothing for some rounds; then a peer tells it what it knows, and it fetches in batches."""
    rig, transcript = begin(config=Config(n=4, sync_batch=2))
    start(rig)
    told, transcript.lines = transcript.lines, []
    for number in (1, 2):
        rig.request(number, b"op%d" % number, to=[0, 1, 2])
        while any(Timer.ROUND in rig.nodes[index].timers for index in (0, 1, 2)):
            rig.run(lambda flight: flight.to != 3)
            rig.drop()
            for index in (0, 1, 2):
                if Timer.ROUND in rig.nodes[index].timers:
                    rig.fire(index)
    rig.drop()
    transcript.lines = told
    transcript.note(f"the others committed {rig[1].tree.height} blocks; validator 1 notices validator 3")
    rig.connect(1, 3)
    rig.run()
    return transcript.text()


def an_equivocating_leader() -> str:
    """Validator 0 runs twice and proposes two blocks in round 1; one of them is certified, and both are evidence."""
    rig = Rig(twins=(0,), start=False)
    transcript = Transcript(rig)
    start(rig)
    rig.request(1, b"a", to=[0])
    rig.request(2, b"b", to=[4])
    transcript.note("the twin's proposal reaches validator 3 first, the other one the rest")
    proposals = rig.flights_of(ProposalMsg)
    for flight in [flight for flight in proposals if flight.source == (4 if flight.to == 3 else 0)]:
        rig.deliver(flight)
    transcript.note("then the other way round")
    for flight in [flight for flight in rig.flights_of(ProposalMsg) if flight.to in (1, 2, 3)]:
        if flight in proposals:
            rig.deliver(flight)
    transcript.note("the votes")

    def is_vote(flight: Flight) -> bool:
        return isinstance(flight.message, VoteMsg) and flight.message.vote_info.round == 1

    rig.run(is_vote)
    return transcript.text()


TRANSCRIPTS: dict[str, Callable[[], str]] = {
    made.__name__: made
    for made in (
        one_request,
        a_silent_leader,
        a_crash_between_persist_and_send,
        a_laggard_catches_up,
        an_equivocating_leader,
    )
}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, tell in TRANSCRIPTS.items():
        (GOLDEN / f"{name}.txt").write_text(tell(), encoding="utf-8")


if __name__ == "__main__":
    main()
