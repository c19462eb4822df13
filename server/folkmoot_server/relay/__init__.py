"""The relay of a hall (docs/spec/relay.md): pages and events for its phones, and an outbox while the link is cut."""
