"""Live updates and terminals for browsers, over WebSocket."""
