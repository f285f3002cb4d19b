"""Starts a connection from what is known of its path, and keeps what it learns."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.path_model import PathModel

EVERY_S = 60.0
"""Seconds between two writings at most: a device may lose its power at any time,
and its flash wears out by writing."""

CHANGED = 0.2
"""Share by which bandwidth or round trip must differ to be written again."""

Recall = Callable[[], PathModel | None]
Remember = Callable[[PathModel], object]


class PathKeeper:
    """Minds one connection from when it is made to its end.

    :param recall: what is remembered of the present network.
    :param remember: keeps what was learned of it.
    """

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        connection: Http3Connection,
        recall: Recall,
        remember: Remember,
    ) -> None:
        self._connection = connection
        self._recall = recall
        self._remember = remember
        known = recall()
        if known is not None:
            connection.start_from(known)
        self._writing = LoopingCall(self._keep)
        self._writing.clock = reactor
        self._writing.start(EVERY_S, now=False)
        connection.notify_close().addBoth(self._over)

    def _over(self, _: object) -> None:
        self._writing.stop()
        self._keep()

    def _keep(self) -> None:
        model = self._connection.path_model
        # Of the present network: the connection may have moved to another one.
        known = self._recall()
        if model is not None and (known is None or not alike(model, known)):
            self._remember(model)


def alike(one: PathModel, other: PathModel) -> bool:
    """Whether two models differ too little to matter."""
    return (
        abs(one.bandwidth - other.bandwidth) <= CHANGED * other.bandwidth
        and abs(one.min_rtt - other.min_rtt) <= CHANGED * other.min_rtt
    )
