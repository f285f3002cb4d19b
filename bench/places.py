"""Addresses and ports of the bench, the same for every stack."""

from __future__ import annotations

#: Addresses on the link.
SERVER = "10.9.0.1"
DEVICE, DEVICE_MOVED = "10.9.0.2", "10.9.0.3"
#: The device's "container": an address of its own that is not loopback, because the
#: agent never dials loopback.
SERVICE = "10.99.0.1"

#: On the server's address: the tunnel's UDP port, and sshd.
TUNNEL_PORT, SSH_PORT = 8444, 2222
#: On the server's loopback: what leads through the tunnel to the device.
BULK_DOOR, ECHO_DOOR = 9001, 9002
#: What the terminal says when it is in raw mode.
GREETING = "R"
#: On `SERVICE`: what they lead to.
BULK_PORT, ECHO_PORT = 8001, 8002
