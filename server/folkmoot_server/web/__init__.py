"""HTTP handlers and wire models."""
