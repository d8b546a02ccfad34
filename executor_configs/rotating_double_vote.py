"""A replica and its twin vote side by side, with each correct leader in turn: three messages, two signers.

After two rounds of the whole network no set holds a quorum of distinct replicas, so nobody may leave round 3. The
bug `count_messages` counts the twins' two votes as two, and certifies with two signers.
"""

from testconfig import *

start = [Round("a", [["a", "b", "c", "d", "d'"]], []) for _ in range(2)]
rotation = [
    Round("a", [["a", "d", "d'"], ["b", "c"]], []),
    Round("b", [["b", "d", "d'"], ["a", "c"]], []),
    Round("c", [["c", "d", "d'"], ["a", "b"]], []),
]
rounds = start + [round_ for round_ in rotation for _ in range(4)]
gst = [Round("a", [["a", "b", "c", "d", "d'"]], []) for _ in range(7)]


def case(name, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds + gst, 0.8, 0, name, 30, len(rounds), bugs)


test_cases = [case("with_bug", {"count_messages"}), case("without_bug", set())]
