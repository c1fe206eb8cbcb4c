"""Finding and looking at images on the page: the overview, the map, search, and the dialogs of clusters and images."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from example_pages import example_page
from imgcluster.report.page import render
from page_actions import open_cluster, reset, saved_plan, tick, tiles

SIZES = {0: 250, 1: 20, 2: 14, -1: 4}
CENTERS = {0: (-0.4, 0.4), 1: (0.4, -0.4), 2: (0.4, 0.4), -1: (-0.4, -0.4)}
LABELS = [number for number, size in SIZES.items() for _ in range(size)]
FOLDERS = 11
# The distance between the labels of clusters 0 and 1 on the screen.
SPREAD = """() => {
  const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  const labels = [...document.querySelectorAll("#map-labels span")];
  const [[ax, ay], [bx, by]] = labels.slice(0, 2).map((label) => middle(label.getBoundingClientRect()));
  return Math.hypot(ax - bx, ay - by);
}"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a large, two small clusters and noise, from eleven folders; cluster 2 has a name."""
    points = [np.add(CENTERS[number], (0.001 * (at % 7), 0)) for at, number in enumerate(LABELS)]
    page = example_page(LABELS, points=points)
    images = replace(
        page.images,
        folders=[(f"f{number:02d}", f"missing/f{number:02d}") for number in range(FOLDERS)],
        folder=np.arange(len(LABELS), dtype=np.int32) % FOLDERS,
        links={271: "moved%20here/271.png"},
        base="/photos",
        runner_up=np.array([-1 if number < 0 else (number + 1) % 3 for number in LABELS], np.int32),
    )
    first, second, third, noise = page.clusters
    first = replace(first, nearest=((1, 0.25), (2, 0.75)), stability=0.87)
    clusters = (first, second, replace(third, name="Sea"), noise)
    path = tmp_path_factory.mktemp("browsing") / "page.html"
    path.write_text(render(replace(page, images=images, clusters=clusters)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def opened(path: Path, show_long: Callable[..., Any]) -> Any:
    """The page, opened once for all tests that need no other."""
    return show_long(path)


@pytest.fixture
def page(opened: Any) -> Iterator[Any]:
    """The opened page without what the previous test left."""
    yield opened
    reset(opened)
    opened.tab.click("#map-all")


def errors(opened: Any) -> list[str]:
    """Return the messages on the console, except those about the original files, which do not exist."""
    return [message for message in opened.console if "ERR_FILE_NOT_FOUND" not in message]


def middle(tab: Any, selector: str) -> tuple[float, float]:
    """Return the middle of an element on the screen."""
    box = tab.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def wait_until(tab: Any, holds: Callable[[], object]) -> None:
    """Wait for what the next frame draws; Playwright's own function needs `eval`, which the page's policy forbids."""
    for _ in range(200):
        if holds():
            return
        tab.wait_for_timeout(50)
    pytest.fail("nothing changed")


def copied(tab: Any, button: str) -> str:
    """Return what a button copies."""
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.evaluate("navigator.clipboard.writeText('')")
    tab.click(button)
    wait_until(tab, lambda: tab.evaluate("navigator.clipboard.readText()"))
    return str(tab.evaluate("navigator.clipboard.readText()"))


def is_zoomed(tab: Any, whole: float, factor: float) -> bool:
    return abs(tab.evaluate(SPREAD) / whole - factor) < 0.03


def wait_for_zoom(tab: Any, whole: float, factor: float) -> None:
    wait_until(tab, lambda: is_zoomed(tab, whole, factor))


class TestOverview:
    def test_a_bar_leads_to_its_cluster_and_the_first_link_to_all(self, page: Any) -> None:
        tab = page.tab
        tab.click("#sizes [data-cluster='2']")
        page.expect(tab.locator("#cluster2 .open")).to_be_focused()
        page.expect(tab.locator("#cluster2")).to_be_in_viewport()
        tab.focus(".skip")
        tab.keyboard.press("Enter")
        page.expect(tab.locator("#gallery")).to_be_focused()

    def test_a_bar_opens_a_cluster_of_which_the_search_finds_nothing(self, page: Any) -> None:
        tab = page.tab
        tab.fill("#search", "nothing")
        page.expect(tab.locator("#gallery-none")).to_be_visible()
        tab.click("#sizes [data-cluster='2']")
        page.expect(tab.locator("#cluster-title")).to_contain_text("Cluster 2")

    def test_without_scripts_it_says_what_is_missing(self, path: Path, browser: Any) -> None:
        context = browser.new_context(java_script_enabled=False)
        tab = context.new_page()
        tab.goto(path.as_uri())
        assert "JavaScript" in tab.locator("noscript").inner_text()
        context.close()


class TestSearch:
    def test_the_map_and_the_dialogs_show_what_is_found(self, page: Any) -> None:
        tab = page.tab
        tab.fill("#search", "f03")
        page.expect(tab.locator("#match-count")).to_have_text("26 images found")
        tab.click("#map-select")

        def drag() -> None:
            # The click may have scrolled the page.
            box = tab.locator("#map-view").bounding_box()
            tab.mouse.move(box["x"] + 4, box["y"] + 4)
            tab.mouse.down()
            tab.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] - 4, steps=3)
            tab.mouse.up()

        # Chromium can lose events of the mouse.
        selected = tab.locator("#selection-text")
        wait_until(tab, lambda: selected.text_content() or drag())
        page.expect(selected).to_have_text("26 selected")
        page.expect(tab.locator("#cluster1 .all")).to_have_text("Show 2 matching")
        tab.click("#cluster1 .all")
        assert tiles(tab).count() == 2
        tab.keyboard.press("Escape")
        tab.fill("#search", "275.png")
        page.expect(tab.locator("#map-labels span:not([hidden])")).to_have_text(["Sea"])
        assert page.console == []

    def test_a_name_in_the_plan_is_found_and_on_the_map(self, page: Any) -> None:
        tab = page.tab
        open_cluster(tab, 1)
        tab.fill("#name", "Boats")
        tab.press("#name", "Enter")
        tab.click("#cluster-dialog .close")
        page.expect(tab.locator("#cluster-dialog")).to_be_hidden()
        page.expect(tab.locator("#map-labels span")).to_have_text(["0", "Boats", "Sea"])
        tab.fill("#search", "boats")
        page.expect(tab.locator("#match-count")).to_have_text("20 images found")
        assert tab.locator("#clusters > article:visible").get_attribute("id") == "cluster1"


