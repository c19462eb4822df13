"""ICE-lite, DTLS and SRTP; the only package that touches aiortc."""
