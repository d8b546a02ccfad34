"""Figures of this project, each by one command. `figures` has those of the core and the simulator together."""
