"""DiemBFT v4 in Python: the protocol core, its simulator, and Twins testing."""

__version__ = "0.1.0"
