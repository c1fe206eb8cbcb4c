"""Editing on the page: selecting images with pointer and keys, the plan's actions, undo, and storage in the browser."""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgcluster
from example_pages import example_page
from imgcluster.images.types import Exif
from imgcluster.report.page import render
from imgcluster.report.page_content import Findings, Unusual
from imgcluster.report.sampling import sampled
from page_actions import open_cluster, reset, saved_plan, selected, tick, tiles
from samples import paint

LABELS = [0] * 12 + [1] * 6 + [2] * 4 + [-1] * 2
# Cluster 0 in the upper left corner of the map, cluster 1 in the lower right one, all others in the upper right one.
POINTS = [
    *([-0.9 + 0.03 * number, 0.9] for number in range(12)),
    *([0.9, -0.9 + 0.03 * number] for number in range(6)),
    *([0.9, 0.9 - 0.03 * number] for number in range(6)),
]


@pytest.fixture
def show_example(show_example: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that opens a page of `LABELS`; its first argument is the options of a Playwright context."""
    return functools.partial(show_example, LABELS, points=POINTS)


@pytest.fixture(scope="module")
def opened(show_example_long: Callable[..., Any]) -> Any:
    """The example page, opened once for all tests that need no other."""
    return show_example_long(LABELS, points=POINTS)


@pytest.fixture
def page(opened: Any) -> Iterator[Any]:
    """The opened page without the selection, dialogs and changes of the previous test."""
    yield opened
    reset(opened)


def paths(*numbers: int) -> list[str]:
    return [f"{number:02d}.png" for number in numbers]


class TestSelecting:
    def test_checks_ctrl_and_shift(self, page: Any) -> None:
        tab = page.tab
        shown = open_cluster(tab, 0)
        tick(shown.nth(2))
        page.expect(tab.locator("#selection-text")).to_have_text("1 selected")
        shown.nth(5).click(modifiers=["Shift"])
        assert selected(tab) == [2, 3, 4, 5]
        # The range follows the anchor, and what was selected before stays.
        shown.nth(3).click(modifiers=["Shift"])
        assert selected(tab) == [2, 3]
        shown.nth(8).click(modifiers=["Control"])
        shown.nth(10).click(modifiers=["Shift"])
        assert selected(tab) == [2, 3, 8, 9, 10]
        shown.nth(9).click(modifiers=["Control"])
        tick(shown.nth(2))
        assert selected(tab) == [3, 8, 10]
        assert tab.locator("#image-dialog[open]").count() == 0
        assert shown.nth(3).get_attribute("aria-label").endswith("selected")
        tab.click("#selection-clear")
        assert selected(tab) == []
        page.expect(tab.locator("#selection")).to_be_hidden()
        assert page.console == []

    def test_the_selection_spans_clusters_and_a_click_still_opens_an_image(self, page: Any) -> None:
        tab = page.tab
        tick(tiles(tab, 0).nth(1))
        tick(tiles(tab, 2).nth(0))
        page.expect(tab.locator("#selection-text")).to_have_text("2 selected")
        tiles(tab, 1).nth(1).click()
        assert tab.locator("#image-title").inner_text() == "13.png"

    def test_a_rectangle_in_the_dialog_of_a_cluster(self, page: Any) -> None:
        tab = page.tab
        shown = open_cluster(tab, 0)
        shown.nth(11).scroll_into_view_if_needed()
        first, last = shown.nth(1).bounding_box(), shown.nth(3).bounding_box()
        middle = first["y"] + first["height"] / 2

        def drag(start: dict[str, float], end: dict[str, float]) -> None:
            tab.mouse.move(start["x"] + 30, middle)
            tab.mouse.down()
            tab.mouse.move(end["x"] + 30, middle + 5, steps=3)
            page.expect(tab.locator(".rectangle:visible")).to_have_count(1)
            tab.mouse.up()

        drag(first, last)
        assert selected(tab) == [1, 2, 3]
        assert tab.locator(".rectangle:visible").count() == 0
        assert tab.locator("#image-dialog[open]").count() == 0
        drag(last, shown.nth(4).bounding_box())
        assert selected(tab) == [3, 4]
        tab.keyboard.down("Control")
        drag(first, first)
        tab.keyboard.up("Control")
        assert selected(tab) == [1, 3, 4]
        # Without dragging, the next click opens an image.
        shown.nth(0).click()
        assert tab.locator("#image-dialog[open]").count() == 1

    @pytest.mark.parametrize("with_button", [False, True])
    def test_a_rectangle_on_the_map(self, page: Any, with_button: bool) -> None:
        tab = page.tab
        box = tab.locator("#map-view").bounding_box()
        if with_button:
            tab.click("#map-select")
            assert tab.locator("#map-select").get_attribute("aria-pressed") == "true"
        else:
            tab.keyboard.down("Shift")
        tab.mouse.move(box["x"] + 4, box["y"] + 4)
        tab.mouse.down()
        tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
        page.expect(tab.locator("#map-rectangle")).to_be_visible()
        tab.mouse.up()
        tab.keyboard.up("Shift")
        page.expect(tab.locator("#map-rectangle")).to_be_hidden()
        page.expect(tab.locator("#selection-text")).to_have_text("12 selected")
        assert set(selected(tab)) == set(range(12))
        assert tab.locator("#image-dialog[open]").count() == 0
        assert page.console == []

    def test_a_click_on_the_map_with_ctrl(self, page: Any) -> None:
        tab = page.tab
        tab.locator("#map-view").scroll_into_view_if_needed()
        view = tab.locator("#map-view").bounding_box()
        reach = min(view["width"], view["height"]) / 2 - 26
        tab.mouse.move(view["x"] + view["width"] / 2 + 0.9 * reach, view["y"] + view["height"] / 2 + 0.9 * reach)
        page.expect(tab.locator("#map-card .path")).to_have_text("12.png")
        tab.keyboard.down("Control")
        tab.mouse.down()
        tab.mouse.up()
        tab.keyboard.up("Control")
        assert selected(tab) == [12]

    def test_the_keyboard_alone(self, page: Any) -> None:
        tab = page.tab
        tab.locator("#cluster0 .open").focus()
        tab.keyboard.press("Enter")
        tiles(tab).nth(0).focus()
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("Space")
        assert selected(tab) == [1]
        tab.keyboard.press("Shift+ArrowRight")
        tab.keyboard.press("Shift+ArrowRight")
        assert selected(tab) == [1, 2, 3]
        tab.keyboard.press("Shift+ArrowLeft")
        assert selected(tab) == [1, 2]
        tab.keyboard.press("p")
        page.expect(tiles(tab).nth(2).locator(".moved")).to_have_text("pinned")
        assert selected(tab) == []
        # The focus is back on the image, so that the next key selects.
        page.expect(tiles(tab).nth(2)).to_be_focused()
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("Shift+End")
        assert selected(tab) == list(range(3, 12))
        tab.keyboard.press("n")
        tab.keyboard.type("Boats")
        tab.keyboard.press("Enter")
        tab.keyboard.press("Control+a")
        tab.keyboard.press("m")
        page.expect(tab.locator("#selection-target")).to_be_focused()
        page.expect(tab.locator("#selection-target")).to_contain_text("New cluster 1, Boats")
        tab.locator("#selection-target").select_option("1")
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        assert len(saved_plan(tab)["misplaced"]) == 12
        for _ in range(2):
            tab.keyboard.press("Control+z")
        assert saved_plan(tab)["pinned"] == paths(1, 2)
        assert page.console == []

    def test_keys_work_after_a_click_beside_the_images_and_with_caps_lock(self, page: Any) -> None:
        tab = page.tab
        for number in (1, 2):
            tick(tiles(tab, 0).nth(number))
            tab.mouse.click(5, 300)
            assert tab.evaluate("document.activeElement.tagName") == "BODY"
            tab.keyboard.press("P" if number == 1 else "Escape")
            page.expect(tab.locator(".tile.selected")).to_have_count(0)
        page.expect(tab.locator("#plan-open")).to_have_text("Plan: 1 change")
        # What is behind a dialog is not changed.
        tick(tiles(tab, 0).nth(1))
        tab.click("#plan-open")
        tab.evaluate("document.activeElement.blur()")
        for key in ("x", "Escape"):
            tab.keyboard.press(key)
        assert selected(tab) == [1]
        page.expect(tab.locator("#plan-open")).to_have_text("Plan: 1 change")
        tab.evaluate(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Z', ctrlKey: true, bubbles: true}))"
        )
        page.expect(tab.locator("#plan-open")).to_have_text("Plan")
        assert page.console == []

    def test_a_narrow_window_shows_all_images_that_keys_reach(self, show_example: Callable[..., Any]) -> None:
        page = show_example({"viewport": {"width": 390, "height": 844}})
        shown = tiles(page.tab, 0)
        assert shown.evaluate_all("(found) => found.every((tile) => tile.checkVisibility())")
        shown.nth(7).focus()
        page.tab.keyboard.press("ArrowRight")
        page.expect(shown.nth(8)).to_be_focused()

    def test_space_and_shift_with_arrows_select_on_the_map(self, page: Any) -> None:
        tab = page.tab
        tab.focus("#map-view")
        tab.keyboard.press("0")
        tab.keyboard.press("Space")
        page.expect(tab.locator("#selection-text")).to_have_text("1 selected")
        for _ in range(8):
            tab.keyboard.press("Shift+ArrowDown")
        assert len(selected(tab)) > 1
        tab.keyboard.press("Escape")
        assert selected(tab) == []

    def test_the_help_names_the_keys(self, page: Any) -> None:
        tab = page.tab
        tiles(tab, 0).first.focus()
        tab.keyboard.press("?")
        text = tab.locator("#help-dialog").inner_text()
        assert all(word in text for word in ("Space", "Shift + arrow keys", "Ctrl/Cmd + Z", "Escape", "rectangle"))
        tab.keyboard.press("Escape")
        tab.click("#help-open")
        page.expect(tab.locator("#help-dialog")).to_be_visible()


@pytest.fixture(scope="module")
def photographs(show_example_long: Callable[..., Any]) -> Any:
    """A page of three photographs with a time, the earliest in the middle, and one image without."""
    times = ["2021-05-12T12:21:21", "2019-12-31T23:59:59+09:00", "", "2021-05-12T12:21:20"]
    images = example_page([0] * 4).images
    exif = [Exif(captured=time, camera="Acme One" if time else "") for time in times]
    return show_example_long([0] * 4, images=replace(images, exif=exif))


def test_photographs_are_sorted_by_date_and_show_it(photographs: Any) -> None:
    tab = photographs.tab
    shown = open_cluster(tab, 0)
    index = "(found) => found.map((tile) => Number(tile.dataset.image))"
    tab.select_option("#order", "oldest")
    assert shown.evaluate_all(index) == [1, 3, 0, 2]
    tab.select_option("#order", "newest")
    assert shown.evaluate_all(index) == [0, 3, 1, 2]
    shown.nth(2).click()
    facts = tab.locator("#image-dialog dl.facts").first
    photographs.expect(facts).to_contain_text("2019-12-31 23:59:59")
    photographs.expect(facts).to_contain_text("Acme One")
    tab.click("#image-next")
    photographs.expect(facts).not_to_contain_text("Captured")
    photographs.expect(facts).not_to_contain_text("Camera")


def test_images_without_dates_are_not_offered_in_their_order(page: Any) -> None:
    open_cluster(page.tab, 0)
    offered = page.tab.locator("#order option").evaluate_all("(found) => found.map((option) => option.value)")
    assert {"name", "largest"} < set(offered)
    assert not {"oldest", "newest"} & set(offered)


def test_images_of_a_cluster_are_sorted_and_selected_in_that_order(page: Any) -> None:
    tab = page.tab
    shown = open_cluster(tab, 0)
    index = "(found) => found.map((tile) => Number(tile.dataset.image))"
    assert shown.evaluate_all(index) == list(range(12))
    tab.select_option("#order", "uncertain")
    assert shown.evaluate_all(index) == list(range(11, -1, -1))
    tab.select_option("#order", "largest")
    by_pixels = shown.evaluate_all(index)
    assert [number % 5 for number in by_pixels] == sorted((number % 5 for number in range(12)), reverse=True)
    tick(shown.nth(0))
    shown.nth(2).click(modifiers=["Shift"])
    assert selected(tab) == sorted(by_pixels[:3])
    # The next cluster has the same order.
    tab.keyboard.press("Escape")
    shown = open_cluster(tab, 1)
    assert shown.evaluate_all(index)[0] == 14
    tab.select_option("#order", "name")
    assert shown.evaluate_all(index) == list(range(12, 18))
    tab.select_option("#order", "confident")
    assert page.console == []


class TestActions:
    def test_every_action_is_in_the_plan(self, page: Any) -> None:
        tab = page.tab
        shown = open_cluster(tab, 0)
        tick(shown.nth(1))
        tick(shown.nth(2))
        tab.select_option("#selection-target", "1")
        tab.click("#selection-move")
        page.expect(tab.locator("#selection-text")).to_contain_text("Cluster 1")
        page.expect(shown.nth(2).locator(".moved")).to_have_text("→ 1")
        tick(shown.nth(3))
        tick(shown.nth(4))
        tab.click("#selection-new")
        tab.fill("#selection-name", " Boats ")
        tab.press("#selection-name", "Enter")
        page.expect(shown.nth(4).locator(".moved")).to_have_text("→ new 1")
        tick(shown.nth(5))
        tab.click("#selection-reject")
        tick(shown.nth(6))
        tab.click("#selection-pin")
        tab.select_option("#split", "3")
        tab.keyboard.press("Escape")
        assert "split into 3" in tab.locator("#cluster0 .merged").inner_text()
        assert tab.locator("#plan-open").inner_text() == "Plan: 5 changes"
        plan = saved_plan(tab)
        assert plan["misplaced"] == [{"path": path, "to": 1} for path in paths(1, 2)]
        assert plan["new_clusters"] == [{"name": "Boats", "images": paths(3, 4)}]
        assert (plan["unsorted"], plan["pinned"]) == (paths(5), paths(6))
        assert plan["split"] == [{"cluster": 0, "into": 3}]
        assert page.console == []

    def test_an_image_has_one_decision(self, page: Any) -> None:
        tab = page.tab
        for button in ("#selection-pin", "#selection-reject", "#selection-new", "#selection-reject"):
            tick(tiles(tab, 0).nth(1))
            tab.click(button)
        plan = saved_plan(tab)
        assert plan["unsorted"] == paths(1)
        assert {"new_clusters", "pinned"}.isdisjoint(plan)
        assert plan["misplaced"] == []

    def test_a_plan_of_names_alone_has_no_new_keys(self, page: Any) -> None:
        tab = page.tab
        open_cluster(tab, 0)
        tab.fill("#name", "Sea")
        tab.press("#name", "Enter")
        page.expect(tab.locator("#cluster0 .all")).to_have_attribute("aria-label", "Show all 12: Cluster 0, Sea")
        assert set(saved_plan(tab)) == {"imgcluster_plan", "clustering", "names", "merges", "misplaced"}

    def test_a_cluster_is_split_or_merged_but_not_both(self, page: Any) -> None:
        tab = page.tab
        open_cluster(tab, 1)
        assert tab.locator("#split option").count() == 6
        tab.select_option("#split", "2")
        tab.select_option("#merge", "0")
        assert tab.input_value("#split") == ""
        tab.select_option("#split", "4")
        assert tab.input_value("#merge") == ""
        plan = saved_plan(tab)
        assert (plan["merges"], plan["split"]) == ([], [{"cluster": 1, "into": 4}])

    def test_a_cluster_that_is_merged_gets_no_name(self, show_example: Callable[..., Any]) -> None:
        clusters = example_page(LABELS).clusters
        page = show_example(clusters=(replace(clusters[0], name="Sea"), *clusters[1:]))
        tab = page.tab
        open_cluster(tab, 0)
        tab.select_option("#merge", "1")
        tab.fill("#name", "Boats")
        tab.press("#name", "Enter")
        problem = tab.locator("#cluster-dialog .problem")
        assert "merged into Cluster 1" in problem.inner_text()
        assert saved_plan(tab)["names"] == {}
        # Cluster 1 takes over the name when the plan is applied, so no other cluster can have it.
        open_cluster(tab, 2)
        tab.fill("#name", "sea")
        tab.press("#name", "Enter")
        assert "already has this name" in problem.inner_text()
        tab.select_option("#split", "2")
        assert problem.inner_text() == ""
        tab.keyboard.press("Escape")
        open_cluster(tab, 1)
        tab.fill("#name", "Boats")
        tab.press("#name", "Enter")
        tab.keyboard.press("Escape")
        open_cluster(tab, 2)
        tab.fill("#name", "sea")
        tab.press("#name", "Enter")
        assert saved_plan(tab)["names"] == {"1": "Boats", "2": "sea"}
        assert page.console == []

    def test_merges_of_merges_are_shown_where_they_end(self, page: Any) -> None:
        tab = page.tab
        tick(tiles(tab, 2).nth(1))
        tab.select_option("#selection-target", "0")
        tab.click("#selection-move")
        for number, into in ((0, 1), (1, -1)):
            open_cluster(tab, number)
            tab.select_option("#merge", str(into))
            tab.keyboard.press("Escape")
        open_cluster(tab, 0)
        assert tab.input_value("#merge") == "-1"
        tab.keyboard.press("Escape")
        page.expect(tiles(tab, 2).nth(1).locator(".moved")).to_have_text("→ noise")
        tiles(tab, 2).nth(1).click()
        assert tab.input_value("#misplaced") == "-1"
        plan = saved_plan(tab)
        assert plan["merges"] == [{"from": 0, "into": 1}, {"from": 1, "into": "noise"}]
        assert plan["misplaced"] == [{"path": "19.png", "to": 0}]

    def test_images_that_are_in_the_cluster_already_are_not_counted_as_moved(self, page: Any) -> None:
        tab = page.tab
        for cluster, number in ((0, 1), (1, 2), (1, 3)):
            tick(tiles(tab, cluster).nth(number))
        tab.select_option("#selection-target", "1")
        tab.click("#selection-move")
        page.expect(tab.locator("#selection-text")).to_contain_text("1 image will move")
        page.expect(tab.locator("#selection-text")).to_contain_text("2 images are in it already")
        assert saved_plan(tab)["misplaced"] == [{"path": "01.png", "to": 1}]

    def test_names_of_new_clusters_differ_from_all_others(self, show_example: Callable[..., Any]) -> None:
        clusters = example_page(LABELS).clusters
        page = show_example(clusters=(replace(clusters[0], name="Sea"), *clusters[1:]))
        tab = page.tab
        tick(tiles(tab, 1).first)
        tab.click("#selection-new")
        tab.fill("#selection-name", "sea")
        tab.press("#selection-name", "Enter")
        assert "Cluster 0" in tab.locator("#selection .problem").inner_text()
        tab.fill("#selection-name", "<b>x</b>")
        tab.press("#selection-name", "Enter")
        tiles(tab, 2).first.click()
        assert "New cluster 1, <b>x</b>" in tab.locator("#misplaced").inner_text()
        tab.click("#image-pin")
        assert tab.locator("#image-pin").get_attribute("aria-pressed") == "true"
        tab.select_option("#misplaced", "-2")
        assert tab.locator("#image-pin").get_attribute("aria-pressed") == "false"
        assert saved_plan(tab)["new_clusters"] == [{"name": "<b>x</b>", "images": paths(12, 18)}]
        assert page.dialogs == []

    def test_changes_are_undone_one_by_one(self, page: Any) -> None:
        tab = page.tab
        assert tab.locator("#plan-undo").is_disabled()
        tick(tiles(tab, 0).nth(1))
        assert tab.locator("#selection-undo").is_disabled()
        tab.click("#selection-pin")
        tick(tiles(tab, 0).nth(2))
        tab.click("#selection-reject")
        open_cluster(tab, 0)
        tab.select_option("#split", "2")
        tab.keyboard.press("Escape")
        tab.click("#plan-undo")
        assert "split" not in saved_plan(tab)
        tab.locator("#selection-undo").click()
        assert "unsorted" not in saved_plan(tab)
        tab.fill("#search", "x")
        tab.keyboard.press("Control+z")  # undoes the typing
        assert tab.locator("#plan-open").inner_text() == "Plan: 1 change"
        tab.fill("#search", "")
        tick(tiles(tab, 0).nth(1))
        tab.focus("#selection-target")
        tab.keyboard.press("Control+z")
        page.expect(tab.locator("#selection-target")).to_be_focused()
        assert tab.locator("#plan-open").inner_text() == "Plan"
        assert tab.locator("#plan-undo").is_disabled()
        assert page.console == []

    def test_images_are_removed_from_the_plan_one_after_the_other_with_keys(self, page: Any) -> None:
        tab = page.tab
        for number in (1, 2, 3):
            tick(tiles(tab, 0).nth(number))
        tab.click("#selection-pin")
        tick(tiles(tab, 1).nth(1))
        tab.click("#selection-reject")
        tab.click("#plan-open")
        tab.click("#plan-pinned summary")
        remove = tab.locator("#plan-pinned button")
        remove.first.focus()
        for left in (2, 1):
            tab.keyboard.press("Enter")
            # The list of a single image is its row.
            page.expect(remove).to_have_count(left if left > 1 else 0)
            focused = tab.evaluate("document.activeElement.getAttribute('aria-label')")
            assert focused == ("Remove: 02.png" if left == 2 else "Remove: Pin 03.png")
            if left == 2:
                page.expect(remove.first).to_be_focused()
        for _ in range(2):
            tab.keyboard.press("Shift+Tab")
            tab.keyboard.press("Tab")
            tab.keyboard.press("Enter")
        page.expect(tab.locator("#plan-dialog .close")).to_be_focused()
        page.expect(tab.locator("#plan-open")).to_have_text("Plan")
        assert page.console == []

    def test_screen_readers_say_what_happens_to_an_image(self, page: Any) -> None:
        tab = page.tab
        label = tiles(tab, 0).nth(1)
        for button, words in (("pin", "pinned"), ("reject", "moves to no cluster"), ("new", "moves to New cluster 1")):
            tick(tiles(tab, 0).nth(1))
            tab.click(f"#selection-{button}")
            page.expect(label).to_have_attribute("aria-label", f"01.png, confidence 0.87, {words}")
        tab.fill("#selection-name", "Boats")
        tab.press("#selection-name", "Enter")
        page.expect(label).to_have_attribute("aria-label", "01.png, confidence 0.87, moves to New cluster 1, Boats")
        tick(tiles(tab, 0).nth(1))
        page.expect(label).to_have_attribute(
            "aria-label", "01.png, confidence 0.87, moves to New cluster 1, Boats, selected"
        )

    def test_one_image_of_a_group_is_removed_from_the_plan(self, page: Any) -> None:
        tab = page.tab
        for number in (1, 2, 3):
            tick(tiles(tab, 0).nth(number))
        tab.click("#selection-new")
        tab.press("#selection-name", "Enter")
        tab.click("#plan-open")
        assert tab.locator("#plan-dialog .changes > li").count() == 4
        tab.click("#plan-dialog summary")
        tab.locator("#plan-dialog details button").nth(1).click()
        assert saved_plan(tab)["new_clusters"] == [{"name": "", "images": paths(1, 3)}]
        tab.click("#plan-open")
        tab.locator("#plan-dialog .changes button").first.click()
        assert tab.locator("#plan-save").count() == 0

    def test_the_selection_is_saved_as_a_table(self, show_example: Callable[..., Any]) -> None:
        example = example_page(LABELS)
        names = [*example.images.names]
        names[13] = 'a "b",\nc.png'
        page = show_example(images=replace(example.images, names=names))
        tab = page.tab
        tick(tiles(tab, 1).nth(1))
        tick(tiles(tab, -1).nth(0))
        with tab.expect_download() as download:
            tab.click("#selection-save")
        assert download.value.suggested_filename == "imgcluster-selection.csv"
        text = Path(download.value.path()).read_bytes().decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [(row["path"], row["cluster"], row["name"]) for row in rows] == [
            (names[13], "1", ""),
            ("22.png", "-1", ""),
        ]
        assert float(rows[0]["confidence"]) == pytest.approx(example.images.confidence[13], abs=1e-4)
        # The images stay selected.
        assert selected(tab) == [13, 22]


class TestStorage:
    def test_the_plan_survives_a_reload_and_belongs_to_one_clustering(
        self, show_example: Callable[..., Any], tmp_path: Path
    ) -> None:
        page = show_example()
        tab = page.tab
        tick(tiles(tab, 0).nth(1))
        tab.click("#selection-new")
        tab.fill("#selection-name", "Boats")
        tab.press("#selection-name", "Enter")
        tick(tiles(tab, 0).nth(2))
        tab.click("#selection-pin")
        before = saved_plan(tab)
        tab.reload()
        tab.wait_for_selector("html[data-state=ready]")
        assert tab.locator("#plan-open").inner_text() == "Plan: 2 changes"
        assert saved_plan(tab) == before
        page.expect(tiles(tab, 0).nth(2).locator(".moved")).to_have_text("pinned")
        other = tmp_path / "other.html"
        other.write_text(render(example_page(LABELS, identity="1" * 24)), encoding="utf-8")
        tab.goto(other.as_uri())
        assert tab.locator("#plan-open").inner_text() == "Plan"
        assert page.console == []

    def test_tabs_with_the_same_page_keep_the_changes_of_each_other(self, show_example: Callable[..., Any]) -> None:
        page = show_example()
        first = page.tab
        second = first.context.new_page()
        second.goto(first.url)
        second.wait_for_selector("html[data-state=ready]")
        tick(tiles(first, 0).nth(1))
        first.click("#selection-pin")
        page.expect(second.locator("#plan-open")).to_have_text("Plan: 1 change")
        tick(tiles(second, 1).nth(1))
        second.click("#selection-new")
        second.keyboard.press("Enter")
        page.expect(first.locator("#plan-open")).to_have_text("Plan: 2 changes")
        tick(tiles(first, 0).nth(2))
        first.click("#selection-new")
        first.keyboard.press("Enter")
        plan = saved_plan(first)
        assert plan["pinned"] == paths(1)
        assert [cluster["images"] for cluster in plan["new_clusters"]] == [paths(13), paths(2)]
        page.expect(second.locator("#plan-open")).to_have_text("Plan: 3 changes")
        assert saved_plan(second) == plan
        # The last change is undone, wherever it was made.
        for text in ("Plan: 2 changes", "Plan: 1 change", "Plan"):
            second.click("#plan-undo")
            page.expect(first.locator("#plan-open")).to_have_text(text)
        first.reload()
        first.wait_for_selector("html[data-state=ready]")
        assert first.locator("#plan-open").inner_text() == "Plan"

    def test_a_plan_outlives_the_storage_of_the_browser(self, show_example: Callable[..., Any]) -> None:
        tab = show_example().tab
        tick(tiles(tab, 0).nth(1))
        tab.click("#selection-pin")
        tab.evaluate("localStorage.clear()")
        tick(tiles(tab, 0).nth(2))
        tab.click("#selection-pin")
        assert saved_plan(tab)["pinned"] == paths(1, 2)

    def test_a_plan_for_a_sample_names_the_same_images_in_the_next_sample(
        self, tmp_path: Path, show: Callable[..., Any]
    ) -> None:
        page = example_page([0] * 24 + [1] * 24)
        one_tile = replace(page.thumbnails[0], images=np.arange(1, dtype=np.int32))
        page = replace(
            page,
            clusters=tuple(replace(cluster, representatives=cluster.representatives[:1]) for cluster in page.clusters),
            thumbnails=(one_tile,),
        )
        unusual = tuple(Unusual(image, ("dark",), None) for image in (4, 6, 11, 20, 40))
        first, second = (
            sampled(replace(page, findings=Findings(outliers=outliers)), most=12)
            for outliers in (unusual, unusual[1:-1])
        )
        assert {*paths(4, 6, 11, 20, 40)} <= {*first.images.names}
        assert "04.png" not in second.images.names
        assert first.images.names.index("20.png") != second.images.names.index("20.png")
        path = tmp_path / "page.html"
        path.write_text(render(first), encoding="utf-8")
        opened = show(path)
        tab = opened.tab
        for number, action in ((4, "pin"), (20, "pin"), (6, "aside")):
            tick(tab.locator(f"#outliers .tile[title='{number:02d}.png']"))
            tab.click(f"#selection-{action}")
        before = saved_plan(tab)
        assert (before["pinned"], before["set_aside"]) == (paths(4, 20), paths(6))
        path.write_text(render(second), encoding="utf-8")
        tab.reload()
        tab.wait_for_selector("html[data-state=ready]")
        assert saved_plan(tab) == before
        opened.expect(tab.locator("#outliers .tile[title='20.png'] .moved")).to_have_text("pinned")
        tab.click("#plan-open")
        tab.locator("#plan-dialog .changes > li", has_text="Pin").locator("button").first.click()
        assert saved_plan(tab)["set_aside"] == paths(6)
        assert "pinned" not in saved_plan(tab)
        assert [message for message in opened.console if "ERR_FILE_NOT_FOUND" not in message] == []

    def test_a_state_that_is_not_of_this_clustering_is_ignored(self, page: Any) -> None:
        tab = page.tab
        for state in (
            "{",
            "[]",
            "[[],[],[],[],[],[],[]]",
            '[[[9,"x"]],[],[],[],[],[],[]]',
            "[[[0,5]],[],[],[],[],[],[]]",
            "[[],[[0,9]],[],[],[],[],[]]",
            "[[],[],[[0,99]],[],[],[],[]]",
            "[[],[],[],[],[[0,-5]],[],[]]",
            "[[],[],[],[],[],[[99,true]],[]]",
        ):
            tab.evaluate("(state) => localStorage.setItem('imgcluster plan ' + '0'.repeat(24), state)", state)
            tab.reload()
            tab.wait_for_selector("html[data-state=ready]")
            assert tab.locator("#plan-open").inner_text() == "Plan"
        assert page.console == []

    def test_without_storage_the_page_says_so_and_works(self, tmp_path: Path, browser: Any) -> None:
        path = tmp_path / "page.html"
        path.write_text(render(example_page(LABELS)), encoding="utf-8")
        context = browser.new_context()
        context.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('', 'SecurityError') } })"
        )
        tab = context.new_page()
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        asked: list[str] = []
        tab.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-state=ready]")
        tick(tiles(tab, 0).nth(1))
        tab.click("#selection-pin")
        tab.click("#plan-open")
        assert tab.locator("#plan-not-stored").is_visible()
        tab.reload()
        assert asked == ["beforeunload"]
        tab.wait_for_selector("html[data-state=ready]")
        assert tab.locator("#plan-open").inner_text() == "Plan"
        assert errors == []
        context.close()


@pytest.mark.parametrize("works", [True, False])
def test_without_a_clipboard_a_button_says_whether_it_copied(show_example: Callable[..., Any], works: bool) -> None:
    page = show_example()
    tab = page.tab
    tab.evaluate(
        "(works) => { navigator.clipboard.writeText = () => Promise.reject(); document.execCommand = () => works; }",
        works,
    )
    tiles(tab, 0).first.click()
    tab.click("#image-copy")
    page.expect(tab.locator("#image-copy")).to_have_text("Copied" if works else "Not copied")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_bar_fits_and_covers_no_part_of_itself(show_example: Callable[..., Any], width: int) -> None:
    page = show_example({"viewport": {"width": width, "height": 844}, "color_scheme": "dark"})
    tab = page.tab
    tick(tiles(tab, 0).nth(1))
    for dialog in (False, True):
        if dialog:
            open_cluster(tab, 0)
            page.expect(tab.locator("#cluster-dialog > #selection")).to_be_visible()
        box = tab.locator("#selection").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 844
        assert box["height"] < 200
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.keyboard.press("Escape")
    page.expect(tab.locator("body > #selection")).to_be_visible()


def test_a_plan_of_all_kinds_is_applied(tmp_path: Path, tiny_encoder: Path, show: Callable[..., Any]) -> None:
    paint(tmp_path / "pictures", per_folder=8)
    out = tmp_path / "out"
    imgcluster.run([tmp_path / "pictures"], workspace=out, encoder=tiny_encoder, device="cpu", k=3)
    tab = show(out / "report.html").tab
    shown = open_cluster(tab, 0)
    for number, action in enumerate(("new", "reject", "pin")):
        tick(shown.nth(number))
        tab.click(f"#selection-{action}")
        if action == "new":
            tab.press("#selection-name", "Enter")
    tab.keyboard.press("Escape")
    open_cluster(tab, 1)
    tab.select_option("#split", "2")
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(saved_plan(tab)), encoding="utf-8")
    summary = imgcluster.apply(file, workspace=out)
    assert (summary.created, summary.split, summary.unsorted, summary.pinned) == (1, 1, 1, 1)
    tab.goto((out / "report.html").as_uri())
    assert tab.locator("#clusters > article").count() == 6
    assert tab.locator("#plan-open").inner_text() == "Plan"
    shown = open_cluster(tab, 0)
    assert shown.locator(".moved").all_inner_texts() == ["pinned"]
    # What is recorded already is not part of a plan, also where the clustering is the same after a plan.
    tick(shown.last)
    tab.click("#selection-pin")
    plan = saved_plan(tab)
    pinned = plan["pinned"]
    assert len(pinned) == 1
    file.write_text(json.dumps(plan), encoding="utf-8")
    imgcluster.apply(file, workspace=out)
    tab.goto((out / "report.html").as_uri())
    assert tab.locator("#plan-open").inner_text() == "Plan"
    open_cluster(tab, 0)
    assert tab.locator("#cluster-dialog .tiles:not(.strip) .moved").count() == 2
    tiles(tab).locator(".moved").first.click()
    assert "pinned" in tab.locator("#image-dialog .facts").first.inner_text()
