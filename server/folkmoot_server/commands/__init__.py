"""Use cases that change state: load, decide, save and append events in one transaction."""
