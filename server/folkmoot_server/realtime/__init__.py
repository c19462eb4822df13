"""Socket.IO handlers, the event publisher, and the clocks that send what is due."""
