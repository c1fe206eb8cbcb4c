"""Changes that were not applied when the page was written again: they go on, or the page offers them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import imgcluster
from example_pages import example_page
from imgcluster.report.page import render
from page_actions import open_cluster, saved_plan, tick, tiles
from samples import paint

LABELS = [0] * 6 + [1] * 6 + [2] * 6


def write(path: Path, labels: list[int], identity: str, **changes: Any) -> None:
    path.write_text(render(example_page(labels, identity=identity * 24, **changes)), encoding="utf-8")


def reload(tab: Any) -> None:
    tab.reload()
    tab.wait_for_selector("html[data-state=ready]")


def rename(tab: Any, cluster: int, name: str) -> None:
    open_cluster(tab, cluster)
    tab.fill("#name", name)
    tab.press("#name", "Enter")
    tab.keyboard.press("Escape")


def move(tab: Any, cluster: int, at: int, target: int) -> None:
    tick(tiles(tab, cluster).nth(at))
    tab.select_option("#selection-target", str(target))
    tab.click("#selection-move")


def pin(tab: Any, cluster: int, at: int) -> None:
    tick(tiles(tab, cluster).nth(at))
    tab.click("#selection-pin")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The page, which the tests write again."""
    path = tmp_path / "page.html"
    write(path, LABELS, "1")
    return path


def test_changes_go_on_after_assign(tmp_path: Path, tiny_encoder: Path, show: Callable[..., Any]) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    paint(pictures / "later", per_folder=4)
    imgcluster.run([pictures], workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    page = show(out / "report.html")
    tab = page.tab
    rename(tab, 0, "Sea")
    open_cluster(tab, 1)
    tick(tiles(tab).nth(0))
    tab.click("#selection-new")
    tab.fill("#selection-name", "Boats")
    tab.press("#selection-name", "Enter")
    tick(tiles(tab).nth(1))
    tab.click("#selection-pin")
    before = saved_plan(tab)
    move(tab, 2, 1, 0)
    # The new images come first, so that all others have other indices.
    paint(pictures / "earlier", per_folder=2)
    imgcluster.embed([pictures], workspace=out, encoder=tiny_encoder, device="cpu")
    imgcluster.assign(workspace=out)
    reload(tab)
    assert tab.locator("#earlier").is_hidden()
    assert tab.locator("#plan-open").inner_text() == "Plan: 4 changes"
    after = saved_plan(tab)
    assert after["clustering"] != before["clustering"]
    assert len(after["misplaced"]) == 1
    assert {**after, "clustering": "", "misplaced": []} == {**before, "clustering": "", "misplaced": []}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(after), encoding="utf-8")
    summary = imgcluster.apply(file, workspace=out)
    assert (summary.named, summary.created, summary.misplaced, summary.pinned) == (1, 1, 2, 1)
    reload(tab)
    assert tab.locator("#earlier").is_hidden()
    assert tab.locator("#plan-open").inner_text() == "Plan"
    imgcluster.undo(workspace=out)
    reload(tab)
    assert tab.locator("#plan-open").inner_text() == "Plan: 4 changes"
    assert page.console == []


def test_changes_of_another_clustering_are_offered(path: Path, show: Callable[..., Any]) -> None:
    page = show(path)
    tab = page.tab
    rename(tab, 0, "Sea")
    rename(tab, 2, "Sky")
    pin(tab, 0, 1)
    pin(tab, 0, 2)
    move(tab, 1, 1, 0)
    move(tab, 1, 2, 2)
    # Image 02 is in another cluster than it was pinned in, image 07 is where it was to move, and cluster 2 is gone.
    write(path, [0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3], "2")
    reload(tab)
    assert tab.locator("#plan-open").inner_text() == "Plan"
    page.expect(tab.locator("#earlier")).to_contain_text("3 changes made on an earlier version of this page")
    page.expect(tab.locator("#earlier")).to_contain_text("2 changes of an earlier version cannot be added")
    tab.click("#earlier-add")
    plan = saved_plan(tab)
    assert plan["names"] == {"0": "Sea"}
    assert plan["misplaced"] == [{"path": "02.png", "to": 0}]
    assert sorted(plan["pinned"]) == ["01.png", "07.png"]
    assert tab.locator("#earlier-add").count() == 0
    # What cannot be added here is not lost.
    write(path, LABELS, "1")
    reload(tab)
    page.expect(tab.locator("#earlier")).to_contain_text("3 changes made")
    plan = saved_plan(tab)
    assert (plan["names"], plan["misplaced"]) == ({"2": "Sky"}, [{"path": "08.png", "to": 2}])
    assert page.console == []


