"""The web UI is served from memory: right type, cached by name, compressed, never stale."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from twisted.web.resource import IResource

from edgetainer.api.webui import Pages, read_pages
from edgetainer.errors import EdgetainerError
from tests.api.asking import ask


@pytest.fixture
def site(tmp_path: Path) -> IResource:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>start")
    (tmp_path / "assets" / "app-1a2b.js").write_text("run()")
    (tmp_path / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"run()"))
    (tmp_path / ".sources.sha256").write_text("secret of the build")
    (tmp_path / ".vite").mkdir()
    (tmp_path / ".vite" / "manifest.json").write_text("{}")
    (tmp_path.parent / "outside").write_text("not meant")
    return Pages(read_pages(tmp_path))


@pytest.mark.parametrize("path", ["/", "/index.html", "/devices/1", "/outside", "/../outside"])
def test_an_address_of_the_ui_gets_the_start_page(site: IResource, path: str) -> None:
    answer = ask(site, path)
    assert answer.status == 200
    assert answer.body == b"<!doctype html>start"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_what_the_build_hides_is_not_served(site: IResource) -> None:
    assert ask(site, "/.sources.sha256").body == b"<!doctype html>start"
    assert ask(site, "/.vite/manifest.json").body == b"<!doctype html>start"
    assert ask(site, "/assets/app-1a2b.js.gz").status == 404


def test_a_folder_that_is_no_ui_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgetainerError, match=r"web_dir: .* holds no index\.html"):
        read_pages(tmp_path)
    (tmp_path / "index.html").symlink_to("/proc/self/mem")  # a file that cannot be read
    with pytest.raises(EdgetainerError, match=r"web_dir: cannot read the files of /"):
        read_pages(tmp_path)


def test_a_hashed_file_is_kept_for_ever_and_compressed_when_asked_for(site: IResource) -> None:
    plain = ask(site, "/assets/app-1a2b.js")
    assert plain.body == b"run()"
    assert "immutable" in plain.headers["cache-control"]
    assert "javascript" in plain.headers["content-type"]
    packed = ask(site, "/assets/app-1a2b.js", {"accept-encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == b"run()"


def test_a_current_copy_is_not_sent_again(site: IResource) -> None:
    etag = ask(site, "/").headers["etag"]
    again = ask(site, "/", {"if-none-match": etag})
    assert (again.status, again.body) == (304, b"")


def test_a_missing_hashed_file_is_not_the_start_page(site: IResource) -> None:
    assert ask(site, "/assets/gone-9f.js").status == 404


def test_head_has_no_body_and_writing_is_refused(site: IResource) -> None:
    head = ask(site, "/", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert ask(site, "/", method="POST").status == 405


def test_browsers_are_kept_to_https_only_where_told(site: IResource) -> None:
    assert "strict-transport-security" not in ask(site, "/").headers
    strict = Pages(read_pages(None), strict_transport=True)
    assert ask(strict, "/").headers["strict-transport-security"] == "max-age=31536000"


def test_an_unbuilt_ui_says_how_to_build_it() -> None:
    assert b"make web" in ask(Pages(read_pages(None)), "/").body
