"""Planted bugs and Byzantine actors: what the tests and oracles of this project must catch.

Each is one file that overrides one small rule; the protocol itself knows nothing of them. `registry.plant` turns
names of bugs into the classes that a replica is then made of; `actors` holds replicas that attack on purpose.
"""
