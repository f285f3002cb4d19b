"""The device tunnel: Sessions, their Channels and the wire between them (PROTOCOL.md)."""
