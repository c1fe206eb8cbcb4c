"""The page as a file: it fetches nothing, runs only its own script, and holds names as data."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pages
from imgcluster.report.page import SCRIPTS, render
from imgcluster.report.page_content import Cluster, Images, Page, SkippedFiles, Thumbnails

HOSTILE = [
    "<img src=x onerror=alert(1)>.jpg",
    '" onmouseover="alert(1)',
    "</title></style></script><script>alert(1)</script>",
    "<!--<script>",
    "{{ 7 * 7 }} {% for %} &amp; &lt;",
    "]]>--><svg onload=alert(1)>",
    "line\nbreak\ttab\u2028\u2029",
    "日本 \u202e gpj.exe",
]


def cluster(number: int = 0, name: str = "") -> Cluster:
    return Cluster(number, name, 2, 0.1, None, 0.3, 0, ((1, 0.5),), (0, 1))


def images(text: str = "a") -> Images:
    return Images(
        names=[f"{text}.jpg", "b.jpg"],
        folders=[(text, "../in")],
        folder=np.zeros(2, np.int32),
        links={1: "clusters/b.jpg"},
        cluster=np.array([0, -1], np.int32),
        runner_up=None,
        confidence=np.array([0.25, np.nan]),
        distance=np.array([0.5, np.nan], np.float32),
        pixels=np.array([400, 300], np.int32),
        points=np.array([[-1, 1], [0.5, 0]], np.float32),
    )


def page_of(text: str = "plain") -> Page:
    return Page(
        identity="0" * 24,
        title=text,
        sentences=(text,),
        warnings=(text,),
        facts=((text, text),),
        clusters=(cluster(0, text), cluster(-1)),
        images=images(text),
        thumbnails=(Thumbnails(8, 128, np.array([0], np.int32), (), (b"webp",)),),
        skipped=(SkippedFiles(text, 3, (text,)),),
        workspace_option=f"-w '{text}'",
        made_by=text,
    )


class TestPolicy:
    def test_only_the_scripts_and_the_style_that_are_there_may_run(self) -> None:
        page = pages.read(render(page_of()))
        named = set(re.findall(r"'(sha256-[^']+)'", page.policy))
        inside = [text for text in page.scripts if not text.startswith("{")] + page.styles
        assert named == {
            "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inside
        }
        assert page.policy.startswith("default-src 'none'; ")
        assert "unsafe" not in page.policy
        assert not re.search(r"https?:|\*", page.policy)

    def test_nothing_is_named_that_would_be_fetched(self) -> None:
        page = pages.read(render(page_of()))
        assert {"link", "iframe", "object", "embed", "base", "form", "img"}.isdisjoint(tag for tag, _ in page.tags)
        assert not [attributes for _, attributes in page.tags if "src" in attributes]
        assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
        assert all("url(" not in text for text in page.styles)

    def test_every_script_is_in_the_page(self) -> None:
        found = {path.name for path in (files("imgcluster.report") / "scripts").iterdir()}
        assert found == set(SCRIPTS)

    def test_scripts_make_no_html_of_texts(self) -> None:
        for name in SCRIPTS:
            text = (files("imgcluster.report") / "scripts" / name).read_text(encoding="utf-8")
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)
            assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|https?://", text)

    def test_scripts_do_not_wait_for_the_graphics_card(self) -> None:
        """Chromium would say so on the console, where the browser tests leave that message out."""
        for name in SCRIPTS:
            assert "readPixels" not in (files("imgcluster.report") / "scripts" / name).read_text(encoding="utf-8")

    def test_it_says_that_it_is_utf_8(self) -> None:
        html = render(page_of("日本"))
        assert '<meta charset="utf-8">' in html[:120]
        assert "日本".encode() in html.encode("utf-8")


class TestTexts:
    @pytest.mark.parametrize("text", HOSTILE, ids=ascii)
    def test_every_text_arrives_as_data(self, text: str) -> None:
        plain, page = pages.read(render(page_of())), pages.read(render(page_of(text)))
        assert [(tag, sorted(attributes)) for tag, attributes in page.tags] == [
            (tag, sorted(attributes)) for tag, attributes in plain.tags
        ]
        assert page.document["sentences"] == [text]
        assert page.document["clusters"][0]["name"] == text
        assert page.paths[0] == f"{text}/{text}.jpg"
        assert page.document["skipped"] == [[text, 3, [text]]]
        # Neither the end of the block nor a comment can begin in it.
        data = page.html[page.html.index('id="data">') + 10 :]
        assert "<" not in data[: data.index("</script>")]

    @settings(max_examples=40, derandomize=True)
    @given(st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from(list("<>&\"'{}%#-!")), max_size=12))
    def test_any_text_leaves_the_structure_alone(self, text: str) -> None:
        page = pages.read(render(page_of(text)))
        assert [tag for tag, _ in page.tags] == [tag for tag, _ in pages.read(render(page_of())).tags]
        assert page.document["title"] == text


class TestNumbers:
    def test_columns_come_back_as_they_were(self) -> None:
        page = pages.read(render(page_of()))
        assert page.array("cluster", "<i4").tolist() == [0, -1]
        assert page.array("confidence", "<u2").tolist() == [16384, 0]
        assert (page.array("points", "<i2") / 32767).round(3).tolist() == [-1, 1, 0.5, 0]
        distance = page.array("distance", "<f4")
        assert distance[0] == 0.5
        assert np.isnan(distance[1])
        assert page.links == ["../in/plain.jpg", "clusters/b.jpg"]

    def test_the_same_page_gives_the_same_bytes(self) -> None:
        assert render(page_of()) == render(page_of())
