"""Advice: each warning where it belongs and nowhere else, with the facts in it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from imgcluster.clustering.types import Clustering, FitNotes
from imgcluster.commands.support.cluster_warnings import (
    about_encoder,
    about_estimate,
    about_folders,
    about_groups,
    about_statistics,
    quality,
)
from imgcluster.images.types import NO_EXIF
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
        statistics=np.stack([np.broadcast_to(brightness, count), np.broadcast_to(colour, count)], axis=1).astype(
            np.float32
        ),
        exif=[NO_EXIF] * count,
        vectors=np.zeros((count, 4), np.float32),
        fingerprint="f",
        content_order=np.arange(count),
    )


def groups(clustering: Clustering, stability: list[float | None], *, requested: bool = False) -> list[str]:
    return list(
        about_groups(clustering, stability, requested=requested, min_cluster_size=clustering.parameters.get("m"))
    )


class TestQuality:
    @pytest.mark.parametrize(
        ("stability", "noise", "facts"),
        [
            ([], 60, ["no clusters"]),
            ([1.0], 0, ["one cluster"]),
            ([0.75, 0.9, 1.0], 0, ["All 3 clusters are stable"]),
            ([0.9, 0.9], 1234, ["Both clusters are stable", "1,234 of 2,000 images"]),
            ([0.9, 0.6, 0.5], 0, ["1 of 3 clusters are stable", "others partly"]),
            ([0.9, 0.4, 0.8], 0, ["2 of 3 clusters are stable", "cluster 1 is unstable"]),
            ([0.4, 0.4, 0.8], 5, ["1 of 3", "clusters 0 and 1 are unstable", "5 of 2,000 images"]),
            ([0.1] * 8, 0, ["0 of 8", "clusters 0, 1, 2, 3, 4 and 3 more are unstable"]),
            ([0.9, None], 0, ["1 of 2", "others partly"]),
        ],
    )
    def test_one_sentence_has_the_facts(self, stability: list[float | None], noise: int, facts: list[str]) -> None:
        sentence = quality(dict(enumerate(stability)), 2000, noise)
        for fact in facts:
            assert fact in sentence
        assert ("2,000" in sentence) == bool(noise and stability)


class TestAboutGroups:
    def test_nothing_to_say_of_good_clusters(self) -> None:
        assert groups(one_layer(LABELS), [0.9, 0.8, 0.9], requested=True) == []

    def test_equal_images(self) -> None:
        same = dataclasses.replace(one_layer([0] * 5), notes=FitNotes(identical=True))
        (warning,) = groups(same, [1.0])
        assert "5 images" in warning
        assert "--encoder" in warning

    def test_too_few_to_count(self) -> None:
        few = dataclasses.replace(one_layer([0] * 3), notes=FitNotes(too_few=True))
        (warning,) = groups(few, [1.0])
        assert "3 images" in warning
        assert "--k N" in warning

    def test_nothing_but_noise(self) -> None:
        clustering = dataclasses.replace(one_layer([-1] * 9), parameters={"m": 4})
        (warning,) = groups(clustering, [])
        assert "4 or more" in warning
        assert "leave out --method" in warning

    @pytest.mark.parametrize(("noise", "warned"), [(0, False), (30, False), (31, True), (59, True)])
    def test_more_than_half_noise(self, noise: int, warned: bool) -> None:
        labels = np.zeros(60, np.int64)
        labels[:noise] = -1
        found = groups(dataclasses.replace(one_layer(labels), parameters={"m": 5}), [0.9])
        assert [f"({noise} of 60)" in warning and "--assign-noise" in warning for warning in found] == [True] * warned

    @pytest.mark.parametrize(
        ("stability", "requested", "warned"),
        [
            ([0.4, 0.4, 0.9], True, True),
            ([0.4, 0.4, 0.9], False, False),
            ([0.4, 0.9, 0.9], True, False),
            ([0.6, 0.6, 0.6], True, False),
            ([None, None, 0.9], True, False),
        ],
    )
    def test_more_clusters_than_there_are(self, stability: list[float | None], requested: bool, warned: bool) -> None:
        found = groups(one_layer(LABELS), stability, requested=requested)
        assert len(found) == warned
        for warning in found:
            assert "--k 3" in warning
            assert "2 of the clusters are unstable" in warning
            assert "leave out --k" in warning

    def test_stable_clusters_may_be_more_than_estimated(self) -> None:
        clustering = dataclasses.replace(one_layer(LABELS), parameters={"k": 3}, notes=FitNotes(better_k=2))
        assert groups(clustering, [0.9, 0.9, 0.9], requested=True) == []
        (remark,) = about_estimate(clustering, requested=True)
        assert remark.endswith(" 2.")
        assert list(about_estimate(clustering, requested=False)) == []

    def test_two_clusters_are_never_too_many(self) -> None:
        assert groups(one_layer(LABELS % 2), [0.1, 0.1], requested=True) == []


class TestAboutStatistics:
    def test_nothing_to_say_where_the_looks_have_nothing_to_do_with_it(self) -> None:
        generator = np.random.default_rng(0)
        pictures = images(
            brightness=generator.random(COUNT),
            width=generator.integers(100, 2000, COUNT),
            height=generator.integers(100, 2000, COUNT),
            folders=[f"/photos/{number % 4}" for number in range(COUNT)],
        )
        assert list(about_statistics(LABELS, pictures)) == []

    def test_brightness(self) -> None:
        brightness = LABELS / 3 + np.random.default_rng(0).normal(0, 0.05, COUNT)
        (warning,) = about_statistics(LABELS, images(brightness=brightness))
        assert "follow the brightness" in warning

    def test_size(self) -> None:
        side = 100 * 4**LABELS
        (warning,) = about_statistics(LABELS, images(width=side, height=side))
        assert "follow the size" in warning

    def test_shape(self) -> None:
        upright = LABELS % 2 == 0
        pictures = images(width=np.where(upright, 400, 800), height=np.where(upright, 800, 400))
        (warning,) = about_statistics(LABELS, pictures)
        assert "follow the shape" in warning

    def test_folders_are_no_problem(self) -> None:
        pictures = images(folders=[f"/photos/kind {label}" for label in LABELS])
        assert list(about_statistics(LABELS, pictures)) == []
        (remark,) = about_folders(LABELS, pictures)
        assert "folders" in remark
        assert list(about_folders(LABELS, images())) == []

    @pytest.mark.parametrize("flat", [False, True], ids=["folders of kinds", "one folder each"])
    def test_sets_of_different_sizes_are_not_clusters_by_size(self, flat: bool) -> None:
        # Digits of 28 pixels and photographs of many sizes: clusters keep them apart, but do not follow the size.
        generator = np.random.default_rng(0)
        digits = np.arange(120) < 60
        labels = np.where(digits, np.arange(120) % 2, 2 + generator.integers(2, size=120))
        side = np.where(digits, 28, generator.integers(200, 600, size=120))
        folders = [
            f"/{'digits' if digit else 'photos'}{'' if flat else f'/{label % 2}'}"
            for digit, label in zip(digits, labels, strict=True)
        ]
        warnings = list(about_statistics(labels, images(width=side, height=side, folders=folders, count=120)))
        assert not [warning for warning in warnings if "size" in warning]

    def test_many_small_folders_are_compared_within_their_root(self) -> None:
        digits = np.arange(120) < 60
        side = np.where(digits, 28, 200 + np.arange(120))
        folders = [f"/{'digits' if digit else 'photos'}/{number}" for number, digit in enumerate(digits)]
        pictures = images(width=side, height=side, folders=folders, count=120)
        pictures = dataclasses.replace(pictures, roots=("/digits", "/photos"))
        assert list(about_statistics(np.where(digits, 0, 1 + np.arange(120) % 2), pictures)) == []
        assert len(list(about_statistics(np.where(digits, 0, 1 + (np.arange(120) > 90)), pictures))) == 1

    def test_clusters_by_size_within_each_set_are_named(self) -> None:
        large = np.arange(120) % 2
        side = np.where(np.arange(120) < 60, 28, 300) * (1 + large)
        folders = ["/digits" if number < 60 else "/photos" for number in range(120)]
        (warning,) = about_statistics(large, images(width=side, height=side, folders=folders, count=120))
        assert "follow the size" in warning

    def test_older_embeddings_without_brightness(self) -> None:
        assert list(about_statistics(LABELS, images(brightness=np.nan, colour=np.nan))) == []

    def test_of_few_images_nothing_is_said(self) -> None:
        labels = np.arange(20) % 2
        assert list(about_statistics(labels, images(brightness=labels / 2, width=100 + 900 * labels, count=20))) == []

    def test_noise_does_not_count(self) -> None:
        labels = np.where(np.arange(COUNT) < 30, -1, LABELS)
        brightness = np.where(np.arange(COUNT) < 30, np.random.default_rng(0).random(COUNT), LABELS / 3)
        assert len(list(about_statistics(labels, images(brightness=brightness)))) == 1


DIGITS: dict[str, Any] = {"name": "mnist", "channels": 1, "width": 28, "height": 28, "trained_on": "MNIST"}
PHOTOS: dict[str, Any] = {"name": "photos", "channels": 3, "width": 224, "height": 224, "trained_on": "ImageNet"}


class TestAboutEncoder:
    def test_a_gray_encoder_on_photographs_in_color(self) -> None:
        (warning,) = about_encoder(DIGITS, images())
        for fact in ("mnist", "28×28", "MNIST", "100%", "--encoder photos"):
            assert fact in warning

    def test_a_small_encoder_on_large_gray_pictures(self) -> None:
        (warning,) = about_encoder(DIGITS, images(colour=0.0))
        for fact in ("28×28", "640 pixels", "--encoder photos"):
            assert fact in warning

    def test_a_small_encoder_in_color(self) -> None:
        (warning,) = about_encoder(PHOTOS | {"name": "cifar", "width": 32, "height": 32, "trained_on": ""}, images())
        for fact in ("cifar", "32×32", "640 pixels"):
            assert fact in warning

    @pytest.mark.parametrize("color", [0.0, np.where(np.arange(COUNT) < 20, 0.3, 0.0)], ids=["gray", "mostly gray"])
    def test_an_encoder_of_photographs_on_gray_digits(self, color: np.ndarray | float) -> None:
        (warning,) = about_encoder(PHOTOS, images(width=28, height=28, colour=color))
        for fact in ("photos", "224×224", "ImageNet", "28 pixels", "--encoder mnist", "--encoder fashion-mnist"):
            assert fact in warning

    @pytest.mark.parametrize(
        ("encoder", "pictures"),
        [
            (DIGITS, images(colour=0.0, width=28, height=28)),
            (DIGITS, images(colour=0.0, width=112, height=90)),
            (DIGITS, images(colour=np.nan, width=28, height=28)),
            (DIGITS, images(colour=np.where(np.arange(COUNT) < 30, 0.3, 0.0), width=28, height=28)),
            (PHOTOS, images()),
            (PHOTOS, images(width=28, height=28)),
            (PHOTOS, images(width=28, height=28, colour=np.nan)),
            (PHOTOS, images(width=100, height=80, colour=0.0)),
            ({"name": "mine"}, images()),
            ({}, images()),
        ],
        ids=[
            "digits",
            "scans",
            "unmeasured",
            "half in colour",
            "photos",
            "tiny color photos",
            "unmeasured tiny",
            "gray scans",
            "no facts",
            "nothing",
        ],
    )
    def test_one_that_suits_is_not_warned_of(self, encoder: dict[str, Any], pictures: Embeddings) -> None:
        assert list(about_encoder(encoder, pictures)) == []
