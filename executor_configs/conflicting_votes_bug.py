"""A leader and its twin propose different blocks in one round, and everybody hears both.

Each correct replica gets d's block and the block of d'. With the bug it votes for both: the votes a, b, c certify
both blocks in one round. Without it, it votes for the one that arrives first.
"""

from testconfig import *

equivocating = [Round("d", [["a", "b", "c", "d", "d'"]], []) for _ in range(3)]
gst = [Round("a", [["a", "b", "c", "d", "d'"]], []) for _ in range(7)]


def case(name, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], equivocating + gst, 0.8, 0, name, 30, len(equivocating), bugs)


test_cases = [case("with_bug", {"conflicting_votes"}), case("without_bug", set())]
