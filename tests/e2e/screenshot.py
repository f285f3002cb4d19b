"""Makes the README's picture from a real running system: `make screenshot`.

`python -m tests.e2e.screenshot docs/console.png`
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.browser import PATIENCE_MS, browser
from tests.e2e.test_browser_story import DEVICE, sign_in
from tests.system import System, running

# The one that a reader of the README will see as well; it has to be free.
PORT = 8443


def pose(page: Page, system: System) -> None:
    """Bring the page into the state that says most: a device, its shell, its container."""
    sign_in(page, system)
    page.get_by_role("link", name=DEVICE).click()
    page.get_by_role("navigation", name="Device").get_by_role("link", name="Containers").click()
    expect(page.get_by_text("Running", exact=True).first).to_be_visible()
    page.get_by_role("navigation", name="Device").get_by_role("link", name="Terminal").click()
    page.get_by_role("button", name=f"Open terminal on {DEVICE}").click()
    screen = page.locator(".xterm-rows:visible").last
    expect(screen).to_contain_text("#", timeout=PATIENCE_MS)
    # The shell as someone sees it who looks around; nothing of this machine's own.
    page.keyboard.type("PS1='device # '; clear\n")
    # What is typed before the shell has cleared the screen would stand there twice.
    expect(screen).to_have_text(re.compile(r"^\s*device #\s*$"))
    page.keyboard.type("docker ps --filter name=demo-web --format '{{.Names}}  {{.Status}}'\n")
    expect(screen).to_contain_text("Up ")
    page.get_by_role("navigation", name="Device").get_by_role("link", name="Overview").click()
    # Until heartbeats no longer tell of the work of starting all this.
    page.wait_for_timeout(25_000)


def main() -> None:
    """Write the picture to the file named on the command line."""
    target = Path(sys.argv[1])
    with (
        tempfile.TemporaryDirectory() as folder,
        running("sqlite", Path(folder), port=PORT) as system,
        browser(1280, 860) as window,
    ):
        pose(window.page, system)
        window.page.screenshot(path=str(target))
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
