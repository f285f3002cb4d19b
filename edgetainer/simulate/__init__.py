"""Simulated devices: many light devices in one process that speak the real tunnel.

What talks to the server is the product's own code: enrolment, dialer, heartbeat,
pulling and reporting are those of the agent. What stands behind it is made up: the
machine, its containers, its shell. See docs/simulate.md.
"""
