# Also partitions in which no set holds a quorum: nobody can leave such a round, and nobody must.
from src.testconfig import *

test_case = GenConfig(
    tests=10000, R=5, P=200, K=3, C=10000, L=7, E=1, N=7, F=2,
    random_partitions=True, random_leaders=False, random_configurations=True,
    allow_non_faulty_leaders=False, allow_quorumless_partitions=True,
    out_file="allow_quorumless_partition_config.json",
)  # fmt: skip
