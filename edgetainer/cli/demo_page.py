"""The demo stack's web page; the only program in the demo's container.

It runs alone, copied out of this package, with nothing but the standard library:
a page that shows the container's environment and counts its visits.
"""

from __future__ import annotations

import html
import json
import os
import platform
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000
# Set by every container engine or by the image; they say nothing about the demo.
UNINTERESTING = {"HOME", "PATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
STARTED = time.monotonic()


class Visits:
    """How often the page was asked for; asked from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self) -> None:
        with self._lock:
            self.count += 1


VISITS = Visits()

STYLE = """
:root { color-scheme: light dark; --ink: #14213d; --soft: #5b6785; --paper: #f4f6fb;
  --card: #fff; --line: #dfe4f0; --accent: #1c5fd6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf9; --soft: #9aa7c7;
  --paper: #0e1424; --card: #172038; --line: #2a3554; --accent: #7fb0ff; } }
* { box-sizing: border-box; margin: 0; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  min-height: 100vh; display: grid; place-items: center; padding: 2rem 1rem; }
main { width: min(44rem, 100%); background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem; padding: 2rem; box-shadow: 0 1rem 3rem rgb(10 20 60 / 12%); }
h1 { font-size: 1.75rem; letter-spacing: -.02em; }
p { color: var(--soft); margin: .5rem 0 1.5rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1rem; }
dl div { border: 1px solid var(--line); border-radius: .75rem; padding: .75rem 1rem; }
dt { color: var(--soft); font-size: .8rem; }
dd { font-size: 1.25rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
table { width: 100%; border-collapse: collapse; font: 14px/1.5 ui-monospace, monospace; }
th, td { text-align: left; padding: .4rem .5rem .4rem 0; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; vertical-align: top; font-weight: 400; }
th { color: var(--accent); width: 40%; }
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{greeting}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 8 8'%3E%3Crect width='8' height='8' rx='2' fill='%231c5fd6'/%3E%3C/svg%3E">
<style>{style}</style></head>
<body><main>
<h1>{greeting}</h1>
<p>This page comes out of a container on a device, through the device&rsquo;s own
connection to the server.</p>
<dl>
<div><dt>Visits</dt><dd id="visits">{visits}</dd></div>
<div><dt>Container</dt><dd>{host}</dd></div>
<div><dt>Python</dt><dd>{python}</dd></div>
<div><dt>Up for</dt><dd id="uptime">{uptime} s</dd></div>
</dl>
<h2>Environment</h2>
<table>{rows}</table>
</main>
<script>
setInterval(async () => {{
  try {{
    const now = await (await fetch("/state")).json();
    document.getElementById("visits").textContent = now.visits;
    document.getElementById("uptime").textContent = now.uptime_s + " s";
  }} catch {{ document.getElementById("uptime").textContent = "not reachable"; }}
}}, 2000);
</script>
</body></html>
"""


def state() -> dict[str, int]:
    """What changes while the page is open."""
    return {"visits": VISITS.count, "uptime_s": int(time.monotonic() - STARTED)}


def page() -> str:
    """The page as of now."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in sorted(os.environ.items())
        if name not in UNINTERESTING
    )
    now = state()
    return PAGE.format(
        style=STYLE,
        greeting=html.escape(os.environ.get("GREETING", "Hello")),
        visits=now["visits"],
        uptime=now["uptime_s"],
        host=html.escape(socket.gethostname()),
        python=html.escape(platform.python_version()),
        rows=rows,
    )


class Handler(BaseHTTPRequestHandler):
    """`/` is the page and counts as a visit; `/state` is what the open page asks for."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds; a kept connection that is idle for longer is closed

    def do_GET(self) -> None:
        if self.path == "/state":
            self._answer(200, "application/json", json.dumps(state()))
        elif self.path == "/":
            VISITS.add()
            self._answer(200, "text/html; charset=utf-8", page())
        else:
            self._answer(404, "text/plain; charset=utf-8", "There is nothing here.\n")

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # The first process of a container ignores this signal unless it says otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"serving on port {PORT}", flush=True)
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
