"""What a device serves, the same behind every tunnel: a bulk service and a raw terminal.

A bulk connection begins with one line: "send N" (N bytes, 0: without end) or "take",
whose receiver reports what it took on standard output when the sender is done.

    python -m bench.service
"""

from __future__ import annotations

import json
import os
import pty
import selectors
import signal
import socket
import sys
import threading
import tty
from collections.abc import Callable

from bench import places
from bench.meter import give, take


def bulk(connection: socket.socket) -> None:
    """One transfer."""
    with connection:
        line = b""
        while not line.endswith(b"\n") and len(line) < 64:
            got = connection.recv(1)
            if not got:
                return
            line += got
        word, *rest = line.decode().split()
        if word == "take":
            print(json.dumps({"took": take(connection).document()}), flush=True)
        else:
            give(connection, size=int(rest[0]) or None)


def echo(connection: socket.socket) -> None:
    """A terminal in raw mode whose program repeats what is typed."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    child, master = pty.fork()
    if child == 0:
        tty.setraw(0)
        os.write(1, places.GREETING.encode())
        os.execv("/bin/cat", ["cat"])
    try:
        with connection, selectors.DefaultSelector() as both:
            both.register(connection, selectors.EVENT_READ)
            both.register(master, selectors.EVENT_READ)
            while True:
                for key, _ in both.select():
                    if key.fileobj is connection:
                        data = connection.recv(4096)
                        if not data:
                            return
                        os.write(master, data)
                    else:
                        connection.sendall(os.read(master, 4096))
    except OSError:
        return
    finally:
        os.close(master)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def serve(port: int, handler: Callable[[socket.socket], None]) -> None:
    """Accept for ever, each connection on a thread of its own."""
    listener = socket.create_server((places.SERVICE, port), backlog=64)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=handler, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


if __name__ == "__main__":
    serve(places.BULK_PORT, bulk)
    serve(places.ECHO_PORT, echo)
    print(json.dumps({"listening": True}), flush=True)
    sys.stdin.read()
