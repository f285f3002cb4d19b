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


def standing(*, devices: int, deployed: int, failed: int, failure: str | None) -> tuple[str, str]:
    """How a deployment stands over all the devices it concerns.

    :param devices: how many it concerns; of these some are deployed, some failed.
    :param failure: what one of the failed said.
    :returns: "pending", "deployed" or "failed", and a sentence for people ("" for none).
    """
    if failed:
        said = failure or "no reason given"
        return "failed", said if devices == 1 else f"{failed} of {devices} devices failed: {said}"
    if devices and deployed == devices:
        return "deployed", ""
    return "pending", f"{deployed} of {devices} devices done" if devices > 1 else ""
