"""The simulator: one thread, virtual time, everything from one seed.

Reading order: `network` (the fate of a message), `schedule` (what befalls the system, and when), `timers` and
`simulator` (the driver), `api` (one simulation in a few lines); then what is built on it: `run_case` (the seed's test
cases), `drawing` and `fuzz` (random configurations and schedules).
"""
