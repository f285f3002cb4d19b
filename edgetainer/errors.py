"""Errors that people and programs can act on.

Every failure that crosses a floor of the product is one `EdgetainerError`: a
stable code for programs, an HTTP status, and a sentence for a person that says
what happened, to what, and what to do. The table below is the whole list; a
code is never renamed or reused.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What a code always means, whatever it happened to."""

    status: int
    title: str


CODES: dict[str, Kind] = {
    # Requests that cannot be read.
    "invalid_json": Kind(400, "The body is not JSON"),
    "invalid_field": Kind(400, "A field is missing or wrong"),
    "invalid_request": Kind(400, "The request cannot be understood"),
    "body_too_large": Kind(413, "The body is too large"),
    "unsupported_media_type": Kind(415, "The body is of the wrong kind"),
    "headers_too_large": Kind(431, "The request's headers are too large"),
    "request_timeout": Kind(408, "The request did not arrive in time"),
    "not_found": Kind(404, "There is no such thing"),
    "method_not_allowed": Kind(405, "The method is not allowed here"),
    # Who is asking.
    "unauthenticated": Kind(401, "Sign in first"),
    "invalid_credentials": Kind(401, "The user name or password is wrong"),
    "session_expired": Kind(401, "The session has ended"),
    "ticket_invalid": Kind(401, "The ticket is unknown, used or expired"),
    "forbidden": Kind(403, "Not permitted"),
    "origin_refused": Kind(403, "The page that asked is not ours"),
    "too_many_attempts": Kind(429, "Too many attempts"),
    # Enrolment.
    "token_unknown": Kind(401, "The enrolment token is unknown"),
    "token_used": Kind(409, "The enrolment token has been used up"),
    "token_expired": Kind(401, "The enrolment token has expired"),
    "csr_invalid": Kind(400, "The certificate request is not usable"),
    "certificate_refused": Kind(401, "The device certificate is not accepted"),
    # Conflicts.
    "already_exists": Kind(409, "It exists already"),
    "in_use": Kind(409, "It is in use"),
    # Compose files and deployments.
    "compose_invalid": Kind(400, "The compose file is not usable"),
    "deployment_failed": Kind(502, "The deployment failed on the device"),
    # Reaching a device and what runs on it.
    "device_offline": Kind(503, "The device is offline"),
    "device_timeout": Kind(504, "The device did not answer in time"),
    "session_replaced": Kind(503, "A newer connection of the device took over"),
    "session_closed": Kind(503, "The device's connection was closed"),
    "channel_refused": Kind(502, "The device refused the channel"),
    "channel_limit": Kind(503, "Too many channels are open to the device"),
    "input_limit": Kind(413, "More was typed than the device takes"),
    "protocol_violation": Kind(502, "The peer broke the tunnel protocol"),
    "service_not_exposed": Kind(404, "The service is not exposed"),
    "container_not_found": Kind(404, "There is no such container"),
    "container_not_running": Kind(502, "The container is not running"),
    "port_closed": Kind(502, "Nothing listens on the container's port"),
    "command_failed": Kind(502, "The command could not be started"),
    "docker_unavailable": Kind(503, "The device has no Docker Engine"),
    # The outside door.
    "host_unknown": Kind(404, "No device or service has this address"),
    "misdirected": Kind(421, "The connection is for another host"),
    "upstream_invalid": Kind(502, "The container's answer is not HTTP"),
    "upstream_timeout": Kind(504, "The container did not answer in time"),
    # Ourselves.
    "unavailable": Kind(503, "Not available just now"),
    "internal": Kind(500, "Something went wrong on our side"),
    "config_invalid": Kind(500, "The configuration is not usable"),
}


class EdgetainerError(Exception):
    """A failure with a stable code and a sentence for people.

    :param code: a key of `CODES`.
    :param detail: what happened, to what, and what to do; safe to show to the
        caller, so it holds no secret and no stack trace.
    :param field: the path of the offending field, where there is one.
    """

    def __init__(self, code: str, detail: str = "", *, field: str | None = None) -> None:
        kind = CODES[code]
        self.code = code
        self.status = kind.status
        self.title = kind.title
        self.detail = detail or kind.title
        self.field = field
        super().__init__(f"{code}: {self.detail}")

    def problem(self) -> dict[str, Any]:
        """The error as an RFC 9457 problem document."""
        document: dict[str, Any] = {
            "type": f"urn:edgetainer:error:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.field is not None:
            document["field"] = self.field
        return document
