"""One scenario executed, in virtual time or by a network model, and judged."""
