"""The rule that names clusters by the classes of their images."""

from __future__ import annotations

from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering.class_names import CERTAINTY, CONTRAST, SUPPORT, UNKNOWN, suggest_class_names
from imgcluster.types import ClassScores, ClassWords

PUG, COLLIE, TABBY, CUP = range(4)
WORDS = ClassWords(
    words=("pug", "collie", "tabby", "cup", "dog", "animal"),
    covers=np.array(
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0], [1, 1, 1, 0]], dtype=np.bool_
    ),
    specificity=np.array([1, 1, 1, 1, 0.55, 0.3]),
)


def certain(*classes: int) -> ClassScores:
    """Return scores of images that each show one class."""
    found = np.array(classes, dtype=np.int16)[:, None]
    return ClassScores(found, np.ones(found.shape, np.float32))


def names(scores: ClassScores, labels: list[int] | npt.NDArray[np.int64]) -> dict[int, str]:
    return {number: WORDS.words[word] for number, word in suggest_class_names(scores, np.array(labels), WORDS).items()}


def test_a_class_that_nearly_all_images_show() -> None:
    labels = [0] * 10 + [1] * 10
    assert names(certain(*[PUG] * 10, *[CUP] * 10), labels) == {0: "pug", 1: "cup"}
    assert names(certain(*[PUG] * 9, CUP, *[CUP] * 10), labels) == {0: "pug", 1: "cup"}


def test_a_category_where_classes_are_mixed() -> None:
    labels = [0] * 10 + [1] * 10
    assert names(certain(*[PUG, COLLIE] * 5, *[CUP] * 10), labels) == {0: "dog", 1: "cup"}
    assert names(certain(*[PUG, TABBY] * 5, *[CUP] * 10), labels) == {0: "animal", 1: "cup"}


def test_no_name_without_support() -> None:
    assert (SUPPORT, UNKNOWN) == (0.7, 2)
    assert names(certain(*[PUG] * 9, CUP), [0] * 10) == {0: "pug"}
    assert names(certain(*[PUG] * 8, CUP, CUP), [0] * 10) == {}
    # A general word needs as much support.
    assert names(certain(*[TABBY] * 5, *[PUG] * 4, CUP), [0] * 10) == {0: "animal"}
    assert names(certain(*[TABBY] * 4, *[PUG] * 4, CUP, CUP), [0] * 10) == {}


def test_a_name_distinguishes_its_cluster() -> None:
    labels = [0] * 10 + [1] * 10
    assert names(certain(*[PUG] * 20), labels) == {}
    assert names(certain(*[PUG] * 20), [0] * 20) == {0: "pug"}
    # Twice as much support as outside, and less.
    assert CONTRAST == 2
    labels = [0] * 20 + [1] * 20
    assert names(certain(*[PUG] * 20, *[PUG] * 9, *[CUP] * 11), labels) == {0: "pug"}
    assert names(certain(*[PUG] * 20, *[PUG] * 10, *[CUP] * 10), labels) == {}


def test_noise_counts_as_outside() -> None:
    assert names(certain(*[PUG] * 20), [0] * 10 + [-1] * 10) == {}
    assert names(certain(*[PUG] * 10, *[CUP] * 10), [-1] * 10 + [0] * 10) == {0: "cup"}


def test_no_word_is_used_twice() -> None:
    labels = np.repeat([0, 1, 2, 3], 10)
    # The purer of two clusters of dogs gets the word; "animal" does not tell the other one from it.
    scores = certain(*[PUG, COLLIE] * 5, *[PUG, COLLIE] * 4, PUG, CUP, *[CUP] * 20)
    assert names(scores, labels) == {0: "dog", 2: "cup"}


def test_a_small_cluster_has_no_name() -> None:
    assert names(certain(*[PUG] * 5), [0] * 5) == {0: "pug"}
    assert names(certain(*[PUG] * 4), [0] * 4) == {}


def test_uncertain_images_support_what_covers_their_classes() -> None:
    classes = np.tile(np.array([[PUG, COLLIE, TABBY]], dtype=np.int16), (20, 1))
    sure = np.tile(np.array([[0.5, 0.05, 0.05]], dtype=np.float32), (20, 1))
    assert names(ClassScores(classes, sure), [0] * 20) == {0: "pug"}
    unsure = np.tile(np.array([[0.3, 0.3, 0.3]], dtype=np.float32), (20, 1))
    assert names(ClassScores(classes, unsure), [0] * 20) == {0: "animal"}
    # Nothing is recognized: many other classes are as probable.
    assert CERTAINTY == 0.5
    assert names(ClassScores(classes, sure / 2), [0] * 20) == {}


def test_images_without_scores_support_nothing() -> None:
    scores = certain(*[PUG] * 10)
    scores.probabilities[2:] = 0
    assert names(scores, [0] * 10) == {}
    scores.probabilities[2:9] = 1
    assert names(scores, [0] * 10) == {0: "pug"}


@pytest.mark.parametrize("value", [np.nan, np.inf, -1, 2])
def test_invalid_scores_support_nothing(value: float) -> None:
    scores = certain(*[PUG] * 10, *[CUP] * 10)
    scores.probabilities[10:] = value
    assert names(scores, [0] * 10 + [1] * 10) == {0: "pug"}
    assert names(certain(*[PUG] * 10, *[-1] * 5, *[4] * 5), [0] * 10 + [1] * 10) == {0: "pug"}


def test_nothing_to_name() -> None:
    empty = ClassScores(np.empty((0, 3), np.int16), np.empty((0, 3), np.float32))
    assert names(empty, np.empty(0, np.int64)) == {}
    assert names(certain(*[PUG] * 10), [-1] * 10) == {}
    # A cluster without images, such as one whose number is no longer in use.
    assert names(certain(*[PUG] * 10), [2] * 10) == {2: "pug"}


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), min_size=1, max_size=60), st.randoms())
def test_the_order_of_images_does_not_matter(images: list[tuple[int, int]], random: Random) -> None:
    shuffled = images.copy()
    random.shuffle(shuffled)
    before, after = (
        names(certain(*(shown for _, shown in rows)), [cluster for cluster, _ in rows]) for rows in (images, shuffled)
    )
    assert before == after
    assert len(set(before.values())) == len(before)
