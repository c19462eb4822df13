"""Socket.IO handlers and the event publisher."""
