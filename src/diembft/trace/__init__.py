"""The record of a run: its schema, writer and reader."""
