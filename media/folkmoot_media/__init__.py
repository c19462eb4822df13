"""The media worker: one process per core, own event loop, one UDP port, packets forwarded without decoding."""
