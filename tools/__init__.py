"""Tools of the house: set-up, checks, lock files and generated documents."""
