"""Suggested names for the clusters of a workspace."""

from __future__ import annotations

from typing import Any, Final

from imgcluster.clustering.class_names import suggest_class_names
from imgcluster.clustering.suggested_names import suggest_names
from imgcluster.commands.support.text import has_text, info_of, open_text
from imgcluster.encoders.classes import imagenet_words
from imgcluster.encoders.vocabulary import bundled_vocabulary, read_vocabulary
from imgcluster.errors import ImgclusterError
from imgcluster.progress import OnProgress
from imgcluster.types import ClassScores, Labels, Vectors

__all__ = ["NO_VOCABULARY", "is_vocabulary_file", "suggested_names", "vocabulary_of"]

NO_VOCABULARY: Final = "none"
_BUNDLED: Final = "everyday"


def is_vocabulary_file(option: str | None) -> bool:
    """Return whether an option names the file of a vocabulary."""
    return option not in (None, NO_VOCABULARY, _BUNDLED)


def vocabulary_of(option: str | None) -> tuple[str, ...]:
    """Return the words that an option names: ``everyday`` or None for the bundled ones, ``none``, or a file.

    Raises:
        UsageError: The file cannot be read, or has no word.
    """
    if option == NO_VOCABULARY:
        return ()
    return bundled_vocabulary() if option in (None, _BUNDLED) else read_vocabulary(option)


def suggested_names(
    manifest: dict[str, Any],
    vectors: Vectors,
    scores: ClassScores | None,
    labels: Labels,
    option: str | None,
    on_progress: OnProgress,
) -> tuple[dict[int, str], str]:
    """Return the suggested name of each cluster that has one, and a note; "" for none.

    The words are those of the classes that the encoder recognizes, or those of a vocabulary if it knows text.

    Args:
        manifest: The workspace's.
        vectors: ``float32 (n, d)`` of length 1.
        scores: The classes that the encoder recognizes; None without them.
        labels: The cluster of each image, ``int64 (n,)``; −1 is noise.
        option: As for `vocabulary_of`. With None names are suggested only if the text part of the encoder is installed,
            so that nothing is downloaded unasked.
        on_progress: Called with each step.

    Raises:
        UsageError: A vocabulary is given, and the encoder has no text part.
        EncoderError: A vocabulary is given, and the text part cannot be used.
    """
    if option is None and scores is not None:
        classes = imagenet_words()
        return {
            cluster: classes.words[word] for cluster, word in suggest_class_names(scores, labels, classes).items()
        }, ""
    words = vocabulary_of(option)
    if not words or (option is None and not has_text(str(manifest["encoder"].get("name")))):
        return {}, ""
    try:
        text = open_text(info_of(manifest), install=option is not None, on_progress=on_progress)
    except ImgclusterError as error:
        if option is not None:
            raise
        return {}, f"No names are suggested: {error}."
    if text is None:
        return {}, ""
    names = suggest_names(vectors, labels, text.encode_words(words, on_progress))
    return {cluster: words[word] for cluster, word in names.items()}, ""
