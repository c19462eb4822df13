"""RFC 6962 hashing, proofs and C2SP checkpoints; knows nothing of elections."""
