"""A real HTTPS server that enrols devices, with faults on demand."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.ssl import PrivateCertificate
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from edgetainer.errors import EdgetainerError
from tests.agent.authority import Authority

TOKEN = "tok-for-tests"


class EnrolmentServer:
    """Answers `POST /api/provision/register` as the product's server does.

    :ivar refuse: the error to answer with instead, or None.
    :ivar failures: answers still to be given with status 503.
    :ivar redirects: answers still to be given that lead to another page.
    :ivar silent: answers still to be withheld.
    """

    def __init__(self) -> None:
        self.authority = Authority()
        self.refuse: EdgetainerError | None = None
        self.failures = 0
        self.redirects = 0
        self.silent = 0
        self.requests: list[dict[str, Any]] = []
        self._port: Any = None
        self.url = ""
        self.device_id = "device-1"
        self.tunnel_address = "127.0.0.1:8444"

    async def start(self, reactor: Any) -> None:
        leaf = self.authority.server("localhost")
        context = PrivateCertificate.loadPEM(leaf.certificate_pem + leaf.key_pem)
        root = Resource()
        api, provision = Resource(), Resource()
        root.putChild(b"api", api)
        api.putChild(b"provision", provision)
        provision.putChild(b"register", _Register(self))
        endpoint = SSL4ServerEndpoint(reactor, 0, context.options(), interface="127.0.0.1")
        self._port = await endpoint.listen(Site(root))
        self.url = f"https://localhost:{self._port.getHost().port}"

    async def stop(self) -> None:
        await self._port.stopListening()

    def register(self, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests.append(document)
        if self.refuse is not None:
            return self.refuse.status, self.refuse.problem()
        if self.failures:
            self.failures -= 1
            return 503, EdgetainerError("unavailable").problem()
        if document["token"] != TOKEN:
            error = EdgetainerError("token_unknown")
            return error.status, error.problem()
        return 200, {
            "device_id": self.device_id,
            "certificate": self.authority.device(document["csr"].encode(), self.device_id).decode(),
            "ca": self.authority.pem.decode(),
            "tunnel": {"addresses": [self.tunnel_address], "server_name": "tunnel.edgetainer"},
        }


class _Register(Resource):
    isLeaf = True

    def __init__(self, server: EnrolmentServer) -> None:
        super().__init__()
        self._server = server

    def render_POST(self, request: Any) -> Any:
        if self._server.silent:
            self._server.silent -= 1
            return NOT_DONE_YET
        if self._server.redirects:
            self._server.redirects -= 1
            request.redirect(f"{self._server.url}/elsewhere".encode())
            return b""
        status, document = self._server.register(json.load(request.content))
        request.setResponseCode(status)
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(document).encode()
