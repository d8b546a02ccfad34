"""Makes pyDistAlgo run on the Python of today. Knows nothing of consensus."""
