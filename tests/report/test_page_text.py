"""The sentences and facts of the page."""

from __future__ import annotations

from typing import Any

import pytest

from imgcluster.report.page_text import details, headline, quality, sentences


def metrics(**values: Any) -> dict[str, Any]:
    return {
        "images": 1234,
        "clusters": 7,
        "method": "hdbscan",
        "reduction": "PCA to 10 dimensions",
        "options": {"seed": 3, "k": None},
        "silhouette": None,
        "noise": 0,
    } | values


def rows(values: dict[str, Any], **arguments: Any) -> dict[str, str]:
    words = {"method": "HDBSCAN", "options": "", "projection": "PCA"} | arguments
    return dict(details(values, {"encoder": {"name": "photos"}}, **words))


class TestHeadline:
    def test_it_has_both_numbers(self) -> None:
        assert headline(metrics()) == "7 clusters were found in 1,234 images."

    def test_one_of_each(self) -> None:
        assert headline(metrics(images=1, clusters=1)) == "1 cluster was found in 1 image."

    def test_a_requested_number_was_not_found(self) -> None:
        text = headline(metrics(options={"seed": 3, "k": 7}))
        assert "found" not in text
        assert "7 clusters" in text

    def test_noise_alone(self) -> None:
        assert "No clusters" in headline(metrics(clusters=0, noise=1234))


class TestSentences:
    def test_nothing_is_said_where_nothing_is_known(self) -> None:
        assert sentences(metrics()) == ()

    def test_noise(self) -> None:
        (text,) = sentences(metrics(noise=34))
        assert "34 images (3%)" in text
        (text,) = sentences(metrics(images=1, noise=1))
        assert "1 image (100%)" in text
        (text,) = sentences(metrics(images=1000, noise=1))
        assert "1 image (less than 1%)" in text
        (text,) = sentences(metrics(images=1000, noise=999))
        assert "999 images (more than 99%)" in text

    def test_quality_comes_first_and_accuracy_last(self) -> None:
        scores = {"labels": "folders", "accuracy": 0.6, "nmi": 0.51239, "ari": -0.1, "purity": 1.0}
        first, *_, last = sentences(metrics(quality="All 7 clusters are stable.", noise=1, scores=scores))
        assert first == "All 7 clusters are stable."
        assert "0.600" in last
        assert "folders" in last

    def test_numbers_of_experts_are_not_among_them(self) -> None:
        text = " ".join(sentences(metrics(silhouette=0.123, scores={"labels": "folders", "accuracy": 1.0})))
        assert "0.12" not in text
        assert "silhouette" not in text.lower()


class TestQuality:
    def test_silhouettes_of_each_band_have_their_own_words(self) -> None:
        words = [quality(metrics(silhouette=value)) for value in (0.8, 0.5, 0.3, 0.25, 0.1, 0.05, 0.0, -0.4)]
        assert [words.index(word) for word in words] == [0, 0, 2, 2, 4, 4, 6, 6]

    def test_a_sentence_of_the_clustering_itself_is_used(self) -> None:
        assert quality(metrics(silhouette=0.4, quality="Sure of most.")) == "Sure of most."
        assert quality(metrics()) == ""


class TestFacts:
    def test_how_the_clusters_were_made(self) -> None:
        found = rows(metrics(imgcluster="1.2.3"), options="--k 7 --assign-noise")
        assert found["Encoder"] == "photos"
        assert found["Method"] == "HDBSCAN"
        assert found["Reduction"] == "PCA to 10 dimensions"
        assert found["Options"] == "--k 7 --assign-noise"
        assert found["Seed"] == "3"
        assert found["Map"] == "PCA"
        assert found["Version"] == "1.2.3"
        assert rows(metrics())["Options"] == "defaults"

    @pytest.mark.parametrize(("value", "text"), [(0.22561, "0.2256"), (-0.0, "0")])
    def test_expert_scores(self, value: float, text: str) -> None:
        found = rows(
            metrics(
                silhouette=value,
                parameters={"starts": 8, "inertia": 1.23456},
                scores={"nmi": 0.51239, "ari": -0.1, "purity": 1.0, "accuracy": 1.0},
            )
        )
        assert found["Mean silhouette"] == text
        assert found["Parameters"] == "starts = 8, inertia = 1.235"
        assert (found["NMI"], found["ARI"], found["Purity"]) == ("0.5124", "-0.1", "1")

    def test_unknown_values_are_left_out(self) -> None:
        assert rows(metrics(), projection="").keys() == {"Encoder", "Method", "Reduction", "Options", "Seed"}
