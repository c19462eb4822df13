"""Frozen settings, read once at start."""
