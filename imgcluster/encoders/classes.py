"""The classes that an encoder was trained on: the most probable ones of images, and the words for all."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.types import TOP_CLASSES, ClassScores, ClassWords

__all__ = ["IMAGENET_CLASSES", "imagenet_words", "top_classes"]

IMAGENET_CLASSES: Final = 1000

_NOUNS: Final = 82_115
"""The number of sets of synonymous nouns in WordNet 3.0."""


@cache
def imagenet_words() -> ClassWords:
    """Return the words of ImageNet's classes and of their categories in WordNet.

    The specificity of a word is its intrinsic information content (Seco, Veale and Hayes 2004): 1 for a noun without
    hyponyms, 0 for "entity".
    """
    text = (files("imgcluster.encoders") / "imagenet_words.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    # Several rows can have one word: a word stands for all of them.
    words = tuple(dict.fromkeys(row[0] for row in rows))
    position = {word: number for number, word in enumerate(words)}
    index = [position[row[0]] for row in rows]
    covers = np.zeros((len(words), IMAGENET_CLASSES), dtype=np.bool_)
    specificity = np.ones(len(words))
    for number, (_, _, kinds, categories) in enumerate(rows):
        word = index[number]
        specificity[word] = min(specificity[word], 1 - math.log(int(kinds) + 1) / math.log(_NOUNS))
        if number < IMAGENET_CLASSES:
            covers[[word, *(index[int(row)] for row in categories.split())], number] = True
    return ClassWords(words, covers, specificity)


def top_classes(logits: npt.NDArray[np.float32]) -> ClassScores:
    """Return the most probable classes of images and their probabilities: the softmax of all logits.

    Args:
        logits: ``float32 (n, classes)``; an image with values that are not finite has the probabilities 0.
    """
    finite = np.isfinite(logits).all(axis=1, keepdims=True)
    logits = np.where(finite, logits, 0)
    odds = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
    classes = np.argsort(-logits, axis=1, kind="stable")[:, :TOP_CLASSES]
    probabilities = np.take_along_axis(odds / odds.sum(axis=1, keepdims=True), classes, axis=1) * finite
    return ClassScores(classes.astype(np.int16), probabilities.astype(np.float32))
