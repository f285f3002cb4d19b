"""Passwords: rules, hashing and checking, off the reactor.

bcrypt refuses more than 72 bytes and stops at NUL, so it is given
base64(HMAC-SHA256(pepper, NFKC(password))): 44 characters whatever people type.
The pepper is kept beside the database, not in it: hashes that leak alone are
of no use to a guesser.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import unicodedata
from collections.abc import Callable
from typing import Any, TypeVar

import bcrypt
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from edgetainer.errors import EdgetainerError

T = TypeVar("T")

# 2**12 rounds: a third of a second of one core.
COST = 12
# Threads, so that a burst of sign-ins leaves cores for everything else.
THREADS = 2
# Waiting at once; beyond that the last would wait for a minute.
QUEUE_LIMIT = 64

LEAST = 12
MOST = 1024  # characters

# Long enough to pass the length rule, and tried first by everybody who guesses.
_COMMON = frozenset(
    {"123456789012", "1234567890123", "12345678901234", "1234567890ab", "123456123456"}
    | {"qwertyuiop123", "qwerty123456", "1q2w3e4r5t6y", "1qaz2wsx3edc", "q1w2e3r4t5y6"}
    | {"passwordpassword", "password1234", "password12345", "password123456", "passw0rd1234"}
    | {"administrator", "administrator1", "adminadminadmin", "admin1234567", "admin123456789"}
    | {"welcome12345", "letmein12345", "iloveyou1234", "changemechangeme", "changeme1234"}
    | {"correcthorsebatterystaple", "trustno1trustno1", "unbelievable", "motherfucker"}
    | {"edgetaineredgetainer", "edgetainer123", "edgetainer1234", "monkeymonkey"}
)


def problem(password: str, *, username: str = "", email: str = "") -> str | None:
    """Why a password may not be chosen; None when it may."""
    plain = unicodedata.normalize("NFKC", password)
    if len(plain) < LEAST:
        return f"Use at least {LEAST} characters."
    if len(plain) > MOST:
        return f"Use at most {MOST} characters."
    folded = plain.casefold()
    if folded in _COMMON or len(set(folded)) < 5:
        return "It is among the first that a guesser tries."
    for known in (username, email.partition("@")[0]):
        if len(known) > 3 and folded.replace(known.casefold(), "").strip("0123456789!.-_") == "":
            return "It is made of the user's name."
    return None


def generate() -> str:
    """A random password that can be read out: five groups of five letters and digits."""
    # 32 letters and digits without those that look alike: 125 bits.
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(5))


class Passwords:
    """Hashes and checks passwords on two threads of its own.

    :param pepper: 32 bytes, kept apart from the database.
    :param reactor: where results are delivered; None works at once in the
        caller's thread (command line, tests on a fake clock).
    :param cost: of bcrypt, 4 to 31; each step doubles the work.
    """

    def __init__(
        self, *, pepper: bytes, reactor: IReactorFromThreads | None, cost: int = COST
    ) -> None:
        self._pepper = pepper
        self._cost = cost
        self._reactor = reactor
        self._waiting = 0
        # Matches nothing, and takes as long to find out.
        self._nobody = f"$2b${cost:02}${'.' * 53}".encode()
        self._pool: ThreadPool | None = None
        if reactor is not None:
            self._pool = ThreadPool(minthreads=0, maxthreads=THREADS, name="passwords")
            self._pool.start()

    def hash(self, password: str) -> Deferred[str]:
        """The hash to store."""
        key = self._key(password)
        return self._run(lambda: bcrypt.hashpw(key, bcrypt.gensalt(self._cost)).decode())

    def check(self, password: str, stored: str | None) -> Deferred[bool]:
        """Whether `password` is the one that was hashed.

        :param stored: None where there is no such user; it takes as long.
        """
        key = self._key(password)
        known = self._nobody if stored is None else stored.encode()
        return self._run(lambda: bcrypt.checkpw(key, known) and stored is not None)

    def close(self) -> None:
        """Wait for what is being hashed and stop the threads."""
        if self._pool is not None:
            self._pool.stop()
            self._pool = None

    def _key(self, password: str) -> bytes:
        plain = unicodedata.normalize("NFKC", password).encode()
        return base64.b64encode(hmac.digest(self._pepper, plain, "sha256"))

    def _run(self, fn: Callable[[], T]) -> Deferred[T]:
        if self._reactor is None:
            return maybeDeferred(fn)
        if self._pool is None or self._waiting >= QUEUE_LIMIT:
            return maybeDeferred(_too_busy)
        self._waiting += 1
        done = deferToThreadPool(self._reactor, self._pool, fn)
        return done.addBoth(self._done)

    def _done(self, result: T) -> T:
        self._waiting -= 1
        return result


def _too_busy() -> Any:
    raise EdgetainerError("unavailable", "Too many people are signing in; try again shortly.")
