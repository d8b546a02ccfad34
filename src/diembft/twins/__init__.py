"""Twins: systematic Byzantine testing with unmodified code ("Twins: BFT Systems Made Robust", OPODIS 2021).

A faulty replica is two copies of the correct code that share one key. A scenario scripts, round by round,
who leads and who can talk to whom; whatever two copies can do that one replica must not do comes out.

Scenarios, in reading order: ``scenario`` (the value that everything else is about), ``text`` (its text form),
``formats``, ``python_files``, ``testconfig`` (files), ``partitions``, ``shuffle``, ``space`` (all scenarios of a shape:
counted, numbered, sampled, written), ``seed_generator`` (the seed's generator), ``strategies`` (for Hypothesis).
"""
