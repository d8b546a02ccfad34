"""What a replica holds stays small, however long it runs."""

from __future__ import annotations

from diembft.consensus.config import Config
from diembft.consensus.verification import CACHED_CERTIFICATES
from tests.consensus.rig import Rig


def test_what_a_replica_holds_does_not_grow_with_the_chain() -> None:
    rig = Rig(config=Config(n=4, rest=False, window_size=2, sync_batch=5))
    for number in range(3):
        rig.request(number)
    rig.run(until=150)
    for index in range(4):
        replica = rig[index]
        assert replica.tree.height > 140
        assert len(replica.tree.committed) == rig.config.kept_commits == 5
        assert len(replica.tree.nodes) <= 4
        assert max(replica.tree.votes, default=0) - min(replica.tree.votes, default=0) <= 2
        assert all(message.block.round == replica.current_round for message in replica.proposals.values())
        assert len(replica.mempool) == 0
        assert len(replica.pacemaker.timeouts) <= 4
        assert len(replica._unsaved) == len(replica._own) == len(replica._committed) == 0
        assert len(replica.verifier._verified_qcs) == CACHED_CERTIFICATES
        assert replica.sync.fetch is None


def test_timeouts_without_end_leave_nothing_behind() -> None:
    rig = Rig(4)
    rig.request(to=[2])
    for _ in range(40):
        rig.fire(2)
        rig.drop()
    assert len(rig[2].pacemaker.timeouts) == 1
    assert len(rig[2]._unsaved) == 0
    assert rig[2].current_round == 1
