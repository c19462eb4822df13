"""Pure rules: no I/O, time and randomness come in as arguments."""
