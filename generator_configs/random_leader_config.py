# Four leaders drawn from all replicas; partitions and sequences are those of the enumeration.
from testconfig import *

test_case = GenConfig(
    tests=10000, R=5, P=10, K=3, C=10000, L=4, E=1, N=7, F=2,
    random_partitions=False, random_leaders=True, random_configurations=False,
    allow_non_faulty_leaders=True, allow_quorumless_partitions=False,
    out_file="random_leader_config.json",
)  # fmt: skip
