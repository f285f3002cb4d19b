"""QUIC, HTTP/3 and WebTransport on Twisted, around aioquic's state machines.

This package knows nothing of the product: it is aioquic on Twisted and fit to
be lifted out. Start with `endpoint.listen` and `endpoint.connect`.
"""
