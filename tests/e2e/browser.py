"""A real Chromium, driven by Playwright, that remembers what should not have happened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

# Without these Chromium asks its maker's hosts for updates and the like.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What the server of a checkout shows; without it there is only a hint to look at.
PAGES = Path(__file__).parents[2] / "web" / "dist" / "index.html"
# Milliseconds until a page must show what was asked for; a busy machine is slow.
PATIENCE_MS = 15_000


@dataclass
class Browser:
    """One browser window and what went wrong in it."""

    context: BrowserContext
    page: Page
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)  # requests to hosts not ours

    def watch(self, page: Page) -> None:
        """Remember errors of a page, and requests that leave this machine."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console",
            lambda message: self.errors.append(message.text) if message.type == "error" else None,
        )
        page.on("request", lambda request: self._judge(request.url))

    def _judge(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        ours = host == "localhost" or host.endswith(".localhost")
        if parts.scheme not in ("data", "blob") and not ours:
            self.strangers.append(url)


@contextmanager
def browser(width: int = 1280, height: int = 860, *, dark: bool = False) -> Iterator[Browser]:
    """A window of this size.

    The server's own authority is in no list of Chromium's, so its certificates are
    let pass here; the clients of the other tests do verify them.
    """
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("there is no Chromium")
    if not PAGES.is_file():
        pytest.skip("the web UI is not built: make web")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        context = chromium.new_context(
            ignore_https_errors=True,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        window = Browser(context, page)
        window.watch(page)
        context.on("page", window.watch)
        yield window
        context.close()
        chromium.close()
