"""What a replica signed is not made durable, so that a crash makes it forget.

a votes for d's block in round 2 and crashes; the others go on without it. d', which never heard of round 2, is in
a's set from then on. a starts again in round 2 and says so, d' enters round 2 as its leader and proposes another
block. With the bug a votes in round 2 a second time. Without it, it remembers; both catch up when the network is whole.
"""

from testconfig import *

whole = [["a", "b", "c", "d", "d'"]]
apart = [["a", "d'"], ["b", "c", "d"]]
rounds = [
    Round("b", [["a", "b", "c", "d"], ["d'"]], []),
    Round("d", whole, [Except("d", "d'", MsgType.Proposal)]),
    Round("b", apart, [], {"crash": ["a"]}),
    Round("b", apart, []),
    Round("b", apart, [], {"restart": ["a"]}),
    Round("b", apart, []),
    Round("b", apart, []),
]
gst = [Round("b", whole, []) for _ in range(7)]


def case(name, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds + gst, 0.8, 0, name, 30, len(rounds), bugs)


test_cases = [case("with_bug", {"forgets_on_restart"}), case("without_bug", set())]
