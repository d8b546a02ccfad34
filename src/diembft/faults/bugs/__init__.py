"""Planted bugs, one a file: subclasses of one part of a replica that override one rule of it."""