def test_filters_are_off_after_going_back_to_the_page(path: Path, show: Callable[..., Any]) -> None:
    tab = show(path).tab
    tab.check("#low-confidence")
    tab.select_option("#folder", index=1)
    tab.goto("about:blank")
    tab.go_back()
    tab.wait_for_selector("html[data-state=ready]")
    assert not tab.is_checked("#low-confidence")
    assert tab.input_value("#folder") == ""


class TestClusterDialog:
    def test_what_is_known_about_a_cluster(self, page: Any) -> None:
        tab = page.tab
        tab.click("#cluster0 .all")
        dialog = tab.locator("#cluster-dialog")
        shares = dialog.locator(".shares li")
        assert shares.count() == 9
        assert shares.first.inner_text().split() == ["f00", "9.2%"]
        assert shares.last.inner_text() == "and 3 more folders"
        dialog.locator("summary").click()
        for fact in ("0.87", "0.25 (cluster 1), 0.75 (cluster 2)"):
            page.expect(dialog.locator("details")).to_contain_text(fact)
        # Those of which the clustering is least sure.
        lowest = dialog.locator(".strip .tile")
        assert lowest.count() == 12
        assert lowest.first.get_attribute("data-image") == "249"
        dialog.locator(".links button").last.click()
        page.expect(tab.locator("#cluster-title")).to_have_text("Cluster 2, Sea")
        assert page.console == []

    def test_a_long_list_grows_while_scrolling(self, page: Any) -> None:
        shown = open_cluster(page.tab, 0)
        page.expect(shown).to_have_count(240)
        page.tab.locator("#cluster-dialog").evaluate("(dialog) => (dialog.scrollTop = dialog.scrollHeight)")
        page.expect(shown).to_have_count(250)
        page.expect(page.tab.locator("#cluster-dialog .more")).to_have_count(0)

    def test_keys_walk_along_rows_and_columns(self, page: Any) -> None:
        tab = page.tab
        shown = open_cluster(tab, 1)
        shown.first.focus()
        tab.keyboard.press("ArrowDown")
        focused = tab.locator("#cluster-dialog .tile:focus")
        first, below = shown.first.bounding_box(), focused.bounding_box()
        assert below["x"] == pytest.approx(first["x"])
        assert below["y"] > first["y"]
        tab.keyboard.press("ArrowUp")
        page.expect(shown.first).to_be_focused()
        tab.keyboard.press("End")
        page.expect(shown.last).to_be_focused()
        tab.keyboard.press("Home")
        page.expect(shown.first).to_be_focused()
        tab.select_option("#order", "smallest")
        assert shown.first.get_attribute("data-image") == "250"
        assert shown.nth(4).get_attribute("data-image") == "251"
        tab.select_option("#order", "confident")

    def test_a_rectangle_scrolls_at_the_edge(self, page: Any) -> None:
        tab = page.tab
        shown = open_cluster(tab, 0)
        shown.first.scroll_into_view_if_needed()
        top = "document.getElementById('cluster-dialog').scrollTop"
        before = tab.evaluate(top)
        box, dialog = shown.first.bounding_box(), tab.locator("#cluster-dialog").bounding_box()
        tab.mouse.move(box["x"] + 10, box["y"] + 10)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 40, dialog["y"] + dialog["height"] - 10, steps=6)
        tab.mouse.up()
        assert tab.evaluate(top) > before


