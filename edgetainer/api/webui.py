"""The built web UI as a twisted.web resource.

Every file is read once at start: a few megabytes, and in return no request ever
touches the file system, so no request can name a file that was not meant. A path
that is no file gets the start page, because the UI has its own addresses.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from edgetainer.errors import EdgetainerError

# Vite names what it puts here by content, so it can be kept for a year.
_HASHED = "assets/"
_FOREVER = b"public, max-age=31536000, immutable"
_ASK_AGAIN = b"no-cache"
_ONE_YEAR_S = 31_536_000
_UNBUILT = """<!doctype html><title>Edgetainer</title>
<h1>The web UI is not built</h1>
<p>The server and its API work. To build the UI, run <code>make web</code> in the checkout
and start the server again.</p>
"""


@dataclass(frozen=True)
class Page:
    """One file as it is served."""

    content_type: bytes
    body: bytes
    compressed: bytes | None  # the same, gzip
    etag: bytes
    cache_control: bytes


def read_pages(folder: Path | None) -> dict[str, Page]:
    """Every file of the built UI by its path; only a hint where nothing is built.

    :raises EdgetainerError: `config_invalid`, the folder holds no UI or cannot be read.
    """
    if folder is None:
        return {"index.html": _page("index.html", _UNBUILT.encode(), None)}
    try:
        pages = dict(_read(folder))
    except OSError as error:
        raise _no_ui(f"cannot read the files of {folder}: {error}") from error
    if "index.html" not in pages:
        raise _no_ui(f"{folder} holds no index.html; is it the folder of the built web UI?")
    return pages


def _read(folder: Path) -> Iterator[tuple[str, Page]]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        # Compressed copies lie beside their files; what is hidden is the build's own.
        hidden = any(part.startswith(".") for part in inside.parts)
        if not hidden and path.suffix != ".gz" and path.is_file():
            compressed = path.with_name(f"{path.name}.gz")
            yield (
                inside.as_posix(),
                _page(
                    inside.as_posix(),
                    path.read_bytes(),
                    compressed.read_bytes() if compressed.is_file() else None,
                ),
            )


def _no_ui(detail: str) -> EdgetainerError:
    return EdgetainerError("config_invalid", f"web_dir: {detail}", field="web_dir")


def _page(name: str, body: bytes, compressed: bytes | None) -> Page:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind in ("application/javascript", "application/json"):
        kind += "; charset=utf-8"
    return Page(
        content_type=kind.encode(),
        body=body,
        compressed=compressed,
        etag=b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode(),
        cache_control=_FOREVER if name.startswith(_HASHED) else _ASK_AGAIN,
    )


class Pages(Resource):
    """Serves the files of `read_pages`.

    :param pages: by path without a leading slash; `index.html` must be among them.
    :param strict_transport: tell browsers to use nothing but HTTPS for this host; not
        for a self-issued certificate, where that would lock people out of other
        servers on `localhost`.
    """

    isLeaf = True

    def __init__(self, pages: dict[str, Page], *, strict_transport: bool = False) -> None:
        super().__init__()
        self._strict_transport = strict_transport
        self._pages = pages
        self._start = pages["index.html"]

    def render_GET(self, request: IRequest) -> bytes:
        """The file, or the start page for an address of the UI itself (HEAD as well)."""
        name = b"/".join(request.postpath).decode("utf-8", "replace")
        page = self._pages.get(name)
        if page is None:
            if name.startswith(_HASHED):
                # A page from before an update asks for what is gone: a start page
                # in its place would be run as a script.
                request.setResponseCode(404)
                request.setHeader(b"content-type", b"text/plain; charset=utf-8")
                return b"There is no such file; reload the page.\n"
            page = self._start
        return self._answer(request, page)

    def _answer(self, request: IRequest, page: Page) -> bytes:
        request.setHeader(b"content-type", page.content_type)
        request.setHeader(b"cache-control", page.cache_control)
        request.setHeader(b"vary", b"accept-encoding")
        if self._strict_transport:
            request.setHeader(b"strict-transport-security", b"max-age=%d" % _ONE_YEAR_S)
        if request.setETag(page.etag):  # the caller's copy is current (304)
            return b""
        accepted = request.getHeader(b"accept-encoding") or b""
        if page.compressed is not None and b"gzip" in accepted:
            request.setHeader(b"content-encoding", b"gzip")
            return page.compressed
        return page.body
