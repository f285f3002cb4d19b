"""A small blocking client of the REST API, for programs that start and stop a server.

It connects to an address of this machine and verifies the certificate for the
name that it asks for, so it works where `*.localhost` does not resolve.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any

# One answer; uploading a compose file or hashing a password takes under a second.
TIMEOUT_S = 30.0
# Longest answer read: lists of a demo or a test, not of a production fleet.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Refused(Exception):
    """The server answered with an error.

    :param status: HTTP status.
    :param code: stable code, or an empty text where the answer was no problem document.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class _Connection(http.client.HTTPSConnection):
    """HTTPS to `address`, whatever the host name resolves to."""

    def __init__(self, host: str, address: tuple[str, int], context: ssl.SSLContext) -> None:
        super().__init__(host, address[1], timeout=TIMEOUT_S, context=context)
        self._address = address
        self._context_used = context

    def connect(self) -> None:
        plain = socket.create_connection(self._address, self.timeout)
        self.sock = self._context_used.wrap_socket(plain, server_hostname=self.host)


class Client:
    """Asks one server.

    :param address: where it listens, IP address and port.
    :param host: the console's host name.
    :param ca_file: PEM of the authority that issued its certificate.
    """

    def __init__(self, *, address: tuple[str, int], host: str, ca_file: Path) -> None:
        self._address = address
        self._host = host
        self._ca_file = ca_file
        self._token: str | None = None

    def login(self, username: str, password: str) -> None:
        """Sign in; what follows is asked with the access token (10 minutes)."""
        answer = self.ask("POST", "/api/auth/login", {"username": username, "password": password})
        self._token = answer["access_token"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request of the API; the answer's JSON, None where it has no body.

        :raises Refused: the server's error.
        :raises OSError: nothing answers.
        """
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        status, content = self.fetch(
            method,
            path,
            headers=headers,
            body=None if body is None else json.dumps(body).encode(),
        )
        if status >= 400:
            raise _refused(status, content)
        return json.loads(content) if content else None

    def fetch(
        self,
        method: str,
        path: str,
        *,
        host: str | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[int, bytes]:
        """One request of any host of the server, the console's if none is named.

        :returns: status and body.
        """
        context = ssl.create_default_context(cafile=str(self._ca_file))
        connection = _Connection(host or self._host, self._address, context)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(MAX_ANSWER_BYTES)
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer: {error!r}") from error
        finally:
            connection.close()


def _refused(status: int, content: bytes) -> Refused:
    try:
        problem = json.loads(content)
        return Refused(status, problem["code"], problem.get("detail", ""))
    except (ValueError, KeyError, TypeError):
        return Refused(status, "", content[:200].decode("utf-8", "replace"))
