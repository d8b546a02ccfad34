"""The client: what it believes, what it sends when, and when it ends."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diembft.client.client import Client, ClientConfig, Flood, Retransmit, Timed, Workload
from diembft.client.events import (
    Accepted,
    CancelTimer,
    ClientEffect,
    ClientEvent,
    Ended,
    ReplyReceived,
    SetTimer,
    Started,
    Submit,
    Timer,
    TimerFired,
)
from diembft.crypto.ed25519 import Ed25519KeyRing, derived_signer
from diembft.crypto.symbolic import client_signer
from diembft.errors import InputError
from diembft.messages.digests import Digests
from diembft.messages.types import OK, STALE, Reply
from tests.making import reply_to

DIGESTS = Digests("chain", 0)
STEADY = Retransmit(first_wait_s=1, max_wait_s=5, jitter=0)
T = TypeVar("T", bound=ClientEffect)


def operation(number: int) -> bytes:
    return b"operation %d" % number


def client(workload: Workload = STEADY, count: int = 3, n: int = 4, seed: int = 0, name: str = "alice") -> Client:
    config = ClientConfig(client=name, n=n, workload=workload, count=count, timeout_s=10, seed=seed)
    return Client(config, client_signer(name), DIGESTS, operation)


def reply(number: int, result: bytes = b"result", status: str = OK, name: str = "alice") -> Reply:
    return reply_to(name, number, operation(number), result, status)


def only(kind: type[T], effects: list[ClientEffect]) -> list[T]:
    return [effect for effect in effects if isinstance(effect, kind)]


def accept(machine: Client, number: int) -> list[ClientEffect]:
    """Give the client equal replies of validators 1 and 2; what the second brings about."""
    assert machine.step(ReplyReceived(1, reply(number))) == []
    return machine.step(ReplyReceived(2, reply(number)))


class TestReplies:
    @pytest.mark.parametrize(("n", "needed"), [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (13, 5)])
    def test_a_result_is_accepted_on_f_plus_1_equal_replies(self, n: int, needed: int) -> None:
        machine = client(n=n)
        machine.step(Started())
        for replica in range(needed - 1):
            assert machine.step(ReplyReceived(replica, reply(0))) == []
        first, *_ = machine.step(ReplyReceived(n - 1, reply(0)))
        assert first == Accepted(0, reply(0), (*range(needed - 1), n - 1), executed=True)

    def test_a_validator_counts_once(self) -> None:
        machine = client()
        machine.step(Started())
        for _ in range(3):
            assert machine.step(ReplyReceived(1, reply(0))) == []

    def test_the_last_reply_of_a_validator_counts(self) -> None:
        machine = client()
        machine.step(Started())
        assert machine.step(ReplyReceived(1, reply(0, b"old"))) == []
        assert machine.step(ReplyReceived(1, reply(0, b"new"))) == []
        assert machine.step(ReplyReceived(2, reply(0, b"old"))) == []
        first, *_ = machine.step(ReplyReceived(3, reply(0, b"new")))
        assert first == Accepted(0, reply(0, b"new"), (1, 3), executed=True)

    @pytest.mark.parametrize(
        "other",
        [
            reply(0, result=b"another"),
            reply(0, status=STALE),
            reply_to("alice", 0, b"another", b"result"),
        ],
        ids=["result", "status", "digest"],
    )
    def test_replies_are_equal_only_if_their_whole_content_is(self, other: Reply) -> None:
        machine = client()
        machine.step(Started())
        assert machine.step(ReplyReceived(1, reply(0))) == []
        assert machine.step(ReplyReceived(2, other)) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            ReplyReceived(4, reply(0)),
            ReplyReceived(-1, reply(0)),
            ReplyReceived(2, reply(1)),
            ReplyReceived(2, reply(0, name="bob")),
        ],
        ids=["no such validator", "a negative validator", "a request not sent", "another client"],
    )
    def test_a_wrong_reply_changes_nothing(self, wrong: ReplyReceived) -> None:
        machine = client()
        machine.step(Started())
        machine.step(ReplyReceived(1, reply(0)))
        assert machine.step(wrong) == []
        assert only(Accepted, machine.step(ReplyReceived(2, reply(0))))

    def test_a_late_reply_changes_nothing(self) -> None:
        machine = client()
        machine.step(Started())
        accept(machine, 0)
        assert machine.step(ReplyReceived(3, reply(0))) == []
        assert machine.executed == 1

    @pytest.mark.parametrize(
        "refusal",
        [reply(0, status=STALE), reply_to("alice", 0, b"another")],
        ids=["stale", "another operation"],
    )
    def test_a_request_that_was_not_executed_is_not_completed(self, refusal: Reply) -> None:
        machine = client(count=1)
        machine.step(Started())
        machine.step(ReplyReceived(1, refusal))
        effects = machine.step(ReplyReceived(2, refusal))
        assert effects[0] == Accepted(0, refusal, (1, 2), executed=False)
        assert effects[-1] == Ended(completed=False)

    @given(
        said=st.lists(st.tuples(st.integers(0, 6), st.sampled_from([b"truth", b"lie"])), max_size=30),
        liars=st.sets(st.integers(0, 6), max_size=2),
    )
    def test_f_liars_never_make_a_client_believe_them(self, said: list[tuple[int, bytes]], liars: set[int]) -> None:
        machine = client(n=7, count=1)
        machine.step(Started())
        for replica, result in said:
            effects = machine.step(ReplyReceived(replica, reply(0, result if replica in liars else b"truth")))
            assert all(accepted.reply == reply(0, b"truth") for accepted in only(Accepted, effects))


class TestRequests:
    def test_they_are_signed_and_numbered_from_0(self) -> None:
        signer = derived_signer("alice", 0)
        config = ClientConfig(client="alice", n=4, workload=Flood(), count=3, timeout_s=10)
        submits = only(Submit, Client(config, signer, DIGESTS, operation).step(Started()))
        keys = Ed25519KeyRing((), {"alice": signer.public_key})
        assert [submit.request.number for submit in submits] == [0, 1, 2]
        for submit in submits:
            assert submit.request.operations == (operation(submit.request.number),)
            assert keys.verify_client("alice", DIGESTS.request(submit.request), submit.request.signature)

    def test_a_client_without_requests_ends_at_once(self) -> None:
        assert client(count=0).step(Started()) == [Ended(completed=True)]


class TestRetransmit:
    def test_the_next_request_waits_for_the_last(self) -> None:
        machine = client()
        started = machine.step(Started())
        assert started[0] == SetTimer(Timer.DEADLINE, 10, 0)
        assert [submit.request.number for submit in only(Submit, started)] == [0]
        assert [submit.request.number for submit in only(Submit, accept(machine, 0))] == [1]
        assert [submit.request.number for submit in only(Submit, accept(machine, 1))] == [2]
        ended = accept(machine, 2)
        assert ended[1:] == [*map(CancelTimer, Timer), Ended(completed=True)]
        assert machine.executed == 3
        assert machine.ended

    def test_it_backs_off_exponentially_up_to_a_limit(self) -> None:
        machine = client(count=2)
        effects = machine.step(Started())
        sent, waits = only(Submit, effects), [only(SetTimer, effects)[-1].delay_s]
        for _ in range(4):
            effects = machine.step(TimerFired(Timer.RETRY, 0))
            sent += only(Submit, effects)
            waits += [timer.delay_s for timer in only(SetTimer, effects)]
        assert [submit.attempt for submit in sent] == [1, 2, 3, 4, 5]
        assert len({submit.request for submit in sent}) == 1
        assert waits == [1, 2, 4, 5, 5]
        # The next request begins anew.
        submit, timer = accept(machine, 0)[1:]
        assert isinstance(submit, Submit)
        assert submit.attempt == 1
        assert timer == SetTimer(Timer.RETRY, 1, 1)

    def test_replies_to_an_earlier_attempt_count(self) -> None:
        machine = client()
        machine.step(Started())
        machine.step(ReplyReceived(1, reply(0)))
        machine.step(TimerFired(Timer.RETRY, 0))
        assert only(Accepted, machine.step(ReplyReceived(2, reply(0))))

    @given(seed=st.integers(), jitter=st.floats(0, 2))
    def test_the_jitter_stays_within_its_part(self, seed: int, jitter: float) -> None:
        machine = client(Retransmit(first_wait_s=1, max_wait_s=4, jitter=jitter), seed=seed)
        waits = [only(SetTimer, machine.step(Started()))[-1].delay_s]
        waits += [only(SetTimer, machine.step(TimerFired(Timer.RETRY, 0)))[0].delay_s for _ in range(4)]
        for wait, base in zip(waits, [1, 2, 4, 4, 4], strict=True):
            assert base <= wait <= base * (1 + jitter)

    def test_the_jitter_follows_from_seed_and_client(self) -> None:
        def first_waits(seed: int, name: str) -> float:
            machine = client(Retransmit(first_wait_s=1), seed=seed, name=name)
            return only(SetTimer, machine.step(Started()))[-1].delay_s

        assert first_waits(1, "alice") == first_waits(1, "alice")
        assert len({first_waits(seed, name) for seed in range(5) for name in ("alice", "bob")}) == 10

    @pytest.mark.parametrize("wrong", [{"first_wait_s": 0}, {"first_wait_s": 9, "max_wait_s": 1}])
    def test_a_wait_of_no_time_is_no_wait(self, wrong: dict[str, float]) -> None:
        with pytest.raises(InputError, match="send for ever"):
            Retransmit(**wrong)

    def test_waits_never_shrink(self) -> None:
        with pytest.raises(InputError, match=r"Retransmit\.growth: 0\.5 is not between 1 and 1000"):
            Retransmit(first_wait_s=1, growth=0.5)


class TestFlood:
    def test_all_is_sent_at_once_and_accepted_in_any_order(self) -> None:
        machine = client(Flood(), count=3)
        deadline, *submits = machine.step(Started())
        assert deadline == SetTimer(Timer.DEADLINE, 10, 0)
        assert [submit.request.number for submit in only(Submit, submits)] == [0, 1, 2] == [*range(len(submits))]
        assert [type(effect) for effect in accept(machine, 2)] == [Accepted]
        assert [type(effect) for effect in accept(machine, 0)] == [Accepted]
        assert accept(machine, 1)[-1] == Ended(completed=True)


class TestTimed:
    def test_each_request_is_followed_by_its_pause(self) -> None:
        machine = client(Timed((0.5, 0)), count=3)
        numbers, waits = [], []
        event: ClientEvent = Started()
        for number in range(3):
            effects = machine.step(event)
            numbers += [submit.request.number for submit in only(Submit, effects)]
            waits += [timer for timer in only(SetTimer, effects) if timer.timer is Timer.PAUSE]
            event = TimerFired(Timer.PAUSE, number)
        assert numbers == [0, 1, 2]
        assert waits == [SetTimer(Timer.PAUSE, 0.5, 0), SetTimer(Timer.PAUSE, 0, 1)]

    def test_it_ends_when_all_was_sent_and_accepted(self) -> None:
        machine = client(Timed((1,)), count=2)
        machine.step(Started())
        assert [type(effect) for effect in accept(machine, 0)] == [Accepted]
        machine.step(TimerFired(Timer.PAUSE, 0))
        assert accept(machine, 1)[-1] == Ended(completed=True)

    def test_there_is_one_pause_between_two_requests(self) -> None:
        with pytest.raises(AssertionError, match="between two requests"):
            client(Timed((1,)), count=1)


@pytest.mark.parametrize("workload", [STEADY, Flood(), Timed((1, 1))], ids=["retransmit", "flood", "timed"])
def test_the_deadline_ends_any_workload(workload: Workload) -> None:
    machine = client(workload)
    machine.step(Started())
    accept(machine, 0)
    assert machine.step(TimerFired(Timer.DEADLINE, 0)) == [*map(CancelTimer, Timer), Ended(completed=False)]
    assert machine.step(ReplyReceived(1, reply(1))) == []
    assert machine.step(ReplyReceived(2, reply(1))) == []
    assert machine.executed == 1


EVENTS: st.SearchStrategy[ClientEvent] = st.one_of(
    st.builds(ReplyReceived, st.integers(0, 3), st.builds(reply, st.integers(0, 3), st.sampled_from([b"a", b"b"]))),
    st.just(TimerFired(Timer.DEADLINE, 0)),
)


@given(before=st.lists(EVENTS, max_size=10), left=st.lists(EVENTS, max_size=20), right=st.lists(EVENTS, max_size=20))
def test_forks_are_independent_and_equal_events_give_equal_effects(
    before: list[ClientEvent], left: list[ClientEvent], right: list[ClientEvent]
) -> None:
    def fresh(events: list[ClientEvent]) -> tuple[Client, list[list[ClientEffect]]]:
        machine = client(Flood(), count=4)
        machine.step(Started())
        return machine, [machine.step(event) for event in events]

    machine, _ = fresh(before)
    fork = machine.fork()
    said = [fork.step(event) for event in right]
    assert [machine.step(event) for event in left] == fresh(before + left)[1][len(before) :]
    assert said == fresh(before + right)[1][len(before) :]
