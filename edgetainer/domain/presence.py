"""Which one word says how a device is."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """What the device list shows."""

    PENDING = "pending"  # expected; has never been connected
    ONLINE = "online"
    OFFLINE = "offline"
    UPDATING = "updating"  # online, a deployment is under way
    ERROR = "error"  # online, a deployment has failed


def status(*, online: bool, ever_seen: bool, deployments: Iterable[str] = ()) -> Status:
    """The status of a device.

    :param online: the device holds a tunnel session that is not silent.
    :param ever_seen: it was connected or reported at least once.
    :param deployments: the device's own state of each of its deployments
        (`pending`, `updating`, `deployed`, `failed`).
    """
    if not online:
        # What was going on when it left is no longer known to be so.
        return Status.OFFLINE if ever_seen else Status.PENDING
    states = set(deployments)
    if "updating" in states:
        return Status.UPDATING
    if "failed" in states:
        return Status.ERROR
    return Status.ONLINE
