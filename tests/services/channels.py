"""Exec channels that end in a test's hands instead of on a device."""

from __future__ import annotations

from twisted.internet.defer import fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import Exit, FrameDecoder, encode_frame


@implementer(IStreamClientEndpoint)
class Channels:
    """Stands where the switchboard stands; `say` and `exit` speak as the device."""

    def __init__(self) -> None:
        self.target = None
        self.refusal: EdgetainerError | None = None
        self.transport = StringTransport()
        self.transport.abortConnection = self.transport.loseConnection
        self.protocol = None

    def endpoint(self, device_id, target):
        self.device_id, self.target = device_id, target
        return self

    def connect(self, factory):
        if self.refusal is not None:
            return fail(self.refusal)
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        return succeed(self.protocol)

    def say(self, type_, payload=b""):
        self.protocol.dataReceived(encode_frame(type_, payload))

    def exit(self, code=0, signal=None):
        self.protocol.dataReceived(Exit(code, signal).encode())

    def heard(self):
        decoder = FrameDecoder()
        decoder.push(self.transport.value())
        return list(iter(decoder.pull, None))
