"""Opaque tokens: random texts, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import secrets


def new() -> str:
    """A token of 256 random bits, fit for addresses and headers."""
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What is stored of a token: its SHA-256, hexadecimal."""
    # Of so many random bits there is nothing to guess, so nothing slow is needed.
    return hashlib.sha256(token.encode()).hexdigest()
