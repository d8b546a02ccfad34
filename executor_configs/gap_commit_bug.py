"""The 2-chain need not be of consecutive rounds: a commit rule of an early Fast-HotStuff.

Two branches grow from genesis, each certified while those who extend the other do not know it:

1. a's block X1 is certified; only d, who collects the votes, knows.
2. d' enters round 2 by timeouts, and proposes Y2 beside X1; it is certified; only c, who collects, knows.
3. c is alone; the others give up, and learn X1's certificate from d's timeout.
4. d proposes X4 on X1; it is certified; a collects. Rounds 1 and 4 are no neighbours, but with the bug a commits X1.
   The others' timeouts bring them the certificate of Y2 from c.
5. a is alone; the others give up.
6. b proposes Y6 on Y2; it is certified. With the bug Y2 is committed beside X1.

Without the bug nothing is committed before the network is whole, and then everybody commits the branch of Y6.
"""

from testconfig import *

proposal, timeout, vote, anything = MsgType.Proposal, MsgType.TimeOut, MsgType.Vote, MsgType.Wildcard
whole = [["a", "b", "c", "d", "d'"]]
without_a = [["a"], ["b", "c", "d", "d'"]]
rounds = [
    Round("a", whole, [Except("d", "_", anything), Except("_", "d'", vote)]),
    Round("d", whole, [Except("d", "_", anything), Except("c", "_", anything)]),
    Round("c", [["c"], ["a", "b", "d", "d'"]], []),
    Round("d", whole, [Except("d'", "_", proposal), Except("a", "_", anything)]),
    Round("a", without_a, []),
    Round("b", without_a, []),
]
gst = [Round("b", whole, []) for _ in range(7)]


def case(name, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds + gst, 0.8, 0, name, 30, len(rounds), bugs)


test_cases = [case("with_bug", {"gap_commit"}), case("without_bug", set())]
