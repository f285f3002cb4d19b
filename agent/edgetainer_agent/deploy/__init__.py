"""Bringing the device to its desired state: a table decides, a runner acts, a store remembers."""
