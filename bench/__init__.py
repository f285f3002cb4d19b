"""Measures the tunnel beside OpenSSH on bad links: see README.md."""
