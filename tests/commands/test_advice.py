"""Advice: each warning where it belongs and nowhere else, and sentences that people would say."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from imgcluster.commands.advice import about_encoder, about_groups, about_looks, quality
from imgcluster.types import Clustering
from imgcluster.workspace.shards import Embeddings
from vectors import one_layer

COUNT = 60
LABELS = np.arange(COUNT) % 3


def images(
    *,
    brightness: np.ndarray | float = 0.5,
    colour: np.ndarray | float = 0.3,
    width: np.ndarray | int = 640,
    height: np.ndarray | int = 480,
    folders: list[str] | None = None,
    count: int = COUNT,
) -> Embeddings:
    places = folders or ["/photos"] * count
    return Embeddings(
        locations=[f"{place}/{number}.jpg" for number, place in enumerate(places)],
        roots=("/photos",),
        sizes=np.stack([np.broadcast_to(width, count), np.broadcast_to(height, count)], axis=1).astype(np.int32),
        looks=np.stack([np.broadcast_to(brightness, count), np.broadcast_to(colour, count)], axis=1).astype(np.float32),
        vectors=np.zeros((count, 4), np.float32),
        fingerprint="f",
    )


def groups(clustering: Clustering, stability: list[float | None], *, asked: bool = False) -> list[str]:
    return list(about_groups(clustering, stability, asked=asked, min_cluster_size=clustering.parameters.get("m")))


class TestQuality:
    @pytest.mark.parametrize(
        ("stability", "noise", "expected"),
        [
            ([], 60, "There are no clusters."),
            ([1.0], 0, "There is one cluster, so there is nothing to tell apart."),
            ([0.75, 0.9, 1.0], 0, "All 3 clusters come out again when images are left out."),
            (
                [0.9, 0.9],
                1234,
                "All 2 clusters come out again when images are left out. 1,234 of 2,000 images are in none.",
            ),
            ([0.9, 0.6, 0.5], 0, "1 of 3 clusters come out again when images are left out, the others in part."),
            (
                [0.9, 0.4, 0.8],
                0,
                "2 of 3 clusters come out again when images are left out; cluster 1 dissolves, so look there first.",
            ),
            (
                [0.4, 0.4, 0.8],
                5,
                (
                    "1 of 3 clusters come out again when images are left out; clusters 0 and 1 dissolve, so look "
                    "there first. 5 of 2,000 images are in none."
                ),
            ),
            (
                [0.1] * 8,
                0,
                (
                    "0 of 8 clusters come out again when images are left out; clusters 0, 1, 2, 3, 4 and 3 more "
                    "dissolve, so look there first."
                ),
            ),
            ([0.9, None], 0, "1 of 2 clusters come out again when images are left out, the others in part."),
        ],
    )
    def test_one_sentence_says_it(self, stability: list[float | None], noise: int, expected: str) -> None:
        assert quality(stability, 2000, noise) == expected


class TestAboutGroups:
    def test_nothing_to_say_of_good_clusters(self) -> None:
        assert groups(one_layer(LABELS), [0.9, 0.8, 0.9], asked=True) == []

    def test_equal_images(self) -> None:
        same = dataclasses.replace(one_layer([0] * 5), parameters={"identical": True})
        (warning,) = groups(same, [1.0])
        assert warning.startswith("All 5 images are the same to this encoder")

    def test_too_few_to_count(self) -> None:
        few = dataclasses.replace(one_layer([0] * 3), parameters={"too_few": True})
        (warning,) = groups(few, [1.0])
        assert warning == "3 images are too few to find a number of clusters, so they are one; --k N asks for more."

    def test_nothing_but_noise(self) -> None:
        clustering = dataclasses.replace(one_layer([-1] * 9), parameters={"m": 4})
        (warning,) = groups(clustering, [])
        assert "No group of 4 or more similar images was found" in warning
        assert "leave out --method" in warning

    @pytest.mark.parametrize(("noise", "warned"), [(0, False), (30, False), (31, True), (59, True)])
    def test_more_than_half_noise(self, noise: int, warned: bool) -> None:
        labels = np.zeros(60, np.int64)
        labels[:noise] = -1
        found = groups(dataclasses.replace(one_layer(labels), parameters={"m": 5}), [0.9])
        assert [f"({noise} of 60)" in warning and "--assign-noise" in warning for warning in found] == [True] * warned

    @pytest.mark.parametrize(
        ("stability", "asked", "warned"),
        [
            ([0.4, 0.4, 0.9], True, True),
            ([0.4, 0.4, 0.9], False, False),
            ([0.4, 0.9, 0.9], True, False),
            ([0.6, 0.6, 0.6], True, False),
            ([None, None, 0.9], True, False),
        ],
    )
    def test_more_clusters_than_there_are(self, stability: list[float | None], asked: bool, warned: bool) -> None:
        found = groups(one_layer(LABELS), stability, asked=asked)
        assert len(found) == warned
        for warning in found:
            assert warning.startswith("--k 3 is more than these images show: 2 of the clusters do not come out again")
            assert "leave out --k" in warning

    def test_two_clusters_are_never_too_many(self) -> None:
        assert groups(one_layer(LABELS % 2), [0.1, 0.1], asked=True) == []


class TestAboutLooks:
    def test_nothing_to_say_where_the_looks_have_nothing_to_do_with_it(self) -> None:
        generator = np.random.default_rng(0)
        pictures = images(
            brightness=generator.random(COUNT),
            width=generator.integers(100, 2000, COUNT),
            height=generator.integers(100, 2000, COUNT),
            folders=[f"/photos/{number % 4}" for number in range(COUNT)],
        )
        assert list(about_looks(LABELS, pictures)) == []

    def test_brightness(self) -> None:
        brightness = LABELS / 3 + np.random.default_rng(0).normal(0, 0.05, COUNT)
        (warning,) = about_looks(LABELS, images(brightness=brightness))
        assert warning.startswith("The clusters follow the brightness of the images, of which they explain 9")
        assert "%" in warning

    def test_size(self) -> None:
        side = 100 * 4**LABELS
        (warning,) = about_looks(LABELS, images(width=side, height=side))
        assert warning.startswith("The clusters follow the size of the images")

    def test_shape(self) -> None:
        upright = LABELS % 2 == 0
        pictures = images(width=np.where(upright, 400, 800), height=np.where(upright, 800, 400))
        (warning,) = about_looks(LABELS, pictures)
        assert warning.startswith("The clusters follow the shape (width to height) of the images")

    def test_folders(self) -> None:
        pictures = images(folders=[f"/photos/camera {label}" for label in LABELS])
        (warning,) = about_looks(LABELS, pictures)
        assert warning.startswith(
            "The clusters largely repeat the folders that the images lie in (agreement 1.00 of 1)"
        )

    def test_older_embeddings_without_brightness(self) -> None:
        assert list(about_looks(LABELS, images(brightness=np.nan, colour=np.nan))) == []

    def test_of_few_images_nothing_is_said(self) -> None:
        labels = np.arange(20) % 2
        assert list(about_looks(labels, images(brightness=labels / 2, width=100 + 900 * labels, count=20))) == []

    def test_noise_does_not_count(self) -> None:
        labels = np.where(np.arange(COUNT) < 30, -1, LABELS)
        brightness = np.where(np.arange(COUNT) < 30, np.random.default_rng(0).random(COUNT), LABELS / 3)
        assert len(list(about_looks(labels, images(brightness=brightness)))) == 1


DIGITS: dict[str, Any] = {"name": "mnist", "channels": 1, "width": 28, "height": 28, "trained_on": "MNIST"}
PHOTOS: dict[str, Any] = {"name": "photos", "channels": 3, "width": 224, "height": 224, "trained_on": "ImageNet"}


class TestAboutEncoder:
    def test_a_grey_encoder_on_photographs_in_colour(self) -> None:
        (warning,) = about_encoder(DIGITS, images())
        assert warning == (
            "mnist sees 28×28 pixels of grey and was trained on MNIST, but 100% of these images are in colour; for "
            "photographs use --encoder photos."
        )

    def test_a_small_encoder_on_large_grey_pictures(self) -> None:
        (warning,) = about_encoder(DIGITS, images(colour=0.0))
        assert warning.endswith(
            "but the longer side of these images is 640 pixels in the middle; for photographs use --encoder photos."
        )

    def test_a_small_encoder_of_colour(self) -> None:
        (warning,) = about_encoder(PHOTOS | {"name": "cifar", "width": 32, "height": 32, "trained_on": ""}, images())
        assert warning.startswith("cifar sees 32×32 pixels, but the longer side")

    @pytest.mark.parametrize(
        ("encoder", "pictures"),
        [
            (DIGITS, images(colour=0.0, width=28, height=28)),
            (DIGITS, images(colour=0.0, width=112, height=90)),
            (DIGITS, images(colour=np.nan, width=28, height=28)),
            (DIGITS, images(colour=np.where(np.arange(COUNT) < 30, 0.3, 0.0), width=28, height=28)),
            (PHOTOS, images()),
            (PHOTOS, images(width=28, height=28, colour=0.0)),
            ({"name": "mine"}, images()),
            ({}, images()),
        ],
        ids=["digits", "scans", "unmeasured", "half in colour", "photos", "photos of digits", "no facts", "nothing"],
    )
    def test_one_that_suits_is_not_warned_of(self, encoder: dict[str, Any], pictures: Embeddings) -> None:
        assert list(about_encoder(encoder, pictures)) == []
