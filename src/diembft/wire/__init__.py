"""Bytes to messages and back: total and limited in size."""
