"""Certificates from 2f = 2 of 4 signers: two quorums that share no correct replica.

Progress: a and b alone make a certificate and leave round 1, in which no set holds three replicas. Without the bug
nobody can ever leave that round.

Equivocation: d leads three rounds and shows a one history, b and c another. With the bug each side certifies its own
blocks and commits its first one, so that a and b disagree. Without it only the side of b, c and d' has a quorum; a
waits, and catches up once the network is whole.
"""

from testconfig import *

whole = [["a", "b", "c", "d", "d'"]]
gst = [Round("a", whole, []) for _ in range(7)]
halves = [Round("a", [["a", "b"], ["c", "d", "d'"]], [])]
two_faces = [Round("d", [["a", "d"], ["b", "c", "d'"]], []) for _ in range(3)]


def case(name, rounds, bugs):
    return TestConfig(["a", "b", "c", "d"], ["d'"], rounds + gst, 0.8, 0, name, 30, len(rounds), bugs)


test_cases = [
    case("progress_with_bug", halves, {"small_quorum"}),
    case("progress_without_bug", halves, set()),
    case("equivocation_with_bug", two_faces, {"small_quorum"}),
    case("equivocation_without_bug", two_faces, set()),
]
