"""A block is committed as soon as it is certified, without a certified successor.

Everybody votes for block 1; only a, the collector of the votes, knows the certificate. Its answers are lost and then
it is cut off. The others give up on rounds 1 and 2, and the timeouts that they certify say honestly that none of them
holds a certificate. So b may propose a block beside block 1, and a quorum certifies it. With the bug a has committed
block 1 and the others commit the other one. Without it, block 1 is not committed, and a follows the others later.
"""

from testconfig import *

whole = [["a", "b", "c", "d", "d'"]]
alone = [["a"], ["b", "c", "d", "d'"]]
rounds = [
    Round("b", whole, [Except("a", "_", MsgType.Wildcard)]),
    Round("a", alone, []),
    Round("b", alone, []),
]
gst = [Round("b", whole, []) for _ in range(7)]


def case(name, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds + gst, 0.8, 0, name, 30, len(rounds), bugs)


test_cases = [case("with_bug", {"one_chain_commit"}), case("without_bug", set())]
