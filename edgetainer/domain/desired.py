"""What should run on a device, of all that was deployed to it and its fleet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """A release that a deployment wants on a device.

    :param name: the stack's name on the device, a Compose project name.
    :param for_device: the deployment names the device itself and not its fleet.
    """

    deployment_id: str
    software_id: str
    name: str
    version: str
    compose: str
    for_device: bool


def effective(wanted: Iterable[Wanted]) -> tuple[Wanted, ...]:
    """The stacks to run, in the order of their names.

    Of one software the device's own deployment goes before its fleet's.
    """
    chosen: dict[str, Wanted] = {}
    for candidate in wanted:
        if candidate.for_device or candidate.software_id not in chosen:
            chosen[candidate.software_id] = candidate
    return tuple(sorted(chosen.values(), key=lambda stack: stack.name))
