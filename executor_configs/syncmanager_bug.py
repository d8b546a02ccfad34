"""Answers of sync begin one block too early, and the receiver commits that block a second time.

c commits block 1, is cut off for three rounds, and has to fetch what it missed once it hears a proposal again. With
the bug the answer begins with block 1. Without it, with the first block that c has not committed.
"""

from testconfig import *

whole = [["a", "b", "c", "d", "d'"]]
rounds = [Round("a", whole, []) for _ in range(3)]
rounds += [Round("a", [["a", "b", "d", "d'"], ["c"]], []) for _ in range(3)]
gst = [Round("a", whole, []) for _ in range(7)]


def case(name, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds + gst, 0.8, 0, name, 30, len(rounds), bugs)


test_cases = [case("with_bug", {"long_commit_chain"}), case("without_bug", set())]
