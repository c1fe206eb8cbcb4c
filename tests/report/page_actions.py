"""What a user does on the page, for the browser tests; nothing here is a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def reset(opened: Any) -> None:
    """Remove the selection, dialogs, search and changes of a test from a page that others use, too."""
    tab = opened.tab
    while tab.locator("dialog[open]").count():
        tab.keyboard.press("Escape")
    tab.fill("#search", "")
    while tab.locator("#plan-undo").is_enabled():
        tab.click("#plan-undo")
    if tab.locator("#selection").is_visible():
        tab.click("#selection-clear")
    if tab.locator("#map-select").get_attribute("aria-pressed") == "true":
        tab.click("#map-select")
    opened.console.clear()


def tiles(tab: Any, cluster: int | None = None) -> Any:
    """Return the tiles of a cluster on the page, or those of all images in the open dialog."""
    return tab.locator("#cluster-dialog .tiles:not(.strip) .tile" if cluster is None else f"#cluster{cluster} .tile")


def open_cluster(tab: Any, number: int) -> Any:
    """Open the dialog of a cluster, and return its tiles."""
    tab.locator(f"#cluster{number} .open").click()
    return tiles(tab)


def tick(tile: Any) -> None:
    tile.hover()
    tile.locator(".tick").click()


def selected(tab: Any) -> list[int]:
    """Return the selected images that are shown, each once."""
    found = "[...document.querySelectorAll('.tile.selected')].map((tile) => Number(tile.dataset.image))"
    return sorted(set(tab.evaluate(found)))


def saved_plan(tab: Any) -> dict[str, Any]:
    """Save the plan on the page and return its content."""
    while tab.locator("dialog[open]").count():
        tab.keyboard.press("Escape")
    tab.click("#plan-open")
    with tab.expect_download() as download:
        tab.click("#plan-save")
    tab.keyboard.press("Escape")
    plan: dict[str, Any] = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    return plan
