"""Whether a replica voted in a round already is not checked before it votes.

As in conflicting_votes_bug.py a leader and its twin propose different blocks, here to two halves that overlap in a
alone: b hears only d's block, c only the one of d', a both. With the bug a votes twice, and the two certificates of
round 1 have a in common.
"""

from testconfig import *

whole = [["a", "b", "c", "d", "d'"]]
rounds = [Round("d", whole, [Except("d", "c", MsgType.Proposal), Except("d'", "b", MsgType.Proposal)])]
gst = [Round("b", whole, []) for _ in range(7)]


def case(name, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds + gst, 0.8, 0, name, 30, len(rounds), bugs)


test_cases = [case("with_bug", {"no_vote_lock"}), case("without_bug", set())]
