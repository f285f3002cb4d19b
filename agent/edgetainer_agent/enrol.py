"""Enrolment: a one-time token and a certificate request become an identity.

The only request the agent makes outside the tunnel. It is repeated until it
succeeds or the server says that it never will; the server answers the same for
the same token and key, so repeating costs nothing.
"""

from __future__ import annotations

import json
import random as random_module
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import treq
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.client import Agent, HTTPConnectionPool

from edgetainer.errors import CODES, EdgetainerError
from edgetainer_agent.durable import remove_durably
from edgetainer_agent.identity import Identity, certificate_request
from edgetainer_agent.trust import https_policy

log = Logger()

REGISTER_PATH = "/api/provision/register"
#: One attempt, seconds: enough for a satellite's round trips and a slow server.
ATTEMPT_TIMEOUT_S = 30.0
#: Full jitter between 0 and this, doubling from the first to the second, seconds.
BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 60.0
#: A reply holds two short certificates.
MAX_REPLY_BYTES = 64 * 1024
#: These may come from a server that is starting or overloaded.
TRANSIENT_STATUS = frozenset({408, 425, 429})


class Store(Protocol):
    """What enrolment needs of an `IdentityStore`."""

    def key(self) -> bytes:
        """The private key as PEM, the same at each call."""

    def save(self, identity: Identity) -> None:
        """Keep what enrolment brought."""


def https_client(
    reactor: Any, ca_file: Path | None, *, pool: HTTPConnectionPool | None = None
) -> HTTPClient:
    """A client that trusts the authorities in `ca_file`, or the system's.

    :param pool: keeps connections for whoever asks more than once.
    :raises EdgetainerError: `config_invalid` naming `ca_file`.
    """
    policy = https_policy(ca_file)
    return HTTPClient(
        Agent(reactor, contextFactory=policy, connectTimeout=ATTEMPT_TIMEOUT_S, pool=pool)
    )


class Enrolment:
    """One enrolment: `run` it once; `stop` ends it early.

    :param facts: what the server shows for the device until its first
        heartbeat: `hostname`, `os_version`, `hardware_info`.
    :param random: uniform(low, high), for the jitter.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        http: HTTPClient,
        store: Store,
        server_url: str,
        facts: dict[str, Any],
        token: str | None,
        token_file: Path | None,
        random: Callable[[float, float], float] = random_module.uniform,
    ) -> None:
        self._clock = clock
        self._http = http
        self._store = store
        self._server_url = server_url
        self._facts = facts
        self._token = token
        self._token_file = token_file
        self._random = random
        self._waiting: Deferred[Any] | None = None
        self._stopped = False

    def stop(self) -> None:
        """Make `run` end with `CancelledError`. Nothing half-done remains."""
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def run(self) -> Identity:
        """Enrol, however long the server is away.

        :raises EdgetainerError: a refusal that repeating cannot cure
            (`token_used`, `token_expired`, `token_unknown`, `csr_invalid`, …),
            or `config_invalid` without a token.
        """
        token = self._read_token()
        private_key = self._store.key()
        request = {
            "token": token,
            "csr": certificate_request(private_key, str(self._facts.get("hostname", ""))).decode(),
            **self._facts,
        }
        ceiling = BACKOFF_FIRST_S
        while True:
            try:
                reply = await self._ask(request)
                identity = Identity.from_reply(reply, private_key)
                break
            except _TryAgain as error:
                delay = self._random(0.0, ceiling)
                log.warn(
                    "Cannot enrol at {url} yet ({why}); trying again in {delay:.1f} s",
                    url=self._server_url,
                    why=error,
                    delay=delay,
                )
            await self._wait(deferLater(self._clock, delay))
            ceiling = min(BACKOFF_MAX_S, ceiling * 2)
        self._store.save(identity)
        forget_token(self._token_file)
        log.info("Enrolled as device {device}", device=identity.device_id)
        return identity

    def _read_token(self) -> str:
        if self._token is not None:
            return self._token
        if self._token_file is None:
            raise EdgetainerError(
                "config_invalid",
                "token: the device is not enrolled; give it a token or a token_file",
                field="token",
            )
        try:
            token = self._token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EdgetainerError(
                "config_invalid",
                f"token_file: the device is not enrolled and {self._token_file} cannot be read",
                field="token_file",
            ) from error
        if not token:
            raise EdgetainerError(
                "config_invalid", f"token_file: {self._token_file} is empty", field="token_file"
            )
        return token

    async def _ask(self, request: dict[str, Any]) -> Any:
        try:
            code, body = await self._wait(
                # No other address than the one in the settings gets the token.
                self._http.post(
                    self._server_url + REGISTER_PATH, json=request, allow_redirects=False
                )
                .addCallback(_whole)
                .addTimeout(ATTEMPT_TIMEOUT_S, self._clock)
            )
        except CancelledError:
            raise
        except Exception as error:
            # Whatever the network or TLS did, including a certificate that is
            # not valid yet because this device's clock is still wrong.
            raise _TryAgain(_describe(error)) from error
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if code == 200 and document is not None:
            return document
        if 400 <= code < 500 and code not in TRANSIENT_STATUS:
            raise _refusal(code, document)
        raise _TryAgain(f"the server answered {code}")

    async def _wait(self, deferred: Deferred[Any]) -> Any:
        # What is cancelled may report that in many ways (treq wraps it), so
        # whether it was us is remembered here and not read off the exception.
        self._waiting = deferred
        if self._stopped:
            deferred.cancel()
        try:
            return await deferred
        except Exception as error:
            if self._stopped:
                raise CancelledError() from error
            raise
        finally:
            self._waiting = None


def forget_token(file: Path | None) -> None:
    """Delete the file of a used token; it can do nothing but leak from now on."""
    if file is None or not file.exists():
        return
    try:
        remove_durably(file)
    except OSError as error:
        log.warn(
            "The used token cannot be removed from {file}: {why}",
            file=str(file),
            why=error.strerror,
        )


class _TryAgain(Exception):
    """This attempt failed; another may not."""


def _refusal(status: int, document: Any) -> EdgetainerError:
    document = document if isinstance(document, dict) else {}
    code, detail = document.get("code"), document.get("detail")
    if not isinstance(code, str) or code not in CODES:
        code = "invalid_request"
    if not isinstance(detail, str):
        detail = f"the server refused the enrolment with status {status}"
    return EdgetainerError(code, detail)


def _describe(error: Exception) -> str:
    reasons = getattr(error, "reasons", None)
    if reasons:
        # ResponseNeverReceived wraps what really happened.
        return "; ".join(str(reason.value) or repr(reason.value) for reason in reasons)
    return str(error) or type(error).__name__


def _whole(response: Any) -> Deferred[tuple[int, bytes]]:
    chunks: list[bytes] = []
    size = 0

    def collect(data: bytes) -> None:
        nonlocal size
        size += len(data)
        if size > MAX_REPLY_BYTES:
            raise _TryAgain("the server's reply is too large")
        chunks.append(data)

    return treq.collect(response, collect).addCallback(lambda _: (response.code, b"".join(chunks)))
