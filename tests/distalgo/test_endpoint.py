"""Mail, agenda and timers, in the order in which they are looked at."""

from diembft.distalgo.endpoint import MAX_WAIT_S, Endpoint, Outgoing, Wires
from diembft.messages.codec import Frame, encode
from diembft.messages.types import Reply
from tests.distalgo.rig import Clock, fits_all
from tests.making import reply_to


class Scribe(Endpoint[str]):
    """Writes down what happens."""

    def __init__(self, clock: Clock, index: int = 0) -> None:
        super().__init__(index, Wires(3, clock.now_s, fits_all, clock))
        self.seen: list[object] = []

    def _received(self, sender: int, number: int, frame: Frame) -> None:
        assert isinstance(frame, Reply)
        self.seen.append((sender, number, frame.client))

    def _fired(self, timer: str, detail: int) -> None:
        self.seen.append((timer, detail))

    def send_later(self, delay_s: float, to: int) -> None:
        self._later(delay_s, lambda: self._post(to, self._next_number(), b"data"))

    def start_timer(self, timer: str, delay_s: float, detail: int) -> None:
        self._start_timer(timer, delay_s, detail)

    def cancel_timer(self, timer: str) -> None:
        self._cancel_timer(timer)


def reply(client: str) -> bytes:
    return encode(reply_to(client, 0, b""))


def test_what_has_arrived_goes_before_what_fires() -> None:
    clock = Clock()
    scribe = Scribe(clock)
    scribe.start_timer("patience", 1.0, 7)
    clock.now_s += 2
    scribe.arrived(2, 5, reply("first"))
    scribe.arrived(1, 4, reply("second"))
    assert scribe.has_mail
    scribe.work()
    assert scribe.seen == [(2, 5, "first"), (1, 4, "second"), ("patience", 7)]
    assert not scribe.has_mail


def test_a_timer_that_was_replaced_or_cancelled_does_not_fire() -> None:
    clock = Clock()
    scribe = Scribe(clock)
    scribe.start_timer("replaced", 1.0, 1)
    scribe.start_timer("cancelled", 1.0, 2)
    scribe.start_timer("replaced", 2.0, 3)
    scribe.cancel_timer("cancelled")
    scribe.cancel_timer("never started")
    clock.now_s += 1.5
    scribe.work()
    assert scribe.seen == []
    clock.now_s += 1.0
    scribe.work()
    scribe.work()
    assert scribe.seen == [("replaced", 3)]


def test_timers_fire_in_the_order_in_which_they_ran_out() -> None:
    clock = Clock()
    scribe = Scribe(clock)
    scribe.start_timer("late", 2.0, 1)
    scribe.start_timer("early", 1.0, 2)
    clock.now_s += 3
    scribe.work()
    assert scribe.seen == [("early", 2), ("late", 1)]


def test_it_waits_for_what_comes_next() -> None:
    clock = Clock()
    scribe = Scribe(clock)
    assert scribe.wait_s == MAX_WAIT_S
    scribe.start_timer("patience", 0.75, 0)
    assert scribe.wait_s == 0.75
    scribe.send_later(0.5, 1)
    assert scribe.wait_s == 0.5
    clock.now_s += 0.625
    assert scribe.wait_s == 0
    scribe.work()
    assert scribe.wait_s == 0.125
    scribe.start_timer("patience", 100.0, 0)
    assert scribe.wait_s == MAX_WAIT_S


def test_a_message_leaves_when_its_delay_is_over_under_a_number_of_its_own() -> None:
    clock = Clock()
    first, second = Scribe(clock, 0), Scribe(clock, 1)
    first.send_later(0.5, 1)
    first.send_later(0.25, 2)
    second.send_later(0, 0)
    first.work()
    assert first.take() == []
    clock.now_s += 1
    first.work()
    second.work()
    assert first.take() == [Outgoing(2, 3, b"data"), Outgoing(1, 6, b"data")]
    assert first.take() == []
    assert second.take() == [Outgoing(0, 4, b"data")]


def test_time_counts_from_the_beginning_of_the_run() -> None:
    clock = Clock()
    scribe = Scribe(clock)
    clock.now_s += 12.5
    assert scribe.now_s == 12.5