def test_changes_that_were_added_are_offered_again_after_undo(path: Path, show: Callable[..., Any]) -> None:
    page = show(path)
    tab = page.tab
    pin(tab, 0, 1)
    write(path, LABELS[::-1], "2")
    reload(tab)
    pin(tab, 0, 2)
    tab.click("#earlier-add")
    page.expect(tab.locator("#earlier")).to_be_hidden()
    page.expect(tab.locator("#plan-open")).to_be_focused()
    assert tab.locator("#plan-open").inner_text() == "Plan: 2 changes"
    tab.click("#plan-undo")
    page.expect(tab.locator("#earlier")).to_be_visible()
    assert tab.locator("#plan-open").inner_text() == "Plan: 1 change"
    reload(tab)
    page.expect(tab.locator("#earlier")).to_be_visible()
    tab.click("#earlier-add")
    reload(tab)
    page.expect(tab.locator("#earlier")).to_be_hidden()
    assert tab.locator("#plan-open").inner_text() == "Plan: 2 changes"


def test_changes_that_are_discarded_can_be_put_back(path: Path, show: Callable[..., Any]) -> None:
    page = show(path)
    tab = page.tab
    pin(tab, 0, 1)
    write(path, LABELS[::-1], "2")
    reload(tab)
    tab.click("#earlier-discard")
    page.expect(tab.locator("#earlier")).to_have_text("Discarded.Undo")
    tab.keyboard.press("Enter")
    page.expect(tab.locator("#earlier")).to_contain_text("1 change made")
    tab.click("#earlier-discard")
    reload(tab)
    page.expect(tab.locator("#earlier")).to_be_hidden()
    write(path, LABELS, "1")
    reload(tab)
    assert tab.locator("#plan-open").inner_text() == "Plan"


def save_new_cluster(tab: Any) -> None:
    """Make a cluster of one image, and save the plan."""
    tick(tiles(tab, 0).nth(1))
    tab.click("#selection-new")
    tab.fill("#selection-name", "Boats")
    tab.press("#selection-name", "Enter")
    saved_plan(tab)


def test_what_was_applied_is_not_offered(path: Path, show: Callable[..., Any]) -> None:
    page = show(path)
    tab = page.tab
    save_new_cluster(tab)
    write(path, LABELS[::-1], "2")
    reload(tab)
    page.expect(tab.locator("#earlier")).to_contain_text("1 change made on an earlier version of this page")
    write(path, LABELS[::-1], "3", applied_to=("1" * 24,))
    reload(tab)
    page.expect(tab.locator("#earlier")).to_be_hidden()
    # Also not by later pages, until the plan is undone.
    write(path, LABELS[::-1], "2")
    reload(tab)
    page.expect(tab.locator("#earlier")).to_be_hidden()
    write(path, LABELS, "1")
    reload(tab)
    assert tab.locator("#plan-open").inner_text() == "Plan: 1 change"
    write(path, LABELS[::-1], "2")
    reload(tab)
    page.expect(tab.locator("#earlier")).to_be_visible()


def test_changes_after_the_plan_was_saved_are_offered(path: Path, show: Callable[..., Any]) -> None:
    page = show(path)
    tab = page.tab
    save_new_cluster(tab)
    move(tab, 0, 2, -2)
    write(path, LABELS[::-1], "2", applied_to=("1" * 24,))
    reload(tab)
    # The cluster was made by the plan that was applied.
    rename(tab, 1, "Boats")
    page.expect(tab.locator("#earlier")).to_contain_text("1 change made")
    tab.click("#earlier-add")
    plan = saved_plan(tab)
    assert "new_clusters" not in plan
    assert plan["misplaced"] == [{"path": "02.png", "to": 1}]


def test_changes_on_another_page_are_not_offered(path: Path, tmp_path: Path, show: Callable[..., Any]) -> None:
    page = show(path)
    tab = page.tab
    pin(tab, 0, 1)
    other = tmp_path / "other.html"
    write(other, LABELS[::-1], "2")
    tab.goto(other.as_uri())
    tab.wait_for_selector("html[data-state=ready]")
    page.expect(tab.locator("#earlier")).to_be_hidden()


def test_a_present_change_wins(path: Path, show: Callable[..., Any]) -> None:
    page = show(path)
    tab = page.tab
    rename(tab, 0, "Sea")
    move(tab, 0, 1, 1)
    move(tab, 0, 2, 1)
    for number, into in ((0, 1), (2, 1)):
        open_cluster(tab, number)
        tab.select_option("#split", "2")
        if number == 2:
            tab.select_option("#merge", str(into))
        tab.keyboard.press("Escape")
    labels = [*LABELS[:-1], 0]
    write(path, labels, "2")
    reload(tab)
    rename(tab, 0, "Lake")
    pin(tab, 0, 1)
    open_cluster(tab, 1)
    tab.select_option("#merge", "2")
    tab.keyboard.press("Escape")
    tab.click("#earlier-add")
    plan = saved_plan(tab)
    assert plan["names"] == {"0": "Lake"}
    assert plan["pinned"] == ["01.png"]
    assert plan["misplaced"] == [{"path": "02.png", "to": 1}]
    assert plan["split"] == [{"cluster": 0, "into": 2}]
    # Both merges together would be a cycle.
    assert plan["merges"] == [{"from": 1, "into": 2}]
