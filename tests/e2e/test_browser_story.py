"""The main job as a person does it: a real browser, server, agent, engine and container."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import PATIENCE_MS, browser
from tests.system import System

pytestmark = pytest.mark.whole_machine

# Silence of 14 s, then one event to the browser. That people are told within 15 s is
# held against the fake clock (tests/paths/test_tunnel.py); a busy machine takes longer.
OFFLINE_WITHIN_S = 60.0
# Starting Python, one handshake, one event to the browser.
ONLINE_WITHIN_S = 60.0
DEVICE = "demo-device"


def sign_in(page: Page, system: System) -> None:
    page.goto(system.document["console_url"])
    page.get_by_label("User name").fill(system.document["admin_user"])
    page.get_by_label("Password", exact=True).fill(system.password)
    page.get_by_role("button", name="Sign in").click()


def see_status(page: Page, word: str, within_s: float) -> None:
    """Wait until the device list shows the demo device with this status."""
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=DEVICE))
    expect(row.get_by_text(word, exact=True)).to_be_visible(timeout=within_s * 1000)


def test_the_story(system: System) -> None:
    with browser() as window:
        page = window.page
        sign_in(page, system)
        see_status(page, "Online", ONLINE_WITHIN_S)

        page.get_by_role("link", name=DEVICE).click()
        device_url = page.url
        run_a_command(page)
        look_into_the_container(page)
        visit_the_container(page, system)

        page.goto(f"{system.document['console_url']}/devices")
        see_status(page, "Online", ONLINE_WITHIN_S)
        killed = time.monotonic()
        system.kill_agent()
        see_status(page, "Offline", OFFLINE_WITHIN_S)
        print(f"seen as offline after {time.monotonic() - killed:.1f} s")
        system.start_agent()
        see_status(page, "Online", ONLINE_WITHIN_S)

        page.goto(device_url)
        run_a_command(page)
        assert window.errors == []
        assert window.strangers == []


def test_it_was_told_on_the_database_asked_for(system: System) -> None:
    assert system.device_id in system.kept_devices()
    # The default would have been made in the state folder.
    assert not list((system.folder / "server").rglob("*.sqlite"))


def run_a_command(page: Page) -> None:
    """Open a terminal on the device, type a command, read what it prints."""
    page.get_by_role("navigation", name="Device").get_by_role("link", name="Terminal").click()
    page.get_by_role("button", name=f"Open terminal on {DEVICE}").click()
    screen = page.locator(".xterm-rows:visible").last
    expect(screen).to_contain_text(re.compile(r"[$#%>]"), timeout=PATIENCE_MS)
    # The answer is not in what is typed, so it can only come from the device.
    page.keyboard.type("echo the answer is $((6 * 7)), $TERM\n")
    expect(screen).to_contain_text("the answer is 42, xterm-256color")
    page.keyboard.type("sleep 60\n")
    page.keyboard.press("Control+c")
    page.keyboard.type("echo still $((20 + 3)) here\n")
    expect(screen).to_contain_text("still 23 here")
    page.keyboard.type("exit\n")


def look_into_the_container(page: Page) -> None:
    """Open a shell in the container, whose file system is its own."""
    page.get_by_role("navigation", name="Device").get_by_role("link", name="Containers").click()
    page.get_by_role("button", name="Open terminal in web").click()
    screen = page.locator(".xterm-rows:visible").last
    expect(screen).to_contain_text(re.compile(r"[$#%>]"), timeout=PATIENCE_MS)
    page.keyboard.type("ls /srv; echo $((6 * 7)) visible\n")
    expect(screen).to_contain_text("page.py")
    expect(screen).to_contain_text("42 visible")
    page.keyboard.type("exit\n")


def visit_the_container(page: Page, system: System) -> None:
    """Follow the device's own address to the page that its container serves."""
    host = re.sub(r"^https://|/$", "", system.document["device_url"])
    with page.expect_popup() as opened:
        page.get_by_role("link", name=host.split(":")[0]).first.click()
    visited = opened.value
    expect(visited.get_by_role("heading", name="Hello from the edge")).to_be_visible()
    visits = visited.locator("#visits")
    before = int(visits.inner_text())
    visited.reload()
    expect(visits).to_have_text(str(before + 1))
    visited.close()
