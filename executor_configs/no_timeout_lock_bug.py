"""A timeout does not keep a replica from voting in the same round afterwards.

c is cut off in round 1, so the others enter round 2 without it, wait for its proposal, and give up. In round 2 only c
hears the timeouts: they bring it into the round, it proposes at once, and the proposal reaches replicas that are still
in round 2 because they lack each other's timeouts. With the bug they vote in a round that they have given up.
"""

from testconfig import *

whole = [["a", "b", "c", "d", "d'"]]
rounds = [
    Round("a", [["a", "b", "d", "d'"], ["c"]], []),
    Round("c", whole, [Except("_", name, MsgType.TimeOut) for name in ("a", "b", "d", "d'")]),
]
gst = [Round("a", whole, []) for _ in range(7)]


def case(name, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds + gst, 0.8, 0, name, 30, len(rounds), bugs)


test_cases = [case("with_bug", {"no_timeout_lock"}), case("without_bug", set())]
