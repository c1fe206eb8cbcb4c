"""The page in a real browser: it opens offline, shows every image, and its plans can be applied."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imgcluster
from example_pages import TILE_COLOR, example_page
from samples import paint

HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    '"><script>alert(2)<&gt;.png',
    "a?b#c%20d&e.png",
    "日本 \u202egpj.png",
    "line\nbreak.png",
    "${alert(3)} {{ 7*7 }} <!--.png",
]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A folder with pictures of three colors, some under hostile names, and their clustered workspace."""
    if os.name == "nt":
        pytest.skip("Windows has no such file names")
    folder = tmp_path_factory.mktemp("browser")
    paint(folder / "pictures", per_folder=20)
    for number, name in enumerate(HOSTILE):
        shutil.move(folder / f"pictures/red/{number:02d}.png", folder / "pictures/red" / name)
    (folder / "pictures/red/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    imgcluster.embed([folder / "pictures"], workspace=folder / "out", encoder=tiny_encoder, device="cpu")
    imgcluster.cluster(workspace=folder / "out", k=4)
    return folder


@pytest.fixture(scope="module")
def opened(made: Path, show_long: Callable[..., Any]) -> Any:
    """The page, opened once for all tests that leave it as it was."""
    return show_long(made / "out/report.html")


@pytest.fixture
def page(opened: Any) -> Iterator[Any]:
    """The opened page without the search, dialogs and changes of the previous test."""
    yield opened
    tab = opened.tab
    while tab.locator("dialog[open]").count():
        tab.keyboard.press("Escape")
    tab.fill("#search", "")
    tab.select_option("#folder", "")
    tab.uncheck("#low-confidence")
    opened.expect(tab.locator("#match-count")).to_have_text("")
    tab.click("#plan-open")
    while tab.locator(".changes button").count():
        tab.locator(".changes button").first.click()
    tab.keyboard.press("Escape")
    tab.click("#map-all")
    opened.console.clear()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestOpening:
    def test_no_error_and_nothing_fetched(self, page: Any) -> None:
        page.tab.mouse.wheel(0, 4000)
        page.tab.wait_for_timeout(100)
        assert page.console == []
        assert page.fetched == []
        assert page.dialogs == []
        assert page.tab.locator("#map").get_attribute("data-state") == "ready"

    def test_a_section_for_each_cluster_and_every_image_in_one(self, made: Path, page: Any) -> None:
        table = rows(made / "out/clusters.csv")
        assert page.tab.locator("#clusters > article").count() == len(table) == 4
        assert page.tab.locator("#sizes li").count() == 4
        for number, row in enumerate(table):
            assert f"{row['size']} images" in page.tab.locator(f"#cluster{number} .cluster-head").inner_text()
            page.tab.locator(f"#cluster{number} .open").click()
            members = page.tab.locator("#cluster-dialog .tiles:not(.strip) .tile")
            assert members.count() == int(row["size"])
            page.tab.keyboard.press("Escape")
            assert page.tab.locator("#cluster-dialog[open]").count() == 0

    def test_what_was_skipped_and_why(self, page: Any) -> None:
        assert "1 file" in page.tab.locator("#sentences a[href='#skipped']").inner_text()
        assert "damaged" in page.tab.locator("#skipped tbody").inner_text()
        assert page.tab.locator("#skipped .path").all_inner_texts() == ["red/broken.png"]

    def test_the_heading_says_what_was_found_and_scores_are_collapsed(self, page: Any) -> None:
        heading = page.tab.locator("h1").inner_text()
        assert heading.startswith("pictures: ")
        assert heading == page.tab.title()
        assert "4 clusters" in heading
        assert "60 images" in heading
        assert "silhouette" not in page.tab.locator("body").inner_text().lower()
        page.tab.click("#details summary")
        assert "silhouette" in page.tab.locator("#details").inner_text().lower()
        page.tab.click("#details summary")

    def test_without_webgl_it_says_so_and_the_rest_works(self, made: Path, browser: Any) -> None:
        context = browser.new_context()
        context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
        tab = context.new_page()
        tab.goto((made / "out/report.html").as_uri())
        tab.wait_for_selector("#map[data-state=missing]")
        assert "WebGL2" in tab.locator("#map").inner_text()
        tab.locator("#cluster0 .tile").first.click()
        assert tab.locator("#image-dialog[open]").count() == 1
        context.close()

    @pytest.mark.parametrize("width", [1280, 390])
    def test_nothing_sticks_out_and_no_text_lies_over_another(
        self, made: Path, show: Callable[..., Any], width: int
    ) -> None:
        page = show(made / "out/report.html", viewport={"width": width, "height": 844}, color_scheme="light")
        for scheme in ("light", "dark"):
            page.tab.emulate_media(color_scheme=scheme)
            assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
            assert page.tab.evaluate(OVERLAPS) == []
            page.tab.locator("#cluster0 .open").click()
            assert page.tab.evaluate("document.getElementById('cluster-dialog').scrollWidth") <= width
            assert page.tab.evaluate(OVERLAPS) == []
            page.tab.locator("#cluster-dialog .tile").first.click()
            assert page.tab.evaluate(OVERLAPS) == []
            page.tab.keyboard.press("Escape")
            page.tab.keyboard.press("Escape")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_fields_and_buttons_stand_out_from_the_ground(
        self, made: Path, show: Callable[..., Any], scheme: str
    ) -> None:
        tab = show(made / "out/report.html", color_scheme=scheme).tab
        edges = tab.evaluate(EDGES)
        assert len(edges) > 3
        for edge, inside, outside in edges:
            for ground in (inside, outside):
                assert _contrast(np.array(edge), np.array(ground)) >= 3


# Colors of the border, the inside and the outside of the bar's fields and buttons. Pressed and strong buttons stand out
# by their own color, disabled ones need not.
EDGES = """() => {
  const parts = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const outside = getComputedStyle(document.body).backgroundColor;
  return [...document.querySelectorAll(".bar :is(button, input:not([type=checkbox]), select)")]
    .filter((one) => one.checkVisibility() && one.ariaPressed !== "true" && !one.matches(".strong, :disabled"))
    .map((one) => getComputedStyle(one))
    .map((style) => [style.borderTopColor, style.backgroundColor, outside].map(parts));
}"""


# Pairs of texts whose boxes share more than a pixel; the texts behind an open dialog are covered on purpose.
OVERLAPS = """() => {
  const home = [...document.querySelectorAll("dialog[open]")].pop() ?? document.body;
  const boxes = [];
  const walker = document.createTreeWalker(home, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const unseen = "script, style, select, .hidden, .skip, [hidden], dialog:not([open])";
    if (!walker.currentNode.data.trim() || parent.closest(unseen)) continue;
    if (parent.closest(".badge, .map-buttons, .dialog-head, .bar") || !parent.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const box of range.getClientRects()) boxes.push([box, walker.currentNode.data.trim()]);
  }
  const found = [];
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [a, first] = boxes[i], [b, second] = boxes[j];
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 1 && down > 5) found.push([first, second]);
  }
  return found;
}"""


class TestOddSets:
    def test_noise_alone(self, show_example: Callable[..., Any]) -> None:
        page = show_example([-1] * 5)
        assert page.tab.locator("#clusters > article").count() == 1
        assert "Noise" in page.tab.locator("#cluster-1 h3").inner_text()
        page.tab.locator("#cluster-1 .open").click()
        assert page.tab.locator("#cluster-dialog #name").count() == 0
        assert page.console == []

    def test_more_clusters_than_colors(self, show_example: Callable[..., Any]) -> None:
        page = show_example([number % 70 for number in range(90)], {"viewport": {"width": 390, "height": 844}})
        assert page.tab.locator("#clusters > article").count() == 70
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.tab.evaluate(OVERLAPS) == []
        assert page.console == []

    def test_sentences_and_warnings_are_texts(self, show_example: Callable[..., Any]) -> None:
        tab = show_example([0, 1], sentences=("Nearly all is sure.",), warnings=("See <b>brightness</b>.",)).tab
        assert tab.locator("#sentences p").first.inner_text() == "Nearly all is sure."
        assert tab.locator("#sentences .warning").inner_text() == "See <b>brightness</b>."

    def test_images_without_thumbnail_are_loaded_from_the_originals(self, made: Path, show: Callable[..., Any]) -> None:
        html = (made / "out/report.html").read_text(encoding="utf-8")
        (made / "out/originals.html").write_text(_without_thumbnails(html), encoding="utf-8")
        page = show(made / "out/originals.html")
        page.tab.locator("#cluster0 .open").click()
        pictures = page.tab.locator("#cluster-dialog img.picture")
        pictures.last.scroll_into_view_if_needed()
        page.tab.wait_for_load_state("networkidle")
        loaded = "[...document.querySelectorAll('#cluster-dialog img.picture')].every((one) => one.naturalWidth > 0)"
        page.tab.wait_for_function(loaded)
        assert pictures.count() >= page.tab.locator("#cluster-dialog .tiles:not(.strip) .tile").count() > 5
        assert page.fetched == []
        assert page.console == []

    def test_missing_originals_leave_the_thumbnails(self, show_example: Callable[..., Any]) -> None:
        tab = show_example([0, 0, 1]).tab
        tab.locator("#cluster0 .tile").first.click()
        tab.wait_for_selector("#image-dialog p.soft:not([hidden]) >> text=not found")
        assert tab.locator("#image-dialog .frame span.picture").count() == 1


def _without_thumbnails(html: str) -> str:
    """Return the page with no thumbnail inside; its data are not part of what the policy hashes."""
    start = html.index('id="data">') + len('id="data">')
    end = html.index("</script>", start)
    document = json.loads(html[start:end]) | {"thumbnails": []}
    return html[:start] + json.dumps(document).replace("<", "\\u003c") + html[end:]


class TestNames:
    def test_a_hostile_name_is_text(self, page: Any) -> None:
        for name in HOSTILE:
            word = max(name.replace("\n", " ").split(" ")[0].split("."), key=len).lower()
            page.tab.fill("#search", word)
            page.expect(page.tab.locator("#match-count")).not_to_have_text("")
            tile = page.tab.locator("#clusters article:not([hidden]) .tile").first
            tile.wait_for()
            tile.hover()
            tile.click()
            shown = page.tab.locator("#image-title").inner_text()
            assert shown.replace("\n", " ").split() == name.replace("\n", " ").split()
            # The original opens from beside the page, whatever is in its name.
            page.tab.wait_for_selector("#image-dialog img.original")
            page.tab.keyboard.press("Escape")
            page.expect(tile).to_be_focused()
            page.tab.fill("#search", "")
            page.expect(page.tab.locator("#match-count")).to_have_text("")
        assert page.dialogs == []
        assert page.console == []
        assert page.tab.locator("img[src=x]").count() == 0


class TestSearch:
    def test_words_folders_and_confidence_narrow_down(self, page: Any) -> None:
        tab = page.tab
        tab.fill("#search", "green 07")
        page.expect(tab.locator("#match-count")).to_have_text("1 image found")
        assert tab.locator("#clusters > article:visible").count() == 1
        assert tab.locator("#clusters > article:visible .tile").get_attribute("aria-label").startswith("green/07.png")
        tab.fill("#search", "")
        tab.select_option("#folder", label="blue")
        page.expect(tab.locator("#match-count")).to_have_text("20 images found")
        tab.select_option("#folder", "")
        tab.check("#low-confidence")
        assert 0 < int(tab.locator("#match-count").inner_text().split()[0]) <= 15
        tab.fill("#search", "no such thing")
        tab.wait_for_selector("#gallery-none:not([hidden])")
        assert tab.locator("#clusters > article:visible").count() == 0


class TestKeyboard:
    def test_arrows_walk_enter_opens_and_escape_returns(self, page: Any) -> None:
        tab = page.tab
        first = tab.locator("#cluster0 .tile").first
        first.focus()
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("ArrowLeft")
        focused = "document.activeElement.dataset.image"
        second = tab.evaluate(focused)
        assert second == tab.locator("#cluster0 .tile").nth(1).get_attribute("data-image")
        tab.keyboard.press("Enter")
        title = tab.locator("#image-title")
        before = title.inner_text()
        tab.keyboard.press("ArrowRight")
        assert title.inner_text() != before
        tab.keyboard.press("Escape")
        assert tab.locator("#image-dialog[open]").count() == 0
        assert tab.evaluate(focused) == second

    def test_the_map_is_moved_by_keys(self, page: Any) -> None:
        page.tab.focus("#map-view")
        for key in ("+", "+", "ArrowLeft", "ArrowUp", "-", "0"):
            page.tab.keyboard.press(key)
        page.tab.wait_for_selector("#map-card:not([hidden])")
        page.tab.keyboard.press("Enter")
        assert page.tab.locator("#image-dialog[open]").count() == 1
        assert page.console == []

    def test_everything_that_is_pressed_has_a_name(self, page: Any) -> None:
        tab = page.tab
        tab.locator("#cluster0 .open").click()
        nameless = """() => [...document.querySelectorAll("button, a, input, select, [role=application]")]
          .filter((one) => one.checkVisibility())
          .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim() || one.labels?.length))
          .map((one) => one.outerHTML)"""
        assert tab.evaluate(nameless) == []


class TestMap:
    def test_points_have_the_color_and_the_marker_of_their_cluster(self, show_example: Callable[..., Any]) -> None:
        # Cluster 0 is a circle, cluster 18 is the first square, of the same color; both are far from all others.
        points = [[-0.1, 0.1], [0.1, 0.1], *([[0, -0.8]] * 100)]
        page = show_example([0, 18, *([1] * 100)], {"device_scale_factor": 2}, points=points, thumbnails=False)
        page.tab.evaluate("document.getElementById('map-labels').remove()")
        for _ in range(3):
            page.tab.click("#map-in")
        page.tab.wait_for_timeout(100)
        pixels = _pixels(page.tab.locator("#map-view").screenshot())
        for x, square in ((-0.1, False), (0.1, True)):
            left, top = _screen_position(pixels, x, 0.1, zoom=1.6**3)
            assert np.abs(pixels[top, left].astype(int) - (0x44, 0x77, 0xAA)).max() < 60
            assert (pixels[top + 10, left + 10].min() < 230) == square

    def test_a_sharp_screen_gets_more_pixels(self, show_example: Callable[..., Any]) -> None:
        tab = show_example([0, 1], {"device_scale_factor": 2}).tab
        assert tab.evaluate("(({ width, clientWidth }) => width / clientWidth)(document.querySelector('canvas'))") == 2

    def test_pictures_come_back_after_the_context_was_lost(self, show_example: Callable[..., Any]) -> None:
        page = show_example([0, 1, 2])
        view = page.tab.locator("#map-view")
        _wait_for_color(page.tab, view, TILE_COLOR)
        lose = """() => {
          const gl = document.querySelector("canvas").getContext("webgl2");
          window.lost = gl.getExtension("WEBGL_lose_context");
          window.lost.loseContext();
        }"""
        page.tab.evaluate(lose)
        page.tab.click("#map-in")  # drawing without a context is no error
        page.tab.wait_for_timeout(100)
        page.tab.evaluate("window.lost.restoreContext()")
        page.tab.click("#map-all")
        _wait_for_color(page.tab, view, TILE_COLOR)
        assert page.console == []

    def test_a_click_on_a_picture_opens_its_dialog(self, show_example: Callable[..., Any]) -> None:
        page = show_example([0, 0, 1], points=[[0, 0], [-1, -1], [1, 1]])
        box = page.tab.locator("#map-view").bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.tab.mouse.move(*middle)
        page.expect(page.tab.locator("#map-card .path")).to_have_text("00.png")
        page.tab.mouse.click(*middle)
        assert page.tab.locator("#image-title").inner_text() == "00.png"

    @pytest.mark.parametrize(
        "points",
        [
            [[-1, -1], [1, -1], [1, 1], [-1, 1], [0, 0], [0.05, 0]],
            [[0.01 * (number % 7), 0.01 * (number // 7)] for number in range(40)],
        ],
        ids=["at the edges", "crowded"],
    )
    def test_all_labels_are_inside_the_map_and_cover_no_other(
        self, show_example: Callable[..., Any], points: list[list[float]]
    ) -> None:
        page = show_example(range(len(points)), {"viewport": {"width": 390, "height": 844}}, points=points)
        page.tab.click("#map-in")
        page.tab.click("#map-out")
        view = page.tab.locator("#map-view").bounding_box()
        labels = page.tab.locator("#map-labels span:not([hidden])")
        page.expect(labels).to_have_count(len(points))
        boxes = [label.bounding_box() for label in labels.all()]
        for box in boxes:
            assert view["x"] <= box["x"] <= view["x"] + view["width"] - box["width"]
            assert view["y"] <= box["y"] <= view["y"] + view["height"] - box["height"]
        for one, other in itertools.combinations(boxes, 2):
            apart = abs(one["x"] - other["x"]) >= (one if one["x"] < other["x"] else other)["width"]
            assert apart or abs(one["y"] - other["y"]) >= one["height"]

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_points_of_all_colors_stand_out_from_the_ground(
        self, show_example: Callable[..., Any], scheme: str
    ) -> None:
        page = show_example([*range(18), -1], {"color_scheme": scheme}, thumbnails=False)
        page.tab.wait_for_selector("#map[data-state=ready]")
        view = page.tab.locator("#map-view")
        box = view.bounding_box()
        page.tab.evaluate(
            "for (const one of document.querySelectorAll('.map-overlay, .map-buttons')) one.hidden = true"
        )
        page.tab.wait_for_timeout(300)
        shot = _pixels(view.screenshot())
        reach = min(box["width"], box["height"]) / 2 - 26
        for number in range(19):
            angle = 2 * np.pi * number / 19
            x, y = box["width"] / 2 + reach * np.cos(angle), box["height"] / 2 - reach * np.sin(angle)
            assert _contrast(shot[round(y), round(x)], shot[5, 5]) >= 3, number

    def test_many_points_have_contours(self, show_example: Callable[..., Any]) -> None:
        generator = np.random.default_rng(0)
        points = np.clip(generator.normal(0, 0.02, (2500, 2)), -1, 1)
        shots = []
        for count in (1900, 2500):
            page = show_example([0] * count, points=points[:count], thumbnails=False)
            page.tab.wait_for_selector("#map[data-state=ready]")
            for _ in range(3):
                page.tab.click("#map-in")
            page.tab.evaluate(
                "for (const one of document.querySelectorAll('.map-overlay, .map-buttons')) one.hidden = true"
            )
            page.tab.wait_for_timeout(300)
            shots.append(_pixels(page.tab.locator("#map-view").screenshot()).mean(axis=2))
        dark = [int((shot < 70).sum()) for shot in shots]
        assert dark[1] > dark[0] + 200

    def test_zooming_with_keys_keeps_the_selected_image_in_view(self, show_example: Callable[..., Any]) -> None:
        page = show_example([0, 0, 1], points=[[0.6, 0.1], [-1, -1], [-1, 1]])
        page.tab.focus("#map-view")
        for _ in range(8):
            page.tab.keyboard.press("+")
        assert page.tab.locator("#map-card .path").inner_text() == "00.png"
        frame, view = (page.tab.locator(name).bounding_box() for name in ("#map-hovered", "#map-view"))
        assert view["x"] < frame["x"] < view["x"] + view["width"]
        assert view["y"] < frame["y"] < view["y"] + view["height"]

    def test_dragging_and_scrolling_move_the_map(self, page: Any) -> None:
        view = page.tab.locator("#map-view")
        before = view.screenshot()
        box = view.bounding_box()
        page.tab.mouse.move(box["x"] + 200, box["y"] + 200)
        page.tab.mouse.wheel(0, -400)
        page.tab.mouse.down()
        page.tab.mouse.move(box["x"] + 260, box["y"] + 240, steps=4)
        page.tab.mouse.up()
        page.tab.wait_for_timeout(100)
        assert view.screenshot() != before
        assert page.tab.locator("#image-dialog[open]").count() == 0
        assert page.console == []


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _screen_position(pixels: np.ndarray, x: float, y: float, *, zoom: float, ratio: int = 2) -> tuple[int, int]:
    """Return the pixel of a point on a screenshot of the map; the whole map has a margin of 26 CSS pixels."""
    height, width = pixels.shape[:2]
    scale = (min(width, height) / 2 - 26 * ratio) * zoom
    return round(width / 2 + x * scale), round(height / 2 - y * scale)


def _hide_overlays(tab: Any) -> None:
    tab.evaluate("document.querySelectorAll('.map-overlay, .map-buttons').forEach((one) => (one.hidden = true))")
    tab.wait_for_timeout(300)


def _contrast(first: np.ndarray, second: np.ndarray) -> float:
    """Return the contrast ratio of two colors (WCAG 2.2)."""

    def luminance(color: np.ndarray) -> float:
        parts = color / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _wait_for_color(tab: Any, view: Any, color: tuple[int, int, int]) -> None:
    for _ in range(100):
        if (np.abs(_pixels(view.screenshot()).astype(int) - color).max(axis=2) < 12).sum() > 500:
            return
        tab.wait_for_timeout(50)
    pytest.fail(f"{color} is not on the map")


class TestPlan:
    def test_a_saved_plan_is_applied(self, made: Path, show: Callable[..., Any], tmp_path: Path) -> None:
        folder = tmp_path / "own"
        shutil.copytree(made, folder, symlinks=True)
        out = folder / "out"
        before = rows(out / "assignments.csv")
        page = show(out / "report.html", accept_downloads=True)
        tab = page.tab
        tab.locator("#cluster0 .open").click()
        tab.fill("#name", "  Strand & Meer ")
        tab.press("#name", "Enter")
        tab.keyboard.press("Escape")
        tab.locator("#cluster3 .open").click()
        tab.select_option("#merge", "1")
        tab.keyboard.press("Escape")
        moved = tab.locator("#cluster2 .tile").nth(3)
        index = int(moved.get_attribute("data-image"))
        moved.click()
        tab.select_option("#misplaced", "-1")
        tab.keyboard.press("Escape")
        assert "Strand & Meer" in tab.locator("#cluster0 h3").inner_text()
        assert tab.locator("#plan-open").inner_text() == "Plan: 3 changes"
        tab.click("#plan-open")
        assert tab.locator(".changes li").count() == 3
        with tab.expect_download() as download:
            tab.click("#plan-save")
        plan = tmp_path / download.value.suggested_filename
        download.value.save_as(plan)
        assert page.console == []
        assert json.loads(plan.read_text(encoding="utf-8"))["names"] == {"0": "Strand & Meer"}

        summary = imgcluster.apply(plan, workspace=out)
        assert (summary.named, summary.merged, summary.misplaced) == (1, 1, 1)
        folders = sorted(path.name for path in (out / "clusters").iterdir())
        assert folders == ["cluster_000_strand_meer", "cluster_001", "cluster_002", "noise"]
        after = rows(out / "assignments.csv")
        assert after[index]["cluster"] == "-1"
        for old, new in zip(before, after, strict=True):
            if old is not before[index]:
                assert new["cluster"] == {"3": "1"}.get(old["cluster"], old["cluster"])
        again = show(out / "report.html").tab
        assert again.locator("#clusters > article").count() == 4
        assert "Strand & Meer" in again.locator("#cluster0 h3").inner_text()
        assert again.locator("#cluster-1 .tile").count() == 1
        imgcluster.undo(workspace=out)
        assert rows(out / "assignments.csv") == before

    def test_a_name_that_another_cluster_has_is_refused(self, page: Any) -> None:
        tab = page.tab
        for number in (0, 1):
            tab.locator(f"#cluster{number} .open").click()
            tab.fill("#name", "Sea" if number else "sea")
            tab.press("#name", "Enter")
            assert ("Cluster 0" in tab.locator("#cluster-dialog .problem").inner_text()) == (number == 1)
            tab.keyboard.press("Escape")
        assert tab.locator("#plan-open").inner_text() == "Plan: 1 change"

    def test_a_suggested_name_is_shown_and_taken(self, show_example: Callable[..., Any]) -> None:
        clusters = example_page([0, 0, 1, 1]).clusters
        clusters = (replace(clusters[0], suggested_name="<b>dog</b>"), replace(clusters[1], name="Sea"))
        page = show_example([0, 0, 1, 1], clusters=clusters)
        tab = page.tab
        assert "<b>dog</b>" in tab.locator("#cluster0 h3").inner_text()
        assert tab.locator("#cluster-dialog").get_by_text("Suggested name").count() == 0
        tab.fill("#search", "dog")
        tab.locator("#cluster1").wait_for(state="hidden")
        tab.locator("#cluster0 .open").click()
        tab.get_by_role("button", name="Use it").click()
        assert tab.input_value("#name") == "<b>dog</b>"
        tab.keyboard.press("Escape")
        assert tab.locator("#plan-open").inner_text() == "Plan: 1 change"
        assert tab.locator("#cluster0 h3").inner_text().startswith("<b>dog</b>")
        assert page.console == []

    def test_changes_can_be_removed(self, page: Any) -> None:
        tab = page.tab
        tab.locator("#cluster1 .open").click()
        tab.select_option("#merge", "0")
        tab.keyboard.press("Escape")
        assert "Cluster 0" in tab.locator("#cluster1 .merged").inner_text()
        tab.click("#plan-open")
        tab.click(".changes button")
        assert tab.locator(".changes li").count() == 0
        assert tab.locator("#plan-save").count() == 0
        tab.keyboard.press("Escape")
        assert tab.locator("#cluster1 .merged").is_hidden()


def test_a_share_is_0_or_100_percent_only_of_none_or_all(show_example: Callable[..., Any]) -> None:
    tab = show_example([0] * 2500 + [1]).tab
    for number, share in ((0, "2,500 images (>99%)"), (1, "1 image (<0.1%)")):
        assert share in tab.locator(f"#cluster{number} .cluster-head").inner_text()


class TestManyClusters:
    def test_the_bars_show_the_largest_and_a_sentence_counts_the_others(self, show_example: Callable[..., Any]) -> None:
        labels = [number for number in range(70) for _ in range(3 if number == 65 else 1)]
        page = show_example(labels)
        bars = page.tab.locator("#sizes button")
        assert bars.count() == 60
        assert bars.first.get_attribute("data-cluster") == "65"
        rest = page.tab.locator("#sizes-rest").inner_text()
        assert "10 smaller clusters" in rest
        assert "14%" in rest
        assert page.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.console == []

    def test_each_shows_fewer_images(self, show_example: Callable[..., Any]) -> None:
        page = show_example([number % 110 for number in range(1100)])
        page.expect(page.tab.locator("#cluster0 .tile")).to_have_count(4)


def test_printing_fills_all_clusters_and_copies_the_map(show_example: Callable[..., Any]) -> None:
    page = show_example([number % 40 for number in range(120)], {"color_scheme": "dark"})
    tab = page.tab
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator(".strip-slot:empty").count() == 0
    assert not tab.locator("#plan-open").is_visible()
    drawn = "const {width, height} = c; return c.getContext('2d').getImageData(0, 0, width, height).data.some((v) => v)"
    assert tab.locator("#map-printed").evaluate(f"(c) => {{ {drawn} }}")
    assert tab.locator("#map").bounding_box()["width"] < 700
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator("#map-printed").count() == 0
    tab.emulate_media(media="screen")
    tab.fill("#search", "07.png")
    page.expect(tab.locator("#match-count")).to_have_text("2 images found")
    tab.emulate_media(media="print")
    assert tab.locator("#clusters > article:visible").count() == 2
    assert page.console == []
