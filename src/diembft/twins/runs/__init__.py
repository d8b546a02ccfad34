"""Executing one scenario: in virtual time or by a network model, judged by the oracles, traced."""
