"""Signing and verifying behind one interface."""
