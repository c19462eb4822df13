"""The ballot protocol fm1: group, proofs, ballots, board, trustees, tally and offline verification; no I/O."""
