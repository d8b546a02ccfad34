"""Twins: systematic Byzantine testing with unmodified code ("Twins: BFT Systems Made Robust", OPODIS 2021).

A faulty replica is two copies of the correct code that share one key. A scenario scripts, round by round,
who leads and who can talk to whom; whatever two copies can do that one replica must not do comes out.

Four sub-rooms, each importing only those before it: ``scenarios`` (what a scenario is), ``runs`` (one executed and
judged), ``exhaustion`` (whole spaces decided), ``campaigns`` (many scenarios at once).
"""
