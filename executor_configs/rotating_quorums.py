"""The quorum moves on every three rounds: each replica is left behind in turn, and has to catch up.

In `steady` the next leader is always in the quorum, so that no round is lost. In `changing` the leaders change at
each turn and the first of the new leaders did not get the votes: the round is left by timeouts. Nothing is violated.
The bug `long_commit_chain` shows each time that a replica which has committed something catches up.
"""

from testconfig import *

quorums = [
    [["a", "b", "c"], ["d"], ["d'"]],
    [["a", "b", "d"], ["c"], ["d'"]],
    [["a", "c", "d"], ["b"], ["d'"]],
    [["b", "c", "d"], ["a"], ["d'"]],
]
gst = [Round("c", [["a", "b", "c", "d", "d'"]], []) for _ in range(7)]


def case(name, leaders, bugs):
    rounds = [Round(leader, quorum, []) for leader, quorum in zip(leaders, quorums, strict=True) for _ in range(3)]
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds + gst, 0.8, 0, name, 30, len(rounds), bugs)


test_cases = [
    case("steady", "aaac", set()),
    case("changing", "adcb", set()),
    case("steady_with_bug", "aaac", {"long_commit_chain"}),
    case("changing_with_bug", "adcb", {"long_commit_chain"}),
]
