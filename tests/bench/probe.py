"""Numbered datagrams over a link and back: `probe.py echo` at one end, `send` at the other.

send ADDRESS COUNT EVERY_MS   reports [number, port seen by the echo, round trip in ms],
                              in the order in which they came back
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

PORT = 7007


def echo() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", PORT))
        print("ready", flush=True)
        while True:
            data, peer = server.recvfrom(2048)
            server.sendto(data + peer[1].to_bytes(2, "big"), peer)


def send(address: str, count: int, every_ms: float) -> None:
    found: list[tuple[int, int, float]] = []
    sent: dict[int, float] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1.0)

        def listen() -> None:
            try:
                while len(found) < count:
                    data = client.recv(2048)
                    number = int.from_bytes(data[:4], "big")
                    port = int.from_bytes(data[-2:], "big")
                    found.append((number, port, (time.monotonic() - sent[number]) * 1e3))
            except TimeoutError:
                pass  # what is not back in a second is lost

        client.sendto(b"", (address, PORT))  # binds the socket
        client.recv(2048)
        listener = threading.Thread(target=listen)
        listener.start()
        due = time.monotonic()
        for number in range(count):
            sent[number] = time.monotonic()
            client.sendto(number.to_bytes(4, "big") + bytes(96), (address, PORT))
            due += every_ms / 1e3
            # Sleeping for no time would still give the processor away.
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)
        listener.join()
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo()
    else:
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
