"""Types one byte every 100 ms into a terminal behind the tunnel and waits for each to return.

Open loop: the next byte is typed at its time whether or not the last one is back. A
connection that breaks is made anew; with PATIENCE, one that is silent for so many
seconds gets a fresh one beside it, as a person opens another window.

    python -m bench.echo [PATIENCE]

Commands on standard input: "pause", "resume", "stop". It reports the first byte that is
back. At the end of its input, or at "stop", it waits `GRACE_S` for what is under way and
reports [sent at, returned at or null] for each byte, and how many came back wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys
import time
from collections import deque

from bench import places

EVERY_S = 0.1
GRACE_S = 3.0
#: Connections that are read at a time: the newest one and silent older ones.
MOST = 8


class Window:
    """One connection to the terminal."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The door is on this machine: it opens at once, or nobody is there.
        self.socket.connect(("127.0.0.1", places.ECHO_DOOR))
        self.socket.setblocking(False)
        self.opened = time.monotonic()
        #: Indices of the bytes that have not come back.
        self.waiting: deque[int] = deque()


class Echo:
    """The typist."""

    def __init__(self, patience: float | None) -> None:
        self.times: list[list[float | None]] = []
        self.wrong = 0
        self.opened = 0
        self._patience = patience
        self._windows: list[Window] = []
        self._selector = selectors.DefaultSelector()
        self._heard = time.monotonic()
        self._back = False

    def type(self) -> None:
        """Send the next byte, on the newest connection; without one it is lost."""
        now = time.monotonic()
        newest = self._windows[-1] if self._windows else None
        silent = newest and self._patience and now - max(self._heard, newest.opened)
        if newest is None or (silent and self._patience and silent > self._patience):
            newest = self._open() or newest
        index = len(self.times)
        self.times.append([now, None])
        if newest is not None:
            try:
                newest.socket.send(bytes([index & 255]))
                newest.waiting.append(index)
            except BlockingIOError:
                pass  # full: the byte counts as typed and never returned
            except OSError:
                self._drop(newest)

    def listen(self, until: float) -> bytes:
        """Take what comes back until this time; what was commanded meanwhile."""
        while (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                if key.data is not None:
                    self._read(key.data)
                else:
                    return os.read(key.fd, 100) or b"stop"
        return b""

    def watch(self, commands: int) -> None:
        """From now on `listen` wakes up for commands on this descriptor."""
        self._selector.register(commands, selectors.EVENT_READ)

    def unwatch(self, commands: int) -> None:
        """No more of them."""
        self._selector.unregister(commands)

    @property
    def waiting(self) -> bool:
        """Whether any byte may still come back."""
        return any(window.waiting for window in self._windows)

    def _open(self) -> Window | None:
        try:
            window = Window()
        except OSError:
            return None
        self.opened += 1
        if len(self._windows) == MOST:
            self._drop(self._windows[0])
        self._windows.append(window)
        self._selector.register(window.socket, selectors.EVENT_READ, window)
        return window

    def _read(self, window: Window) -> None:
        try:
            data = window.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = time.monotonic()
        if data and not self._back:
            self._back = True
            print(json.dumps({"back": now}), flush=True)
        self._heard = now
        for byte in data:
            index = window.waiting.popleft() if window.waiting else -1
            if index < 0 or byte != index & 255:
                self.wrong += 1
            else:
                self.times[index][1] = now
        if not data:
            self._drop(window)

    def _drop(self, window: Window) -> None:
        if window in self._windows:
            self._windows.remove(window)
            self._selector.unregister(window.socket)
            window.socket.close()


def main(patience: float | None = None) -> None:
    """Type until told to stop, then report."""
    # Without it the figures would measure when this process gets its turn.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    echo = Echo(patience)
    echo.watch(0)
    typing, due = True, time.monotonic()
    while True:
        if typing:
            echo.type()
        due += EVERY_S
        command = echo.listen(due)
        if b"stop" in command:
            break
        if command:
            typing = b"resume" in command
            due = time.monotonic()
    echo.unwatch(0)
    deadline = time.monotonic() + GRACE_S
    while echo.waiting and time.monotonic() < deadline:
        echo.listen(min(deadline, time.monotonic() + EVERY_S))
    report = {
        "times": echo.times,
        "wrong": echo.wrong,
        "opened": echo.opened,
        "until": time.monotonic(),
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
