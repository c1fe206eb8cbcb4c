"""The page: one file that asks the network for nothing, and shows names as text whatever they hold."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.report.content import Cluster, Member, Page
from imgcluster.report.page import render

PICTURE = "data:image/webp;base64,UklGRg=="
HOSTILE = [
    "<img src=x onerror=alert(1)>.jpg",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    "</title></style><script>alert(1)</script>",
    "{{ 7 * 7 }} {% for %} &amp; &lt;",
    "]]>--><svg onload=alert(1)>",
    "line\nbreak\ttab",
    "日本 \u202e gpj.exe",
]


class Reader(HTMLParser):
    """Gathers tags with their attributes, and the text of the page outside of its style."""

    VOID = frozenset({"meta", "img", "br", "hr", "link", "input"})

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def member(path: str = "a.jpg", *, link: str = "../a.jpg", thumbnail: str = PICTURE, medoid: bool = False) -> Member:
    return Member(path=path, link=link, thumbnail=thumbnail, confidence=0.5, is_medoid=medoid)


def cluster(number: int, *members: Member, size: int | None = None) -> Cluster:
    title = "Noise" if number < 0 else f"Cluster {number}"
    return Cluster(number, title, len(members) if size is None else size, 0.25, ("silhouette 0.10", "facts"), members)


def page_of(*clusters: Cluster) -> Page:
    return Page("2 clusters of 5 images", ("5 images in 2 clusters.",), (), clusters, (), "Made by imgcluster")


def hostile_page(text: str) -> Page:
    shown = Cluster(0, text, 3, 0.5, (text,), (member(text, medoid=True), member(text, thumbnail="")))
    return Page(text, (text,), (text,), (shown,), ((text, 2),), text)


class TestStructure:
    def test_a_section_for_each_cluster_in_the_order_given(self) -> None:
        reader = Reader(render(page_of(cluster(0, member(medoid=True)), cluster(1, member()), cluster(-1, member()))))
        assert [section["id"] for section in reader.all("section")] == ["c0", "c1", "c-1"]
        assert [link["href"] for link in reader.all("a") if link["href"].startswith("#")] == ["#c0", "#c1", "#c-1"]

    def test_every_link_within_the_page_has_its_end(self) -> None:
        reader = Reader(render(page_of(*[cluster(number, member()) for number in (0, 1, 2, -1)])))
        ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {link["href"][1:] for link in reader.all("a") if link["href"].startswith("#")} <= set(ids)
        assert {section["aria-labelledby"] for section in reader.all("section")} <= set(ids)

    def test_members_in_the_order_given_and_the_medoid_is_marked(self) -> None:
        members = [member("m.jpg", medoid=True), member("b.jpg"), member("c.jpg")]
        reader = Reader(render(page_of(cluster(0, *members))))
        assert [picture["alt"] for picture in reader.all("img")] == ["m.jpg", "b.jpg", "c.jpg"]
        assert [item.get("class") for item in reader.all("li")[1:]] == ["medoid", None, None]
        assert reader.texts.count("most typical") == 1

    def test_sizes_and_what_is_not_shown(self) -> None:
        reader = Reader(render(page_of(cluster(0, member(medoid=True), member(), size=40), cluster(1, member()))))
        assert "The 2 most typical of 40 are shown." in reader.texts
        assert sum("most typical of" in text for text in reader.texts) == 1
        assert "40 images, 25.0%" in reader.texts
        assert "1 image, 25.0%" in reader.texts

    def test_an_image_without_picture_is_named_all_the_same(self) -> None:
        reader = Reader(render(page_of(cluster(0, member("gone.jpg", thumbnail="")))))
        assert reader.all("img") == []
        assert "no picture" in reader.texts
        assert "gone.jpg" in reader.texts

    def test_skipped_images_by_reason(self) -> None:
        page = dataclasses.replace(page_of(cluster(0, member())), skipped=(("damaged or truncated", 12), ("empty", 3)))
        reader = Reader(render(page))
        assert [text for text in reader.texts if text in {"damaged or truncated", "12", "empty", "3"}] == [
            "damaged or truncated",
            "12",
            "empty",
            "3",
        ]
        assert "skipped" not in {section["id"] for section in Reader(render(page_of())).all("section")}

    def test_a_page_without_clusters(self) -> None:
        assert Reader(render(page_of())).all("section") == []


class TestOffline:
    def test_nothing_is_fetched_and_nothing_runs(self) -> None:
        html = render(page_of(cluster(0, member(medoid=True), member()), cluster(-1, member())))
        reader = Reader(html)
        for forbidden in ("http:", "https:", "//", "@import", "url(", "javascript:"):
            assert forbidden not in html.replace("data:image", "").lower()
        assert {"script", "link", "iframe", "object", "embed", "base", "form"}.isdisjoint(tag for tag, _ in reader.tags)
        sources = [attributes["src"] for _, attributes in reader.tags if "src" in attributes]
        assert len(sources) == 3
        assert all(source.startswith("data:image/") for source in sources)

    def test_the_page_forbids_the_browser_to_fetch_or_run_anything(self) -> None:
        policies = [
            meta["content"]
            for meta in Reader(render(page_of())).all("meta")
            if meta.get("http-equiv") == "Content-Security-Policy"
        ]
        assert len(policies) == 1
        assert "default-src 'none'" in policies[0]
        assert "script-src" not in policies[0]

    def test_it_says_that_it_is_utf_8(self) -> None:
        html = render(page_of(cluster(0, member("日本.jpg"))))
        assert Reader(html).all("meta")[0] == {"charset": "utf-8"}
        assert "日本.jpg".encode() in html.encode("utf-8")


class TestEscaping:
    @pytest.mark.parametrize("text", HOSTILE, ids=ascii)
    def test_every_text_arrives_as_text(self, text: str) -> None:
        html = render(hostile_page(text))
        plain, reader = Reader(render(hostile_page("plain"))), Reader(html)
        # The same tags with the same attributes as for a harmless text.
        assert [(tag, sorted(attributes)) for tag, attributes in reader.tags] == [
            (tag, sorted(attributes)) for tag, attributes in plain.tags
        ]
        assert [picture["alt"] for picture in reader.all("img")] == [text]
        assert text in [link.get("title") for link in reader.all("a")]
        assert reader.texts.count(text.strip()) == plain.texts.count("plain")

    def test_a_link_stays_in_its_attribute(self) -> None:
        link = "../a%20b.jpg\" onclick='alert(1)' x=\"&lt;"
        reader = Reader(render(page_of(cluster(0, member(link=link)))))
        assert reader.all("a")[1] == {"href": link, "title": "a.jpg"}

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from(list("<>&\"'{}%#-!")), max_size=12))
    def test_any_text_leaves_the_structure_alone(self, text: str) -> None:
        plain, reader = Reader(render(hostile_page("plain"))), Reader(render(hostile_page(text)))
        assert [(tag, sorted(attributes)) for tag, attributes in reader.tags] == [
            (tag, sorted(attributes)) for tag, attributes in plain.tags
        ]
        assert [picture["alt"] for picture in reader.all("img")] == [text]
