"""Groups: every member is a copy of the best image, whatever else it resembles."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.copies.groups import Group, best_first, group_around_best, propose_pairs
from imgcluster.images.types import NO_EXIF, Exif


def grouped(positions: list[float], ranks: list[int], threshold: float = 0.9) -> list[Group]:
    """Group points on a line, whose score is 1 minus their distance."""

    def compare(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.array([1 - abs(positions[one] - positions[other]) for one, other in pairs], np.float32)

    pairs = np.array(list(combinations(range(len(positions)), 2)), np.int64).reshape(-1, 2)
    return group_around_best(np.array(ranks), pairs, compare, threshold)


def test_there_is_no_chaining() -> None:
    # Each resembles the next one, but the last does not resemble the first.
    (group,) = grouped([0.0, 0.09, 0.18], ranks=[0, 1, 2])
    assert (group.best, group.members) == (0, (1,))
    (group,) = grouped([0.0, 0.09, 0.18], ranks=[1, 0, 2])
    assert (group.best, group.members) == (1, (0, 2))


def test_what_is_left_forms_groups_of_its_own() -> None:
    first, second = grouped([0.0, 0.08, 0.16, 0.2], ranks=[0, 1, 2, 3])
    assert (first.best, first.members) == (0, (1,))
    assert (second.best, second.members) == (2, (3,))


def test_nothing_alike_gives_no_group() -> None:
    assert grouped([0.0, 0.5, 1.0], ranks=[0, 1, 2]) == []
    assert grouped([], ranks=[]) == []
    assert grouped([0.0], ranks=[0]) == []


@given(st.data())
def test_every_member_is_a_copy_of_the_best(data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(0, 40).map(lambda value: value / 40), max_size=14))
    ranks = data.draw(st.permutations(range(len(positions))))
    groups = grouped(positions, list(ranks))
    images = [image for group in groups for image in (group.best, *group.members)]
    assert len(images) == len(set(images))
    for group in groups:
        assert group.members
        assert [ranks[image] for image in (group.best, *group.members)] == sorted(
            ranks[image] for image in (group.best, *group.members)
        )
        for image, score in zip(group.members, group.scores, strict=True):
            assert score == np.float32(1 - abs(positions[group.best] - positions[image])) >= 0.9
    # Names do not matter: the images in another order form the same groups.
    order = data.draw(st.permutations(range(len(positions))))
    again = grouped([positions[image] for image in order], [ranks[image] for image in order])
    assert [[order[image] for image in (group.best, *group.members)] for group in again] == [
        [group.best, *group.members] for group in groups
    ]


CAMERA = Exif(captured="2024-05-31T18:30:05", camera="A B")
LATER = Exif(captured="2024-06-01T18:30:05", camera="A B")


@pytest.mark.parametrize(
    ("facts", "best"),
    [
        ({}, "a.jpg"),
        ({"times": [1, 9]}, "b.jpg"),
        ({"times": [1, 9], "file_sizes": [1, 2]}, "b.jpg"),
        ({"file_sizes": [2, 1]}, "b.jpg"),
        ({"file_sizes": [2, 1], "sharpness": [0.4, 0.6]}, "b.jpg"),
        ({"sharpness": [0.4, np.nan]}, "b.jpg"),
        # Between formats bytes say nothing.
        ({"file_sizes": [1, 9], "paths": ["b.JPEG", "a.png"]}, "b.JPEG"),
        ({"file_sizes": [9, 1], "paths": ["b.JPEG", "a.jpg"]}, "b.JPEG"),
        ({"times": [9, 1], "exif": [CAMERA, NO_EXIF]}, "b.jpg"),
        ({"times": [9, 1], "exif": [CAMERA, Exif(camera="A B")]}, "b.jpg"),
        ({"times": [9, 1], "exif": [CAMERA, LATER]}, "b.jpg"),
        ({"times": [9, 1], "exif": [CAMERA, CAMERA]}, "a.jpg"),
        ({"exif": [CAMERA, NO_EXIF], "second_files": ["", "a.nef"]}, "a.jpg"),
        ({"pixels": [2, 1], "second_files": ["", "a.nef"]}, "b.jpg"),
        ({"pixels": [1, 2], "exif": [CAMERA, NO_EXIF], "file_sizes": [9, 1]}, "a.jpg"),
    ],
)
def test_the_best_image(facts: dict[str, list[Any]], best: str) -> None:
    values = {"pixels": [1, 1], "times": [1, 1], "file_sizes": [1, 1], "sharpness": [0.5, 0.5]} | facts
    paths = facts.get("paths", ["b.jpg", "a.jpg"])
    ranks = best_first(
        np.array(values["pixels"], np.int64),
        values.get("exif", [NO_EXIF] * 2),
        np.array(values["times"], np.int64) * 1_000_000_000,
        np.array(values["file_sizes"], np.int64),
        np.array(values["sharpness"], np.float32),
        paths,
        values.get("second_files", ["", ""]),
    )
    assert sorted(ranks.tolist()) == [0, 1]
    assert paths[int(ranks.argmin())] == best


def test_proposed_pairs_are_distinct() -> None:
    neighbors = [np.array([[1, 2], [0, 2], [1, 0]]), np.array([[2], [2], [2]])]
    assert propose_pairs(neighbors).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert propose_pairs([np.empty((1, 0), np.int64)]).tolist() == []
