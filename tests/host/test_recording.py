"""Records of effects."""

from __future__ import annotations

from diembft.consensus.effects import Commit, Persist, SafetyRecord
from diembft.host import recording
from diembft.messages.types import OK, STALE, Reply, Request
from diembft.trace import diembft as neutral
from diembft.trace.records import Persisted
from tests.consensus.rig import Craft


def reply(request: Request, status: str) -> Reply:
    return Reply(request.client, request.session, request.number, b"", status, ())


def test_only_what_took_effect_is_executed() -> None:
    craft = Craft()
    stale, fine, repeated = asked = (craft.request(1), craft.request(2), craft.request(3))
    one, two = craft.chain((1, 2), {1: asked})
    commit = Commit(1, one, craft.qc(two), craft.state_id(one), (reply(stale, STALE), reply(fine, OK), None))
    record = recording.committed(0.0, "replica0", commit)
    assert record.executed == ((fine.client, fine.number, fine.session),)
    assert record.block.requests[2].number == repeated.number


def test_what_is_durable_is_told_with_its_lock_and_what_was_signed() -> None:
    craft = Craft()
    (one,) = craft.chain((1,))
    vote = craft.vote(one, 0)
    safety = SafetyRecord(5, 3, vote, craft.qc(one), craft.genesis_qc, None)
    record = recording.persisted(0.5, "replica0", Persist(safety, (one,), (), None))
    assert record == Persisted(0.5, "replica0", 5, 3, neutral.message(vote), (one.id,), ())