class TestImageDialog:
    def test_buttons_and_details_of_one_image_after_another(self, page: Any, path: Path) -> None:
        tab = page.tab
        open_cluster(tab, 2).first.click()
        title = tab.locator("#image-title")
        assert tab.locator("#image-previous").is_disabled()
        frame = tab.locator("#image-dialog .frame")
        assert frame.get_attribute("href") == "missing/f06/270.png"
        assert frame.get_attribute("target") == "_blank"
        assert copied(tab, "#image-copy") == "/photos/f06/270.png"
        assert tab.locator("#image-open").get_attribute("href") == (path.parent / "missing/f06/270.png").as_uri()
        tab.click("#image-next")
        page.expect(title).to_have_text("271.png")
        # It was moved.
        assert copied(tab, "#image-copy") == (path.parent / "moved here/271.png").as_posix()
        tab.click("#image-dialog summary")
        tab.click("#image-next")
        page.expect(tab.locator("#image-dialog details")).to_contain_text("3 of 14")
        tab.click("#image-previous")
        page.expect(title).to_have_text("271.png")
        for _ in range(12):
            tab.keyboard.press("ArrowRight")
        page.expect(title).to_have_text("283.png")
        assert tab.locator("#image-next").is_disabled()
        # The second-best cluster.
        tab.locator("#image-dialog .facts .link").nth(1).click()
        page.expect(tab.locator("#cluster-title")).to_have_text("Cluster 0")
        page.expect(tab.locator("#image-dialog")).to_be_hidden()
        assert errors(page) == []

    def test_an_image_is_rejected_and_taken_back(self, page: Any) -> None:
        tab = page.tab
        tiles(tab, 1).first.click()
        tab.click("#image-reject")
        page.expect(tab.locator("#image-reject")).to_have_attribute("aria-pressed", "true")
        assert saved_plan(tab)["unsorted"] == ["f08/250.png"]
        tiles(tab, 1).first.click()
        tab.click("#image-reject")
        assert tab.locator("#plan-open").inner_text() == "Plan"
        tab.keyboard.press("Escape")
        # An image of no cluster cannot be rejected.
        tiles(tab, -1).first.click()
        assert tab.locator("#image-reject").count() == 0

    def test_it_is_shown_on_the_map(self, page: Any) -> None:
        tab = page.tab
        open_cluster(tab, 2).first.click()
        tab.get_by_role("button", name="Show on map").click()
        page.expect(tab.locator("dialog[open]")).to_have_count(0)
        page.expect(tab.locator("#map-view")).to_be_focused()
        page.expect(tab.locator("#map-marked")).to_be_visible()
        assert middle(tab, "#map-marked") == pytest.approx(middle(tab, "#map-view"), abs=2)
        tab.click("#map-all")
        page.expect(tab.locator("#map-marked")).to_be_hidden()


