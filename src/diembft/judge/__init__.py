"""Judges: what must hold of a run, read from its record alone. Nothing here calls the core."""
