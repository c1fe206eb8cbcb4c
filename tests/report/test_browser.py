"""The page in a real browser: it opens offline, shows what it should, and what is decided on it comes back."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import imgcluster
import pages
from imgcluster.commands import page as report_module
from samples import paint

HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    '"><script>alert(2)<&gt;.png',
    "a?b#c%20d&e.png",
    "日本 \u202egpj.png",
    "line\nbreak.png",
    "${alert(3)} {{ 7*7 }} <!--.png",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A folder with pictures of three colours, some under hostile names, and their clustered workspace beside them."""
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
def opened(made: Path, show: Callable[..., Any]) -> Any:
    """The page, opened once for all tests that leave it as it was."""
    return show(made / "out/report.html")


@pytest.fixture
def page(opened: Any) -> Iterator[Any]:
    """The opened page without search, dialogs or decisions of the test before."""
    yield opened
    tab = opened.tab
    while tab.locator("dialog[open]").count():
        tab.keyboard.press("Escape")
    tab.fill("#search", "")
    tab.select_option("#folder", "")
    tab.uncheck("#doubtful")
    opened.expect(tab.locator("#found")).to_have_text("")
    tab.click("#plan-open")
    while tab.locator(".decisions button").count():
        tab.locator(".decisions button").first.click()
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
            members = page.tab.locator("#cluster-card .tiles:not(.strip) .tile")
            assert members.count() == int(row["size"])
            page.tab.keyboard.press("Escape")
            assert page.tab.locator("#cluster-card[open]").count() == 0

    def test_what_was_skipped_and_why(self, page: Any) -> None:
        assert "1 file skipped" in page.tab.locator("#sentences").inner_text()
        assert "damaged" in page.tab.locator("#skipped tbody").inner_text()

    def test_without_webgl_it_says_so_and_the_rest_works(self, made: Path, browser: Any) -> None:
        context = browser.new_context()
        context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
        tab = context.new_page()
        tab.goto((made / "out/report.html").as_uri())
        tab.wait_for_selector("#map[data-state=missing]")
        assert "no WebGL" in tab.locator("#map").inner_text()
        tab.locator("#cluster0 .tile").first.click()
        assert tab.locator("#image-card[open]").count() == 1
        context.close()

    @pytest.mark.parametrize("width", [1280, 390])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_nothing_sticks_out_and_no_text_lies_over_another(
        self, made: Path, show: Callable[..., Any], width: int, scheme: str
    ) -> None:
        page = show(made / "out/report.html", viewport={"width": width, "height": 844}, color_scheme=scheme)
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        assert page.tab.evaluate(OVERLAPS) == []
        page.tab.locator("#cluster0 .open").click()
        assert page.tab.evaluate("document.getElementById('cluster-card').scrollWidth") <= width
        assert page.tab.evaluate(OVERLAPS) == []
        page.tab.locator("#cluster-card .tile").first.click()
        assert page.tab.evaluate(OVERLAPS) == []


# Pairs of texts whose boxes share more than a pixel; the texts behind an open dialog are covered on purpose.
OVERLAPS = """() => {
  const home = [...document.querySelectorAll("dialog[open]")].pop() ?? document.body;
  const boxes = [];
  const walker = document.createTreeWalker(home, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const unseen = "script, style, select, .hidden, .skip, [hidden], dialog:not([open])";
    if (!walker.currentNode.data.trim() || parent.closest(unseen)) continue;
    if (parent.closest(".badge, .map-buttons, .card-head, .bar") || !parent.checkVisibility()) continue;
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


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A workspace with embeddings to cluster in other ways."""
    folder = tmp_path_factory.mktemp("odd")
    paint(folder / "pictures", per_folder=30)
    imgcluster.embed([folder / "pictures"], workspace=folder / "out", encoder=tiny_encoder, device="cpu")
    return folder / "out"


