"""Deciding a whole space of scenarios: the states of a network model up to the fixed point; checks of keys."""
