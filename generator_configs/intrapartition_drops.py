# Besides the partitions, up to 20 kinds of messages are dropped inside the sets of a round.
from src.testconfig import *

test_case = GenConfig(
    tests=1000, R=5, P=10, K=3, C=1000, L=7, E=20, N=7, F=2,
    random_partitions=True, random_leaders=True, random_configurations=True,
    allow_non_faulty_leaders=True, allow_quorumless_partitions=False,
    out_file="intrapartition_drops.json",
)  # fmt: skip
