"""More twins than the protocol tolerates: agreement breaks without any bug. Run it with --expect violation.

c and d, two of four replicas, show a one history and b another. Each side has three keys, a quorum.
"""

from testconfig import *

two_faces = [Round("c", [["a", "c", "d"], ["b", "c'", "d'"]], []) for _ in range(3)]
gst = [Round("a", [["a", "b", "c", "d", "c'", "d'"]], []) for _ in range(7)]
test_cases = [
    TestConfig(["a", "b", "c", "d"], ["c'", "d'"], two_faces + gst, 0.8, 0, "two_histories", 30, len(two_faces))
]
