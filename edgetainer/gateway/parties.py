"""Who takes part in an exchange, as the others see them: visitor, door and container's reader."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from twisted.internet.interfaces import IStreamClientEndpoint

from edgetainer.errors import EdgetainerError
from edgetainer.gateway.head import RequestHead
from edgetainer.gateway.pages import Reply

FieldList = Sequence[tuple[bytes, bytes]]


class Visitor(Interface):
    """What an exchange needs of HTTP towards the visitor; `Http1Protocol` is one."""

    address: str

    @property
    def answer_paused(self) -> bool:
        """Whether the visitor reads too slowly just now."""

    def inform(self, status: int, headers: FieldList = ()) -> None:
        """Send an interim response."""

    def respond(self, status: int, headers: FieldList, reason: bytes = b"") -> None:
        """Send the head of the response."""

    def write(self, data: bytes) -> None:
        """Send a piece of it."""

    def finish(self) -> None:
        """It is complete."""

    def switch(self, headers: FieldList) -> None:
        """Answer 101 and become a pipe."""

    def abort(self) -> None:
        """Break the connection."""

    def hold_body(self) -> None:
        """Bring no more of the request's body."""

    def release_body(self) -> None:
        """Bring the request's body."""


@dataclass(frozen=True)
class Passage:
    """What a request that may go to a container gets.

    :ivar way: to the container.
    :ivar recheck: raises EdgetainerError when the exchange may not go on.
    """

    way: IStreamClientEndpoint
    recheck: Callable[[], Awaitable[None]]


class Door(Interface):
    """Decides where a request goes. `Entrance` is one."""

    async def admit(self, head: RequestHead) -> Passage | Reply:
        """The passage to the container, or the gateway's own answer; raises EdgetainerError."""


class Reader(Interface):
    """Who hears what the container says."""

    def answer_informed(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """An interim response came."""

    def answer_begun(self, status: int, headers: list[tuple[bytes, bytes]], reason: bytes) -> None:
        """The head of the final response came."""

    def answer_switched(self, headers: list[tuple[bytes, bytes]]) -> None:
        """The container answered 101; `answer_received` brings raw bytes from here on."""

    def answer_received(self, data: bytes) -> None:
        """A piece of the body came."""

    def answer_ended(self) -> None:
        """The response is complete, or the raw stream has ended."""

    def answer_failed(self, error: EdgetainerError) -> None:
        """There will be no (whole) response."""

    def hold_body(self) -> None:
        """The container reads slowly."""

    def release_body(self) -> None:
        """The container reads again."""
