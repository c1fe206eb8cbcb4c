"""A real browser for the page: Debian's chromium, driven by Playwright; tests skip where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# WebGL without a graphics card; no sandbox, because containers run tests as root.
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Opened:
    """A page in a tab, with everything it said and asked for.

    Attributes:
        tab: Playwright's page.
        expect: Playwright's assertions, which wait.
        console: What it wrote to the console, errors of scripts included.
        requests: Every address it asked for, itself left out.
        dialogs: What `alert` and its like said.
    """

    def __init__(self, tab: Any, address: str) -> None:
        from playwright.sync_api import expect

        # A machine that is busy with other things draws the map slowly.
        expect.set_options(timeout=20_000)

        self.tab = tab
        self.expect = expect
        self.console: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        tab.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("dialog", self._dismiss)
        tab.goto(address)
        tab.wait_for_selector("html[data-state=ready]")
        tab.wait_for_selector("#map:not([data-state=waiting])")
        self.requests = [request for request in self.requests if request.split("#")[0] != address.split("#")[0]]

    def _dismiss(self, dialog: Any) -> None:
        if dialog.type == "beforeunload":
            dialog.accept()
            return
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    @property
    def fetched(self) -> list[str]:
        """What was asked for beyond the page's own contents and the user's own files."""
        return [request for request in self.requests if not request.startswith(("data:", "blob:", "file:"))]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("IMGCLUSTER_TEST_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no chromium here: apt-get install chromium, or name one in IMGCLUSTER_TEST_BROWSER")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def show(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Return a function that opens a page; options are those of a Playwright context."""
    contexts = []

    def open_page(path: Path, **options: Any) -> Opened:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        return Opened(context.new_page(), path.as_uri())

    yield open_page
    for context in contexts:
        context.close()
