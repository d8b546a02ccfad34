# The first partitions and leaders of the enumeration; the configurations of the rounds are drawn.
from src.testconfig import *

test_case = GenConfig(
    tests=10000, R=5, P=10, K=3, C=10000, L=7, E=1, N=7, F=2,
    random_partitions=False, random_leaders=False, random_configurations=True,
    allow_non_faulty_leaders=False, allow_quorumless_partitions=False,
    out_file="random_config_config.json",
)  # fmt: skip
