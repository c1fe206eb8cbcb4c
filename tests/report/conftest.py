"""One browser for all tests of the page: an installed Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from example_pages import example_page
from imgcluster.report.page import render

# WebGL without a graphics card; no sandbox, because containers run tests as root.
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
# All but WebGL is drawn by the processor itself, in half the time of a graphics card that it imitates.
ARGUMENTS.append("--disable-gpu-compositing")
# What Chromium then says about its own reading of the canvas; `test_page` checks that the page reads none.
READS_CANVAS = "GPU stall due to ReadPixels"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A busy machine draws the map slowly.
TIMEOUT_MS = 20_000


class Opened:
    """A page in a tab, with everything it wrote and requested.

    Attributes:
        tab: Playwright's page.
        expect: Playwright's assertions, which wait.
        console: Messages on the console, including errors of scripts, without `READS_CANVAS`.
        requests: Every requested address but the page's own.
        dialogs: Texts of `alert` and similar.
    """

    def __init__(self, tab: Any, address: str) -> None:
        from playwright.sync_api import expect

        expect.set_options(timeout=TIMEOUT_MS)
        self.tab = tab
        self.expect = expect
        self.console: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        tab.on("console", self._note)
        tab.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("dialog", self._dismiss)
        tab.goto(address)
        tab.wait_for_selector("html[data-state=ready]")
        tab.wait_for_selector("#map:not([data-state=waiting])")
        self.requests = [request for request in self.requests if request.split("#")[0] != address.split("#")[0]]

    def _note(self, message: Any) -> None:
        if READS_CANVAS not in message.text:
            self.console.append(f"{message.type}: {message.text}")

    def _dismiss(self, dialog: Any) -> None:
        if dialog.type == "beforeunload":
            dialog.accept()
            return
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    @property
    def fetched(self) -> list[str]:
        """Requests for anything but the page's own contents and the user's own files."""
        return [request for request in self.requests if not request.startswith(("data:", "blob:", "file:"))]


def _unavailable(reason: str) -> None:
    """Skip, or fail where the environment says that the browser tests must run."""
    if os.environ.get("IMGCLUSTER_REQUIRE_BROWSER"):
        pytest.fail(f"{reason}; unset IMGCLUSTER_REQUIRE_BROWSER to skip the browser tests")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _unavailable("Playwright is not installed: pip install playwright")
    found = os.environ.get("IMGCLUSTER_TEST_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        _unavailable("Chromium is not installed: apt-get install chromium, or name one in IMGCLUSTER_TEST_BROWSER")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        started.close()


@contextmanager
def _opener(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Give a function that opens a page, and close all that it opened."""
    contexts = []

    def open_page(path: Path, **options: Any) -> Opened:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        return Opened(context.new_page(), path.as_uri())

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def show_long(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Return a function that opens a page for all tests of a module; options are those of a Playwright context."""
    with _opener(browser) as show:
        yield show


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Return a function that opens a page for one test, as an open page costs time even if nobody uses it."""
    with _opener(browser) as show:
        yield show


def _example_opener(new_folder: Callable[[], Path], show: Callable[..., Opened]) -> Callable[..., Opened]:
    """Return a function that opens `example_page`; `options` are those of a Playwright context."""

    def open_example(labels: Sequence[int], options: dict[str, Any] | None = None, **changes: Any) -> Opened:
        path = new_folder() / "page.html"
        path.write_text(render(example_page(labels, **changes)), encoding="utf-8")
        return show(path, **(options or {}))

    return open_example


@pytest.fixture(scope="module")
def show_example_long(
    tmp_path_factory: pytest.TempPathFactory, show_long: Callable[..., Opened]
) -> Callable[..., Opened]:
    """Return a function that opens `example_page` for all tests of a module."""
    return _example_opener(lambda: tmp_path_factory.mktemp("page"), show_long)


@pytest.fixture
def show_example(tmp_path: Path, show: Callable[..., Opened]) -> Callable[..., Opened]:
    """Return a function that opens `example_page` for one test."""
    return _example_opener(lambda: tmp_path, show)
