"""The browser's WebSockets: live updates at ``/ws``, terminals at ``/ws/term``.

`protocol` is what both share: exact origins, bounds, and the ticket in the first
message. `topics` decides what one client gets and how often; `terminal` joins a
browser's terminal to a device's.
"""
