"""Running a command on a device."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import Schema
from edgetainer.services.commands import DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S, Commands

Argument = Annotated[str, Meta(max_length=8192)]


class Command(Schema):
    """A program and its arguments, or a line for the shell."""

    argv: Annotated[tuple[Argument, ...], Meta(min_length=1, max_length=1024)] | None = None
    command: Annotated[str, Meta(min_length=1, max_length=8192)] | None = None
    container: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=MAX_TIMEOUT_S)] = DEFAULT_TIMEOUT_S


def add_routes(routes: Routes, *, commands: Commands) -> None:
    """Add the route. It asks for the lesser right; the service asks for more on the host."""

    @routes.post("/api/devices/<uuid:device_id>/command", "command.container", body=Command)
    async def run_command(call: Call, device_id: str) -> dict[str, Any]:
        body: Command = call.body
        result = await commands.run(
            call.user,
            device_id,
            argv=body.argv,
            command=body.command,
            container=body.container,
            timeout_s=body.timeout_s,
        )
        return {
            "exit_code": result.exit_code,
            "signal": result.signal,
            # Programs write bytes; what is no UTF-8 is shown as U+FFFD.
            "stdout": result.stdout.decode("utf-8", "replace"),
            "stderr": result.stderr.decode("utf-8", "replace"),
            "truncated": result.truncated,
            "duration_s": result.duration_s,
        }
