"""The classes of ImageNet: their words and categories, and the most probable ones of an image."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.encoders.classes import IMAGENET_CLASSES, imagenet_words, top_classes
from imgcluster.placement import folder_name
from imgcluster.types import TOP_CLASSES

BANANA, JERSEY, PUG, SUNGLASS, SUNGLASSES = 954, 610, 254, 836, 837


def words_of(number: int) -> set[str]:
    classes = imagenet_words()
    return {classes.words[word] for word in np.flatnonzero(classes.covers[:, number])}


def test_each_class_has_a_word_and_categories() -> None:
    classes = imagenet_words()
    assert classes.covers.shape == (len(classes.words), IMAGENET_CLASSES)
    assert classes.covers.any(axis=0).all()
    assert classes.covers.any(axis=1).all()
    assert len(set(classes.words)) == len(classes.words)
    assert {"banana", "fruit", "food"} <= words_of(BANANA)
    assert {"jersey, T-shirt", "shirt", "clothing"} <= words_of(JERSEY)
    assert {"pug", "dog", "animal"} <= words_of(PUG)


def test_classes_of_the_same_things_share_a_word() -> None:
    assert words_of(SUNGLASS) & words_of(SUNGLASSES) == {"sunglasses"}


def test_specific_words_have_few_kinds() -> None:
    classes = imagenet_words()
    specificity = dict(zip(classes.words, classes.specificity.tolist(), strict=True))
    assert specificity["pug"] == 1
    assert 1 > specificity["poodle"] > specificity["dog"] > specificity["mammal"] > specificity["animal"] > 0


def test_words_are_safe_as_names_of_folders() -> None:
    for word in imagenet_words().words:
        assert set(folder_name(0, word)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


def test_the_most_probable_classes() -> None:
    logits = np.zeros((3, IMAGENET_CLASSES), np.float32)
    logits[0, [7, 3]] = 8, 9
    logits[1] = -1e4
    logits[2, 5] = np.nan
    found = top_classes(logits)
    assert found.classes.shape == found.probabilities.shape == (3, TOP_CLASSES)
    # Of equally probable classes, those with the lowest numbers.
    assert found.classes[0].tolist() == [3, 7, 0, 1, 2, 4, 5, 6, 8, 9]
    odds = np.exp([9.0, 8.0, 0.0])
    assert found.probabilities[0, :3].tolist() == pytest.approx((odds / (odds[0] + odds[1] + 998)).tolist(), rel=1e-5)
    assert found.probabilities[1].tolist() == pytest.approx([1 / IMAGENET_CLASSES] * TOP_CLASSES)
    assert found.probabilities[2].tolist() == [0] * TOP_CLASSES
    assert top_classes(logits[:0]).classes.shape == (0, TOP_CLASSES)
