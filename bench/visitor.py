"""Who uses the tunnel at the server's end: one bulk transfer through a local port.

    python -m bench.visitor WAY SECONDS [BYTES]

WAY is "up" (the device sends) or "down". Reports on standard output when it began and,
for "up", what was received; for "down" the device's service reports that.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from bench import places
from bench.meter import give, take


def main(way: str, seconds: float, size: int = 0) -> None:
    """Transfer for so many seconds, or so many bytes if that is sooner."""
    start = time.monotonic()
    report: dict[str, object] = {"start": start}
    with socket.create_connection(("127.0.0.1", places.BULK_DOOR)) as connection:
        if way == "up":
            connection.sendall(f"send {size}\n".encode())
            report["took"] = take(connection, until=start + seconds).document()
        else:
            connection.sendall(b"take\n")
            report["sent"] = give(connection, size=size or None, until=start + seconds)
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:4]))
