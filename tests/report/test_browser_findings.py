"""Duplicates, bursts, unusual and similar images on the page, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from imgcluster.report.page_content import Copy, Findings, Unusual
from page_actions import reset, saved_plan, tick

LABELS = [0, 0, 0, 1, 1, 1, 1, 1]


def copy(image: int, kind: str, score: float = 1.0) -> Copy:
    return Copy(image, kind, score, 4000, 3000, 2_345_678)


FOUND = Findings(
    neighbors=np.array([[(row + step) % 8 for step in (1, 2)] for row in range(8)], np.int32),
    duplicates=((copy(0, "best"), copy(3, "exact"), copy(4, "near", 0.93)), (copy(5, "best"), copy(6, "near", 0.9))),
    bursts=((copy(1, "best"), copy(2, "burst", 0.5)),),
    outliers=(Unusual(7, ("far", "blurred"), 0.2), Unusual(2, ("blurred",), 0.1), Unusual(0, ("dark",), None)),
)


@pytest.fixture(scope="module")
def shared(show_example_long: Callable[..., Any]) -> Any:
    """The page with all that was found, opened once for all tests that change nothing on it."""
    return show_example_long(LABELS, findings=FOUND)


@pytest.fixture
def opened(shared: Any) -> Iterator[Any]:
    """The opened page without the dialogs and choices of the previous test."""
    yield shared
    shared.tab.select_option("#outlier-reason", index=0)
    reset(shared)


def errors(opened: Any) -> list[str]:
    """Return the messages on the console, except those about the original files, which do not exist."""
    return [message for message in opened.console if "ERR_FILE_NOT_FOUND" not in message]


def shown(tab: Any, where: str) -> list[int]:
    """Return the images of the tiles in an element."""
    return [int(tile.get_attribute("data-image")) for tile in tab.locator(f"{where} .tile").all()]


def test_copies_are_beside_the_best_image(opened: Any) -> None:
    assert shown(opened.tab, "#duplicates") == [0, 3, 4, 5, 6]
    assert shown(opened.tab, "#bursts") == [1, 2]
    facts = opened.tab.locator("#duplicates .group").first.inner_text()
    for fact in ("00.png", "03.png", "04.png", "4,000×3,000", "2.3 MB", "best", "93%"):
        assert fact in facts
    assert opened.tab.locator("[data-aside='4']").get_attribute("aria-label") == "Set aside 04.png"
    assert "3 duplicates in 2 groups" in opened.tab.locator("#sentences").inner_text()
    opened.tab.click("#duplicates .tile >> nth=2")
    opened.expect(opened.tab.locator("#image-title")).to_have_text("04.png")
    opened.tab.keyboard.press("ArrowLeft")
    opened.tab.keyboard.press("ArrowLeft")
    opened.expect(opened.tab.locator("#image-title")).to_have_text("00.png")
    assert errors(opened) == []


def test_many_groups_are_shown_step_by_step(show_example: Callable[..., Any]) -> None:
    found = [(copy(2 * number, "best"), copy(2 * number + 1, "exact")) for number in range(60)]
    opened = show_example([0] * 120, findings=Findings(duplicates=tuple(found)))
    groups = opened.tab.locator("#duplicates .group")
    opened.expect(groups).to_have_count(24)
    opened.tab.locator("#duplicates > button").click()
    opened.expect(groups).to_have_count(48)
    opened.tab.locator("#duplicates > button").click()
    opened.expect(groups).to_have_count(60)
    opened.expect(opened.tab.locator("#duplicates > button")).to_be_hidden()


def test_unusual_images_and_their_reasons(opened: Any) -> None:
    assert shown(opened.tab, "#outliers") == [7, 2, 0]
    assert "blurred" in opened.tab.locator("#outliers .tile .badge").first.inner_text()
    opened.tab.select_option("#outlier-reason", "blurred")
    # The most blurred first.
    assert shown(opened.tab, "#outliers") == [2, 7]
    opened.tab.select_option("#outlier-reason", "dark")
    assert shown(opened.tab, "#outliers") == [0]


def test_any_image_is_set_aside_from_its_dialog_or_with_the_selection(opened: Any) -> None:
    tab = opened.tab
    tab.click("#outliers .tile[data-image='7']")
    tab.click("#image-aside")
    opened.expect(tab.locator("#image-aside")).to_have_attribute("aria-pressed", "true")
    tab.keyboard.press("Escape")
    for image in (1, 2):
        tick(tab.locator(f"#clusters .tile[data-image='{image}']"))
    tab.keyboard.press("a")
    # One of the burst stays.
    opened.expect(tab.locator("#selection-text")).to_contain_text("1 image must stay")
    tab.click("#clusters .tile[data-image='2']")
    opened.expect(tab.locator("#image-aside")).to_be_disabled()
    assert saved_plan(tab)["set_aside"] == ["07.png", "01.png"]
    tab.click("#outliers .tile[data-image='7']")
    tab.click("#image-aside")
    assert saved_plan(tab)["set_aside"] == ["01.png"]


def test_similar_images_lead_to_other_images(opened: Any) -> None:
    opened.tab.click("#clusters .tile >> nth=0")
    assert shown(opened.tab, "#image-dialog") == [1, 2]
    opened.tab.click("#image-dialog .tile >> nth=1")
    opened.expect(opened.tab.locator("#image-title")).to_have_text("02.png")
    assert shown(opened.tab, "#image-dialog") == [3, 4]
    assert errors(opened) == []


def test_keys_walk_among_similar_images_and_then_switch_between_them(opened: Any) -> None:
    tab = opened.tab
    tab.click("#clusters .tile >> nth=0")
    tab.locator("#image-dialog .strip .tile").first.focus()
    tab.keyboard.press("ArrowRight")
    opened.expect(tab.locator("#image-dialog .strip .tile").nth(1)).to_be_focused()
    assert tab.locator("#image-title").inner_text() == "00.png"
    tab.evaluate("document.querySelector('#image-dialog').scrollTop = 9999")
    tab.keyboard.press("Enter")
    opened.expect(tab.locator("#image-title")).to_have_text("02.png")
    assert tab.evaluate("document.querySelector('#image-dialog').scrollTop") == 0
    tab.keyboard.press("ArrowLeft")
    opened.expect(tab.locator("#image-title")).to_have_text("01.png")
    tab.keyboard.press("Escape")
    opened.expect(tab.locator("#clusters .tile").first).to_be_focused()


def test_nothing_is_shown_that_is_not_known(show_example: Callable[..., Any]) -> None:
    opened = show_example(LABELS)
    for name in ("duplicates", "bursts", "outliers"):
        opened.expect(opened.tab.locator(f"#{name}")).to_be_hidden()
    opened.tab.click("#clusters .tile >> nth=0")
    assert shown(opened.tab, "#image-dialog") == []


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_not_wider_than_the_window(show_example: Callable[..., Any], width: int) -> None:
    opened = show_example(LABELS, {"viewport": {"width": width, "height": 800}}, findings=FOUND)
    assert opened.tab.evaluate("document.documentElement.scrollWidth") == width


def test_copies_are_set_aside_by_the_plan(show_example: Callable[..., Any]) -> None:
    opened = show_example(LABELS, findings=FOUND)
    tab = opened.tab
    tab.click("text=Set aside all exact copies")
    boxes = tab.locator("[data-aside]")
    checked = lambda: [int(box.get_attribute("data-aside")) for box in boxes.all() if box.is_checked()]  # noqa: E731
    assert checked() == [3]
    tab.locator("[data-aside='4']").check()
    # The last image of a group stays.
    tab.locator("[data-aside='0']").first.click()
    assert checked() == [3, 4]
    opened.expect(tab.locator(".copy .problem:not(:empty)")).to_have_count(1)
    assert "set aside" in tab.locator("#duplicates .tile .badge.moved").first.inner_text()
    assert saved_plan(tab)["set_aside"] == ["03.png", "04.png"]
    tab.keyboard.press("Control+z")
    assert checked() == [3]
    tab.reload()
    tab.wait_for_selector("html[data-state=ready]")
    assert checked() == [3]
    tab.click("#plan-open")
    tab.click(".changes button")
    tab.keyboard.press("Escape")
    assert checked() == []
    tab.click("text=Set aside all but the sharpest")
    assert checked() == [2]
    tab.click("text=Set aside all near-copies")
    assert checked() == [4, 6, 2]


def test_what_is_set_aside_already_is_not_in_the_plan(show_example: Callable[..., Any]) -> None:
    opened = show_example(LABELS, findings=Findings(set_aside=(4,)))
    opened.tab.click("#clusters .tile[data-image='4']")
    assert "in the folder" in opened.tab.locator("#image-dialog dl").first.inner_text()
    assert opened.tab.locator("#image-aside").count() == 0


def test_the_last_image_of_a_group_that_is_not_shown_stays(show_example: Callable[..., Any]) -> None:
    opened = show_example(LABELS, findings=Findings(set_aside=(1,), remaining=((0,), (4, 5))))
    tab = opened.tab
    for number in (0, 4, 5, 6):
        tick(tab.locator(f"#clusters .tile[data-image='{number}']"))
    tab.click("#selection-aside")
    opened.expect(tab.locator("#selection-text")).to_contain_text("2 images must stay")
    assert saved_plan(tab)["set_aside"] == ["04.png", "06.png"]
    tab.click("#clusters .tile[data-image='0']")
    assert tab.locator("#image-aside").is_disabled()
    assert "has to stay" in tab.locator("#image-aside").get_attribute("title")
