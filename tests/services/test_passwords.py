from __future__ import annotations

import bcrypt
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from edgetainer.errors import EdgetainerError
from edgetainer.services import passwords
from edgetainer.services.passwords import QUEUE_LIMIT, Passwords
from tests.databases import result


@pytest.fixture
def door():
    return Passwords(pepper=b"p" * 32, reactor=None, cost=4)


def test_right_and_wrong(door):
    stored = result(door.hash("correct horse"))
    assert stored.startswith("$2b$04$")
    assert result(door.check("correct horse", stored)) is True
    assert result(door.check("correct horsf", stored)) is False
    assert result(door.hash("correct horse")) != stored


def test_nobody_takes_a_real_comparison(door):
    assert result(door.check("anything at all", None)) is False
    # What it is compared with is a hash that bcrypt works on in full.
    assert bcrypt.checkpw(b"x", door._nobody) is False


def test_long_passwords_count_to_their_end(door):
    stored = result(door.hash("x" * 1000 + "a"))
    assert result(door.check("x" * 1000 + "a", stored))
    assert not result(door.check("x" * 1000 + "b", stored))
    nul = result(door.hash("abc\x00def"))
    assert not result(door.check("abc\x00xyz", nul))


def test_one_letter_written_two_ways_is_one_letter(door):
    stored = result(door.hash("p\u00e4ssword with \ufb01"))
    assert result(door.check("pa\u0308ssword with fi", stored))


def test_hashes_without_the_pepper_are_worth_nothing(door):
    stored = result(door.hash("correct horse"))
    assert not result(
        Passwords(pepper=b"q" * 32, reactor=None, cost=4).check("correct horse", stored)
    )


@pytest.mark.parametrize(
    ("password", "fine"),
    [
        ("short", False),
        ("elevenchars", False),
        ("twelve chars", True),
        ("x" * 1025, False),
        ("Password1234", False),
        ("aaaaaaaaaaaaaaaa", False),
        ("abababababab", False),
        ("margaret-2026", False),
        ("margaret is here", True),
        ("\u00e4\u00f6\u00fc\u00df gr\u00fcne Wiese", True),
    ],
)
def test_rules(password, fine):
    reason = passwords.problem(password, username="margaret", email="margaret@x.test")
    assert (reason is None) == fine


def test_generated_ones_are_fine_and_differ():
    made = {passwords.generate() for _ in range(50)}
    assert len(made) == 50
    assert all(passwords.problem(one) is None for one in made)


@pytest_twisted.ensureDeferred
async def test_beside_the_reactor_and_no_endless_queue():
    door = Passwords(pepper=b"p" * 32, reactor=reactor, cost=4)
    try:
        waiting = [door.hash("correct horse") for _ in range(QUEUE_LIMIT)]
        with pytest.raises(EdgetainerError) as caught:
            await door.hash("one too many")
        assert caught.value.code == "unavailable"
        hashes = await gatherResults(waiting)
        assert len(set(hashes)) == QUEUE_LIMIT
        assert await door.check("correct horse", hashes[0])
    finally:
        door.close()
