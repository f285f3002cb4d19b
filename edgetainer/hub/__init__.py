"""The browser's WebSockets: live updates at ``/ws``, terminals at ``/ws/term``.

`socket` is what both share: exact origins, and the ticket in the first message.
`protocol` bounds them and puts them on the site; `topics` decides what one
client gets and how often; `terminal` joins a browser's terminal to a device's.
"""
