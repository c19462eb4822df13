"""Servers that the load generator can drive."""
