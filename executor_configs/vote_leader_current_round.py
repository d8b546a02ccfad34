"""Votes go to the leader of their own round instead of the next one's.

While one replica leads, nothing shows. As soon as leaders change, the certificate of round r is in the hands of
somebody who does not lead round r + 1: the new leader waits until timeouts bring it along, and blocks commit late or
not at all, although the network is whole and three correct leaders follow one another. Without the bug every block
commits within a few messages.
"""

from testconfig import *

whole = [["a", "b", "c", "d", "d'"]]
rounds = [Round(leader, whole, []) for leader in "abcabcabcabc"]


def case(name, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds, 0.8, 0, name, 30, 0, bugs)


test_cases = [case("with_bug", {"vote_leader_current_round"}), case("without_bug", {})]
