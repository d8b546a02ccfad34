"""Exhaustion: the whole space of Twins scenarios, of every length, decided by merging equal states."""