class TestOddSets:
    def test_noise_alone(self, images: Path, show: Callable[..., Any]) -> None:
        imgcluster.cluster(workspace=images, method="hdbscan", min_cluster_size=80, place="none")
        page = show(images / "report.html")
        assert page.tab.locator("#clusters > article").count() == 1
        assert "Noise" in page.tab.locator("#cluster-1 h3").inner_text()
        assert "all are noise" in page.tab.locator("#sentences .warning").inner_text()
        page.tab.locator("#cluster-1 .open").click()
        assert page.tab.locator("#cluster-card #name").count() == 0
        assert page.console == []

    def test_more_clusters_than_colours(self, images: Path, show: Callable[..., Any]) -> None:
        imgcluster.cluster(workspace=images, k=70, place="none")
        page = show(images / "report.html", viewport={"width": 390, "height": 844})
        assert page.tab.locator("#clusters > article").count() == 70
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.tab.evaluate(OVERLAPS) == []
        assert page.console == []

    def test_what_the_clustering_says_of_itself_is_shown(self, images: Path, show: Callable[..., Any]) -> None:
        imgcluster.cluster(workspace=images, k=3, place="none")
        metrics = json.loads((images / "metrics.json").read_text(encoding="utf-8"))
        metrics |= {"quality": "Nearly all is sure.", "warnings": ["Clusters follow <b>brightness</b>."]}
        (images / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        imgcluster.report_page(workspace=images)
        tab = show(images / "report.html").tab
        assert tab.locator("#sentences .lead").inner_text() == "Nearly all is sure."
        assert tab.locator("#sentences .warning").inner_text() == "Clusters follow <b>brightness</b>."

    def test_pictures_that_are_not_inside_come_from_the_originals(
        self, images: Path, show: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(report_module, "_EMBEDDED", 12)
        imgcluster.cluster(workspace=images, k=3, place="none")
        assert sum(len(tier["missing"]) for tier in pages.read(images / "report.html").document["thumbnails"]) == 0
        page = show(images / "report.html")
        page.tab.locator("#cluster0 .open").click()
        members = page.tab.locator("#cluster-card .tiles:not(.strip) .tile")
        assert members.count() == 30
        page.tab.wait_for_selector("#cluster-card img.picture")
        shown = "[...document.querySelectorAll('#cluster-card img.picture')].every((one) => one.naturalWidth > 0)"
        members.last.scroll_into_view_if_needed()
        page.tab.wait_for_load_state("networkidle")
        assert page.tab.evaluate(shown)
        assert page.tab.locator("#cluster-card .tiles:not(.strip) img.picture").count() == 26
        assert page.fetched == []
        assert page.console == []

    def test_originals_that_are_gone_leave_the_small_pictures(self, images: Path, show: Callable[..., Any]) -> None:
        imgcluster.cluster(workspace=images, k=3, place="none")
        shutil.copy(images / "report.html", images.parent / "alone.html")
        (images.parent / "far/away").mkdir(parents=True)
        page = show((images.parent / "alone.html").rename(images.parent / "far/away/alone.html"))
        page.tab.locator("#cluster0 .tile").first.click()
        page.expect(page.tab.locator("#image-card")).to_contain_text("not beside this page")
        assert page.tab.locator("#image-card .frame .picture").count() == 1


class TestNames:
    def test_a_hostile_name_is_text(self, page: Any) -> None:
        for name in HOSTILE:
            word = max(name.replace("\n", " ").split(" ")[0].split("."), key=len).lower()
            page.tab.fill("#search", word)
            page.expect(page.tab.locator("#found")).not_to_have_text("")
            tile = page.tab.locator("#clusters article:not([hidden]) .tile").first
            tile.wait_for()
            tile.hover()
            tile.click()
            shown = page.tab.locator("#image-title").inner_text()
            assert shown.replace("\n", " ").split() == name.replace("\n", " ").split()
            # The original opens from beside the page, whatever is in its name.
            page.tab.wait_for_selector("#image-card img.original")
            page.tab.keyboard.press("Escape")
            page.expect(tile).to_be_focused()
            page.tab.fill("#search", "")
            page.expect(page.tab.locator("#found")).to_have_text("")
        assert page.dialogs == []
        assert page.console == []
        assert page.tab.locator("img[src=x]").count() == 0


class TestSearch:
    def test_words_folders_and_doubt_narrow_down(self, page: Any) -> None:
        tab = page.tab
        tab.fill("#search", "green 07")
        page.expect(tab.locator("#found")).to_have_text("1 image found")
        assert tab.locator("#clusters > article:visible").count() == 1
        assert tab.locator("#clusters > article:visible .tile").get_attribute("aria-label").startswith("green/07.png")
        tab.fill("#search", "")
        tab.select_option("#folder", label="blue")
        page.expect(tab.locator("#found")).to_have_text("20 images found")
        tab.select_option("#folder", "")
        tab.check("#doubtful")
        assert 0 < int(tab.locator("#found").inner_text().split()[0]) < 40
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
        assert tab.locator("#image-card[open]").count() == 0
        assert tab.evaluate(focused) == second

    def test_the_map_is_moved_and_asked_by_keys(self, page: Any) -> None:
        page.tab.focus("#map-view")
        for key in ("+", "+", "ArrowLeft", "ArrowUp", "-", "0"):
            page.tab.keyboard.press(key)
        page.tab.wait_for_selector("#map-hover:not([hidden])")
        page.tab.keyboard.press("Enter")
        assert page.tab.locator("#image-card[open]").count() == 1
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
    def test_a_click_on_a_point_opens_its_card(self, page: Any) -> None:
        # The most typical image of a cluster lies above its label.
        label = page.tab.locator("#map-labels span:not([hidden])").first.bounding_box()
        place = label["x"] + label["width"] / 2, label["y"] - 20
        page.tab.mouse.move(*place)
        page.tab.wait_for_selector("#map-hover:not([hidden])")
        page.tab.mouse.click(*place)
        assert page.tab.locator("#image-card[open]").count() == 1
        assert page.console == []

    def test_dragging_and_scrolling_draw_again(self, page: Any) -> None:
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
        assert page.tab.locator("#image-card[open]").count() == 0
        assert page.console == []


class TestPlan:
    def test_what_is_decided_comes_back(self, made: Path, show: Callable[..., Any], tmp_path: Path) -> None:
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
        assert tab.locator("#plan-open").inner_text() == "Plan: 3 decisions"
        tab.click("#plan-open")
        assert tab.locator(".decisions li").count() == 3
        with tab.expect_download() as download:
            tab.click("#plan-save")
        plan = tmp_path / "imgcluster-plan.json"
        download.value.save_as(plan)
        assert download.value.suggested_filename == plan.name
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
            assert ("merge the two" in tab.locator("#cluster-card .problem").inner_text()) == (number == 1)
            tab.keyboard.press("Escape")
        assert tab.locator("#plan-open").inner_text() == "Plan: 1 decision"

    def test_decisions_are_taken_back(self, page: Any) -> None:
        tab = page.tab
        tab.locator("#cluster1 .open").click()
        tab.select_option("#merge", "0")
        tab.keyboard.press("Escape")
        assert "will be merged into" in tab.locator("#cluster1 .merged").inner_text()
        tab.click("#plan-open")
        tab.click(".decisions button")
        assert tab.locator(".decisions li").count() == 0
        assert tab.locator("#plan-save").is_disabled()
        tab.keyboard.press("Escape")
        assert tab.locator("#cluster1 .merged").is_hidden()
