"""Sans-IO forwarding core: bytes and now come in as arguments, packets and events go out as values."""
