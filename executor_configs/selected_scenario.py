"""Scenarios chosen by hand, each a story of its own that must end well.

`lonely_twin`: the twin hears nothing for three rounds, then sits with its original, cut off from the others.
`no_twins`: an ordinary partition that heals; a leader that was cut off leads as soon as it is back.
`two_faces`: the leader and its twin each tell one half of the network something else; one half has a quorum.
`deaf_leader`: the leader of round 3 hears no votes, so that the round is left by timeouts.
`lost_timeouts`: the leader of round 2 is cut off, and the timeouts by which the others leave it do not reach b.
With the bug `conflicting_votes` the equivocating leader of `two_proposals` gets both of its blocks certified.
"""

from testconfig import *

NAMES = ["a", "b", "c", "d"]
WHOLE = [["a", "b", "c", "d", "d'"]]


def repeat(count, leader, partition, exceptions=()):
    return [Round(leader, partition, list(exceptions)) for _ in range(count)]


def case(name, rounds, bugs=(), twins=("d'",)):
    whole = WHOLE if twins else [NAMES]
    return TestConfig(NAMES, list(twins), rounds + repeat(7, "a", whole), 0.8, 0, name, 30, len(rounds), set(bugs))


test_cases = [
    case(
        "lonely_twin", repeat(3, "a", [["a", "b", "c", "d"], ["d'"]]) + repeat(3, "a", [["a", "b", "c"], ["d", "d'"]])
    ),
    case(
        "no_twins",
        repeat(3, "a", [["a", "b", "c"], ["d"]]) + repeat(3, "b", [["a"], ["b", "c", "d"]]) + repeat(1, "a", [NAMES]),
        twins=(),
    ),
    case("two_faces", repeat(4, "d'", [["a", "d"], ["b", "c", "d'"]])),
    case(
        "deaf_leader",
        repeat(2, "a", WHOLE) + repeat(1, "b", WHOLE, [Except("_", "c", MsgType.Vote)]) + repeat(2, "c", WHOLE),
    ),
    case(
        "lost_timeouts",
        repeat(1, "a", WHOLE) + repeat(1, "c", [["a", "b", "d", "d'"], ["c"]], [Except("_", "b", MsgType.TimeOut)]),
    ),
    case("two_proposals", repeat(2, "a", WHOLE) + repeat(2, "d", WHOLE)),
    case("two_proposals_with_bug", repeat(2, "a", WHOLE) + repeat(2, "d", WHOLE), {"conflicting_votes"}),
]
