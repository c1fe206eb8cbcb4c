"""Value types that several packages share without importing each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from imgcluster.errors import UsageError

__all__ = [
    "FILTERS",
    "METRICS",
    "PLACE_MODES",
    "POOLINGS",
    "PRECISIONS",
    "RESIZE_RULES",
    "TOP_CLASSES",
    "ClassScores",
    "ClassWords",
    "Filter",
    "Labels",
    "MapParts",
    "Metric",
    "Pixels",
    "PlaceMode",
    "Pooling",
    "Precision",
    "ResizeRule",
    "Values",
    "VectorRows",
    "Vectors",
    "check_metric",
]

Pixels = npt.NDArray[np.uint8]
"""Images as ``uint8``; shape ``(height, width, channels)`` for one, ``(n, height, width, channels)`` for many."""

ResizeRule = Literal["crop", "stretch", "pad"]
RESIZE_RULES: Final[tuple[str, ...]] = get_args(ResizeRule)

Pooling = Literal["cls", "mean"]
POOLINGS: Final[tuple[str, ...]] = get_args(Pooling)

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)

PlaceMode = Literal["symlink", "copy", "hardlink", "move", "manifest", "none"]
"""How files are placed; with ``manifest`` the journal says where each belongs, and no file is written."""
PLACE_MODES: Final[tuple[str, ...]] = get_args(PlaceMode)

Filter = Literal["nearest", "bilinear", "bicubic", "lanczos"]
FILTERS: Final[tuple[str, ...]] = get_args(Filter)

Values = npt.NDArray[np.float32]
"""Images as ``float32 (n, height, width, channels)`` in [0, 1]."""

Metric = Literal["cosine", "euclidean"]
METRICS: Final[tuple[str, ...]] = get_args(Metric)

Vectors = npt.NDArray[np.float32]
"""``float32 (n, dimensions)``."""


class VectorRows(Protocol):
    """Vectors ``float32 (n, d)`` that are read from files where they are needed."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> Vectors: ...

    def blocks(self) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """Yield all vectors in blocks, each with the numbers of its rows."""

    def parts(self) -> Sequence[VectorRows]:
        """Return the vectors in parts, whose blocks have the numbers that their rows have among all vectors."""

    def reordered(self, order: npt.NDArray[np.int64]) -> VectorRows:
        """Return the vectors of different rows, in this order."""

    def transformed(self, function: Callable[[Vectors], Vectors]) -> VectorRows:
        """Return the vectors with a function applied that treats each row on its own."""


MapParts = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Applies a function to parts of the work and yields the results in their order, as `map` does; perhaps elsewhere."""

Labels = npt.NDArray[np.int64]


TOP_CLASSES: Final = 10
"""The number of classes that are stored for each image."""


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The most probable classes of n images, best first, from an encoder that was trained on classes.

    Attributes:
        classes: ``int16 (n, k)``.
        probabilities: ``float32 (n, k)``; 0 for images without scores.
    """

    classes: npt.NDArray[np.int16]
    probabilities: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClassWords:
    """Words of classes, and of categories that contain several or further classes.

    Attributes:
        words: The w words.
        covers: Whether a word applies to a class, ``bool (w, classes)``.
        specificity: ``float64 (w,)`` in [0, 1].
    """

    words: tuple[str, ...]
    covers: npt.NDArray[np.bool_]
    specificity: npt.NDArray[np.float64]


def check_metric(metric: str | None) -> None:
    """Check the value of ``--metric``.

    Raises:
        UsageError: It is not a metric.
    """
    if metric not in (None, *METRICS):
        raise UsageError(f"--metric {metric} is unknown; choose {' or '.join(METRICS)}")
