"""The values that validators and clients exchange, and their canonical digests."""
