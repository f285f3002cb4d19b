"""Types one byte every 100 ms into a terminal behind the tunnel and waits for each to return.

Open loop: the next byte is typed at its time whether or not the last one is back. A
connection that breaks is made anew at once, and again every 100 ms until it holds.

    python -m bench.echo

Commands on standard input, a line each: "pause", "resume", "mark TIME" and "stop". It
reports when the first byte is back, and after a mark the first one that was typed after
that moment. At the end of its input, or at "stop", it waits `GRACE_S` for what is under
way and reports [sent at, returned at or null] for each byte, how many came back wrong, and
how many connections it opened.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import time
from collections import deque

from bench import places

EVERY_S = 0.1
GRACE_S = 3.0


class Echo:
    """The typist."""

    def __init__(self) -> None:
        self.times: list[list[float | None]] = []
        self.wrong = 0
        self.opened = 0
        self._socket: socket.socket | None = None
        #: Indices of the bytes that have not come back on this connection.
        self._waiting: deque[int] = deque()
        self._selector = selectors.DefaultSelector()
        self._mark: float | None = 0.0
        self._greeted = False

    def type(self) -> None:
        """Send the next byte; without a terminal that is ready it is lost."""
        if self._socket is None:
            self._open()
        index = len(self.times)
        self.times.append([time.monotonic(), None])
        if self._socket is not None and self._greeted:
            try:
                self._socket.send(bytes([index & 255]))
                self._waiting.append(index)
            except BlockingIOError:
                pass  # full: the byte counts as typed and never returned
            except OSError:
                self._drop()

    def mark(self, moment: float) -> None:
        """Report the first byte that is back of those typed after this moment."""
        self._mark = moment

    def listen(self, until: float) -> bytes | None:
        """Take what comes back until this time, or until something was commanded."""
        while (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                if key.data is None:
                    return os.read(key.fd, 4096)
                self._read(key.data)
        return None

    def watch(self, commands: int) -> None:
        """From now on `listen` wakes up for commands on this descriptor."""
        self._selector.register(commands, selectors.EVENT_READ)

    def unwatch(self, commands: int) -> None:
        """No more of them."""
        self._selector.unregister(commands)

    @property
    def waiting(self) -> bool:
        """Whether any byte may still come back."""
        return bool(self._waiting)

    def _open(self) -> None:
        fresh = socket.socket()
        try:
            # The door is on this machine: it opens at once, or nobody is there.
            fresh.connect(("127.0.0.1", places.ECHO_DOOR))
        except OSError:
            fresh.close()
            return
        fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fresh.setblocking(False)
        self._socket = fresh
        self._selector.register(fresh, selectors.EVENT_READ, fresh)
        self.opened += 1

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = time.monotonic()
        ended = not data
        if data and not self._greeted:
            self._greeted = True
            self.wrong += data[:1] != places.GREETING.encode()
            data = data[1:]
        for byte in data:
            index = self._waiting.popleft() if self._waiting else -1
            if index < 0 or byte != index & 255:
                self.wrong += 1
                continue
            typed, self.times[index][1] = self.times[index][0], now
            if self._mark is not None and typed is not None and typed >= self._mark:
                self._mark = None
                print(json.dumps({"back": now}), flush=True)
        if ended:
            self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None
            self._greeted = False
            self._waiting.clear()


def main() -> None:
    """Type until told to stop, then report."""
    # Without it the figures would measure when this process gets its turn.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    echo = Echo()
    echo.watch(0)
    typing, due, over = True, time.monotonic(), False
    while not over:
        if time.monotonic() >= due:
            if typing:
                echo.type()
            due += EVERY_S
        commands = echo.listen(due)
        over = commands == b""
        for line in (commands or b"").splitlines():
            word, *rest = line.split()
            if word == b"mark":
                echo.mark(float(rest[0]))
            elif word == b"stop":
                over = True
            else:
                typing, due = word == b"resume", time.monotonic()
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
    main()
