"""The demo's page shows its environment, counts its visits, and escapes what it shows."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from edgetainer.cli import demo_page


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GREETING", "Hello <b>edge</b>")
    monkeypatch.setattr(demo_page, "VISITS", demo_page.Visits())
    server = ThreadingHTTPServer(("127.0.0.1", 0), demo_page.Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read()


def test_the_page_counts_and_escapes(address: str) -> None:
    assert json.loads(get(f"{address}/state"))["visits"] == 0
    page = get(f"{address}/").decode()
    assert "<h1>Hello &lt;b&gt;edge&lt;/b&gt;</h1>" in page
    assert "<th>GREETING</th>" in page
    assert '<dd id="visits">1</dd>' in page
    get(f"{address}/")
    assert json.loads(get(f"{address}/state"))["visits"] == 2


def test_anything_else_is_not_there(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{address}/../etc/passwd")