class TestMap:
    def test_buttons_and_a_double_click_zoom(self, page: Any) -> None:
        tab = page.tab
        whole = tab.evaluate(SPREAD)
        tab.click("#map-in")
        wait_for_zoom(tab, whole, 1.6)
        tab.click("#map-out")
        wait_for_zoom(tab, whole, 1)
        tab.mouse.dblclick(*middle(tab, "#map-view"))
        wait_for_zoom(tab, whole, 2)
        tab.click("#map-all")
        wait_for_zoom(tab, whole, 1)
        assert tab.locator("#image-dialog[open]").count() == 0
        # No image is near the middle.
        for _ in range(8):
            tab.click("#map-in")
        page.expect(tab.locator("#map-labels span:visible")).to_have_count(1)

    def test_fingers_zoom_and_open_images(self, path: Path, show: Callable[..., Any]) -> None:
        page = show(path, has_touch=True)
        tab = page.tab
        whole = tab.evaluate(SPREAD)
        x, y = middle(tab, "#map-view")
        touch = tab.context.new_cdp_session(tab)
        for kind, distance in (("touchStart", 50), ("touchMove", 75), ("touchMove", 100), ("touchEnd", None)):
            fingers = [] if distance is None else [{"x": x + side * distance, "y": y} for side in (-1, 1)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
        wait_for_zoom(tab, whole, 2)
        # On a busy machine Chromium takes the first tap for a part of the gesture before it.
        show_all = tab.get_by_role("button", name="Show the whole map")
        wait_until(tab, lambda: is_zoomed(tab, whole, 1) or show_all.tap())
        view = tab.locator("#map-view").bounding_box()
        reach = min(view["width"], view["height"]) / 2 - 26
        tab.touchscreen.tap(x + 0.4 * reach, y - 0.4 * reach)
        page.expect(tab.locator("#image-title")).to_have_text("270.png")
        assert errors(page) == []

    def test_it_follows_the_mode_and_the_size_of_the_window(self, page: Any) -> None:
        tab = page.tab
        canvas = tab.locator("#map canvas")

        def noise() -> tuple[int, ...]:
            """Return the color of an image of no cluster, which has no picture on the map."""
            shot = Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")
            reach = 0.4 * (min(shot.size) / 2 - 26)
            return shot.getpixel((round(shot.width / 2 - reach), round(shot.height / 2 + reach)))

        light = noise()
        tab.emulate_media(color_scheme="dark")
        wait_until(tab, lambda: noise() != light)
        tab.emulate_media(color_scheme="light")
        wait_until(tab, lambda: noise() == light)
        tab.set_viewport_size({"width": 700, "height": 900})
        wait_until(tab, lambda: canvas.evaluate("({ width, clientWidth }) => width === clientWidth && width < 700"))
        tab.set_viewport_size({"width": 1280, "height": 900})


class TestPlan:
    def test_keys_act_on_the_selection(self, page: Any) -> None:
        tab = page.tab
        tick(tiles(tab, 1).nth(1))
        with tab.expect_download() as download:
            tab.keyboard.press("s")
        assert download.value.suggested_filename == "imgcluster-selection.csv"
        # Without a target nothing moves.
        tab.click("#selection-move")
        page.expect(tab.locator("#selection-target")).to_be_focused()
        tiles(tab, 1).nth(1).focus()
        tab.keyboard.press("x")
        page.expect(tiles(tab, 1).nth(1).locator(".moved")).to_have_text("→ none")
        assert saved_plan(tab)["unsorted"] == ["f09/251.png"]
        assert page.console == []

    def test_a_new_cluster_is_named_in_the_plan_which_shows_the_command(self, page: Any) -> None:
        tab = page.tab
        tick(tiles(tab, 0).nth(1))
        tab.click("#selection-new")
        tab.press("#selection-name", "Enter")
        tab.click("#plan-open")
        tab.fill("#plan-dialog .changes input", "Boats")
        tab.press("#plan-dialog .changes input", "Enter")
        command, undo = tab.locator("#plan-dialog .command").all_inner_texts()
        assert undo == "imgcluster undo -w out"
        assert copied(tab, "#plan-copy") == command
        with tab.expect_download() as download:
            tab.click("#plan-save")
        assert command == f"imgcluster apply ~/Downloads/{download.value.suggested_filename} -w out"
        assert saved_plan(tab)["new_clusters"] == [{"name": "Boats", "images": ["f01/01.png"]}]

    def test_names_follow_merges_and_are_removed(self, page: Any) -> None:
        tab = page.tab
        open_cluster(tab, 0)
        tab.fill("#name", "Hills")
        tab.press("#name", "Enter")
        tab.select_option("#merge", "1")
        tab.keyboard.press("Escape")
        assert tab.locator("#cluster1 h3").inner_text().startswith("Hills")
        open_cluster(tab, 1)
        tab.select_option("#merge", "2")
        tab.keyboard.press("Escape")
        assert "Cluster 2, Sea" in tab.locator("#cluster0 .merged").inner_text()
        open_cluster(tab, 2)
        tab.fill("#name", "")
        tab.press("#name", "Enter")
        plan = saved_plan(tab)
        assert plan["merges"] == [{"from": 0, "into": 1}, {"from": 1, "into": 2}]
        assert plan["names"] == {"2": ""}
