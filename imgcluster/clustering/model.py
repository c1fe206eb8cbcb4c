"""The plain values of clustering: what a method is told, and what it answers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import UsageError

if TYPE_CHECKING:
    from imgcluster.clustering.counts import Candidate

__all__ = ["Answer", "Clustering", "Confidence", "Labels", "Layer", "Settings", "check_level"]

Labels = npt.NDArray[np.int64]
Confidence = npt.NDArray[np.float32]

_RANGE: Final = (2, 30)
# So many numbers can be weighed within minutes.
_HIGHEST: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a method may be told.

    Attributes:
        k: The number of clusters; None where it is to be found.
        k_range: Between which numbers it is looked for.
        score_k: Whether all numbers in that range are to be scored, for people to choose among.
        min_cluster_size: The smallest cluster of HDBSCAN and EVoC; None for one that grows with the images.
        seed: Of everything random.
    """

    k: int | None = None
    k_range: tuple[int, int] = _RANGE
    score_k: bool = False
    min_cluster_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.k is not None and self.k < 1:
            raise UsageError(f"--k {self.k} is not possible; at least 1 is needed")
        low, high = self.k_range
        if not 2 <= low <= high <= _HIGHEST:
            raise UsageError(
                f"--k {low}..{high} is not possible; the first is at least 2, the second not below it and at most "
                f"{_HIGHEST}"
            )
        if self.min_cluster_size is not None and self.min_cluster_size < 2:
            raise UsageError(f"--min-cluster-size {self.min_cluster_size} is not possible; at least 2 is needed")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed} is not possible; it lies between 0 and {2**32 - 1}")

    @classmethod
    def of(cls, k: int | str | None, *, min_cluster_size: int | None = None, seed: int = 0) -> Settings:
        """Return the settings for `k` as people give it: a number, ``auto``, ``2..30``, or None.

        Raises:
            UsageError: It is something else, or a value is out of range.
        """
        settings = cls(min_cluster_size=min_cluster_size, seed=seed)
        if k is None:
            return settings
        text = str(k).strip()
        if text == "auto":
            return dataclasses.replace(settings, score_k=True)
        low, dots, high = text.partition("..")
        try:
            if dots:
                return dataclasses.replace(settings, k_range=(int(low), int(high)), score_k=True)
            return dataclasses.replace(settings, k=int(text))
        except ValueError:
            raise UsageError(f"--k {text!r} is not understood; give a number, a range as 2..30, or auto") from None

    def check_for(self, method: str) -> None:
        """Refuse what `method` would ignore.

        Raises:
            UsageError: k-means was told the smallest cluster.
        """
        if method == "kmeans" and self.min_cluster_size is not None:
            raise UsageError(
                "--min-cluster-size is for hdbscan and evoc; k-means has no smallest cluster: leave it out, or add "
                "--method hdbscan"
            )


@dataclass(frozen=True, slots=True)
class Layer:
    """One way to divide the images, coarser or finer than others.

    Attributes:
        labels: ``int64 (n,)``, as the package describes them.
        confidence: ``float32 (n,)`` in [0, 1].
        runner_up: The cluster that each image would be in if its own were not there, ``int64 (n,)``; of noise the
            likeliest one; −1 where there is none.
    """

    labels: Labels
    confidence: Confidence
    runner_up: Labels

    @property
    def count(self) -> int:
        """How many clusters there are, noise not counted."""
        return int(self.labels.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Clustering:
    """All layers, the finest first, the number of the one that counts, the values that the method settled on, and
    the numbers of clusters that were weighed, where that was asked for."""

    layers: tuple[Layer, ...]
    chosen: int
    parameters: dict[str, Any]
    candidates: tuple[Candidate, ...] = ()

    @property
    def labels(self) -> Labels:
        return self.layers[self.chosen].labels

    @property
    def confidence(self) -> Confidence:
        return self.layers[self.chosen].confidence

    @property
    def runner_up(self) -> Labels:
        return self.layers[self.chosen].runner_up

    @property
    def count(self) -> int:
        """How many clusters there are, noise not counted."""
        return self.layers[self.chosen].count

    def at(self, level: str | None) -> Clustering:
        """Return the same with another layer chosen: ``fine``, ``medium``, ``coarse``, or a layer's number.

        Raises:
            UsageError: There is no such layer.
        """
        if level in (None, "medium"):
            return self
        check_level(level)
        named = {"fine": 0, "coarse": len(self.layers) - 1}
        number = named[str(level)] if level in named else int(str(level))
        if number >= len(self.layers):
            there = ", ".join(f"{index} ({layer.count} clusters)" for index, layer in enumerate(self.layers))
            raise UsageError(f"--level {level} is not there; choose fine, medium, coarse, or a layer's number: {there}")
        return dataclasses.replace(self, chosen=number)


def check_level(level: str | None) -> None:
    """Refuse, before anything is computed, what is no layer of any clustering.

    Raises:
        UsageError: It is neither a layer's name nor a number.
    """
    if level not in (None, "fine", "medium", "coarse") and not str(level).isdecimal():
        raise UsageError(f"--level {level!r} is not understood; choose fine, medium, coarse, or a layer's number")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method finds, its clusters numbered as it likes: labels and confidence of each layer, the finest first."""

    layers: list[tuple[Labels, Confidence]]
    chosen: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
