"""Enrols again and again, killed one system call later each time.

A program, because what dies must be a process. Each round forks a child that
enrols an empty state folder and is killed (SIGKILL) just before its n-th call
that changes files; then a second child, left alone, starts from what remains.
Prints one JSON object a round, and ends with the round that nothing killed.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgetainer_agent.enrol import Enrolment, forget_token, https_client
from edgetainer_agent.identity import IdentityStore

#: What the agent uses to change files; each call is a point to die at.
CALLS = ("open", "write", "fsync", "rename", "unlink", "close")


def main(folder: Path, url: str, token: str) -> None:
    """Run all rounds below `folder`, against the server at `url`."""
    for step in itertools.count():
        state = folder / f"state-{step}"
        token_file = folder / f"token-{step}"
        token_file.write_text(token)
        run = functools.partial(enrol, folder, state, token_file, url)
        killed = in_child(run, kill_at=step)
        report: dict[str, Any] = {"step": step, "killed": killed}
        key = (state / "key.pem").read_bytes() if (state / "key.pem").exists() else None
        report["after_kill"] = condition(state)
        if killed:
            in_child(run, kill_at=None)
            report["after_restart"] = condition(state)
            report["key_kept"] = key in (None, (state / "key.pem").read_bytes())
            report["leftovers"] = sorted(
                [name for name in os.listdir(state) if name.startswith(".tmp")]
                + ([token_file.name] if token_file.exists() else [])
            )
        print(json.dumps(report), flush=True)
        if not killed:
            return


def in_child(run: Callable[[], None], *, kill_at: int | None) -> bool:
    """Run in a fork; returns whether it was killed. Any other failure is ours too."""
    pid = os.fork()
    if pid == 0:
        if kill_at is not None:
            count_calls(kill_at)
        try:
            run()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    if os.WEXITSTATUS(status):
        sys.exit("a round failed")
    return False


def count_calls(kill_at: int) -> None:
    """Make the `kill_at`-th call of `CALLS` from the agent's own files the last."""
    counter = itertools.count()

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if caller.startswith("edgetainer_agent.") and next(counter) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        return call

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def enrol(folder: Path, state: Path, token_file: Path, url: str) -> None:
    """What the agent does at start, and no more."""
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    store = IdentityStore(state)
    store.open()
    if store.load() is not None:
        forget_token(token_file)
        return
    running = Deferred.fromCoroutine(
        Enrolment(
            clock=reactor,  # type: ignore[arg-type]
            http=https_client(reactor, folder / "ca.pem"),
            store=store,
            server_url=url,
            facts={"hostname": "kiosk"},
            token=None,
            token_file=token_file,
        ).run()
    )
    failures: list[Any] = []
    running.addErrback(failures.append)
    running.addBoth(lambda _: reactor.stop())  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    if failures:
        failures[0].raiseException()


def condition(state: Path) -> str:
    """What a restarted agent would find."""
    store = IdentityStore(state)
    try:
        return "enrolled" if store.load() is not None else "not enrolled"
    except Exception as error:
        return f"half-enrolled: {error}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
