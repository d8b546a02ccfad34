"""The planted bugs by name, as test cases and `--bug NAME` give them, and the Byzantine actors by name."""

from __future__ import annotations

from collections.abc import Iterable

from diembft.errors import InputError
from diembft.faults.actors.actor import Actor
from diembft.faults.actors.double_voter import DoubleVoter
from diembft.faults.actors.equivocating_leader import EquivocatingLeader
from diembft.faults.actors.flooder import Flooder
from diembft.faults.actors.forger import Forger
from diembft.faults.actors.replayer import Replayer
from diembft.faults.actors.silent import Silent
from diembft.faults.bugs.conflicting_votes import ConflictingVotes
from diembft.faults.bugs.count_messages import CountSignatures, CountTimeoutMessages, CountVoteMessages
from diembft.faults.bugs.forgets_on_restart import ForgetsOnRestart
from diembft.faults.bugs.gap_commit import GapVerifier, GapVotes
from diembft.faults.bugs.ignore_tc_high_qc import IgnoreTcHighQc
from diembft.faults.bugs.late_replay import forgetful
from diembft.faults.bugs.long_commit_chain import LongCommitChain
from diembft.faults.bugs.no_timeout_lock import NoTimeoutLock
from diembft.faults.bugs.no_vote_lock import NoVoteLock
from diembft.faults.bugs.one_chain_commit import CommitsTheCertified, DeliversTheCertified
from diembft.faults.bugs.small_quorum import SmallQuorum
from diembft.faults.bugs.stale_leader import StaleLeader
from diembft.faults.bugs.unsigned_certificates import UnsignedCertificates
from diembft.faults.bugs.vote_leader_current_round import VoteLeaderCurrentRound
from diembft.faults.planting import Planted, Planting

_ALL = (
    Planted("conflicting_votes", "may vote again in the round it last voted in", (ConflictingVotes,)),
    Planted("small_quorum", "makes and accepts certificates from 2f signers", (SmallQuorum,)),
    Planted("vote_leader_current_round", "sends votes to this round's leader", (VoteLeaderCurrentRound,)),
    Planted(
        "long_commit_chain",
        "sync answers start one block too early, and the receiver commits it again",
        (LongCommitChain,),
    ),
    Planted("no_vote_lock", "does not check highest_vote_round", (NoVoteLock,)),
    Planted("no_timeout_lock", "does not raise highest_vote_round by a timeout", (NoTimeoutLock,)),
    Planted("one_chain_commit", "commits a block when it is certified", (CommitsTheCertified, DeliversTheCertified)),
    Planted("gap_commit", "commits by a 2-chain of rounds that need not be consecutive", (GapVotes, GapVerifier)),
    Planted("ignore_tc_high_qc", "does not check q >= max(tmo_high_qc_rounds)", (IgnoreTcHighQc,)),
    Planted("stale_leader", "ignores the QCs in timeouts when it leads", (StaleLeader,)),
    Planted(
        "count_messages",
        "counts messages, not distinct signers, towards a quorum",
        (CountVoteMessages, CountTimeoutMessages, CountSignatures),
    ),
    Planted("forgets_on_restart", "does not persist the state of Safety", (ForgetsOnRestart,)),
    Planted("unsigned_certificates", "does not verify the signatures in certificates", (UnsignedCertificates,)),
    Planted("late_replay", "forgets executed requests too early", machine=forgetful),
)

BUGS: dict[str, Planted] = {bug.name: bug for bug in sorted(_ALL, key=lambda bug: bug.name)}
"""All planted bugs by name, sorted."""

ACTORS: dict[str, type[Actor]] = {
    "double_voter": DoubleVoter,
    "equivocating_leader": EquivocatingLeader,
    "flooder": Flooder,
    "forger": Forger,
    "replayer": Replayer,
    "silent": Silent,
}
"""All Byzantine actors by name, sorted: each is made of a replica that plays by the rules, and a seed."""


def plant(names: Iterable[str]) -> Planting:
    """Switch on the bugs of these names. Raises InputError for a name that there is not."""
    wanted = sorted(set(names))
    for name in wanted:
        if name not in BUGS:
            raise InputError(f"bugs: {name!r} is none of {', '.join(BUGS)}")
    return Planting(tuple([BUGS[name] for name in wanted]))
