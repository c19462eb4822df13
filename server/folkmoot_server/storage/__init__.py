"""Schema, engine and the single writer."""
