"""The aiohttp application: composition root, HTTP API, Socket.IO, storage and domain."""
