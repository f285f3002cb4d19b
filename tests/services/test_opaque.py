from __future__ import annotations

from edgetainer.services import opaque


def test_tokens_differ_and_their_hashes_do_not_tell_them():
    one, other = opaque.new(), opaque.new()
    assert one != other
    assert len(one) == 43
    assert opaque.hashed(one) == opaque.hashed(one) != opaque.hashed(other)
    assert opaque.hashed("abc").startswith("ba7816bf")
