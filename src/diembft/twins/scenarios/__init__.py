"""What a scenario is: the value, its text and file forms, spaces of them, and the generators.

In reading order: ``scenario`` (the value that everything else is about), ``text`` (its text form), ``scenario_files``,
``python_files``, ``testconfig`` (files), ``partitions``, ``shape`` (what one round can be), ``symmetry``, ``shuffle``,
``space`` (all scenarios of a shape: counted, numbered, sampled, written), ``seed_generator`` (the seed's generator),
``strategies`` (for Hypothesis).
"""
