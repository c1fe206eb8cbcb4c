"""The settings of clustering methods, checked."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final

from imgcluster.errors import UsageError

__all__ = ["METHOD_OPTIONS", "SELECTIONS", "Settings"]

SELECTIONS: Final = ("eom", "leaf")
"""How HDBSCAN selects clusters from its tree: by excess of mass, or its leaves."""

METHOD_OPTIONS: Final = (
    *("min_cluster_size", "min_samples", "cluster_selection_method", "cluster_selection_epsilon", "n_init"),
)
"""The settings that only some methods take; each is an option of the same name."""

_RANGE: Final = (2, 30)
# This many numbers are scored within minutes.
_HIGHEST: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a method.

    Attributes:
        k: The number of clusters; None to estimate it.
        k_range: The lowest and the highest number of the estimate. The default reaches up to the number of connected
            components of the graph, at most 100.
        score_k: Whether all numbers in the range are scored, for people to choose from.
        min_cluster_size: The smallest cluster of HDBSCAN and EVoC; None for one that grows with the images.
        min_samples: The number of neighbors from which HDBSCAN estimates density; None for the default.
        cluster_selection_method: One of `SELECTIONS`; None to choose by the silhouettes.
        cluster_selection_epsilon: HDBSCAN does not split clusters below this distance; None for no limit.
        n_init: The number of starts of k-means; None for as many as take about two seconds.
        seed: The random seed.
    """

    k: int | None = None
    k_range: tuple[int, int] = _RANGE
    score_k: bool = False
    min_cluster_size: int | None = None
    min_samples: int | None = None
    cluster_selection_method: str | None = None
    cluster_selection_epsilon: float | None = None
    n_init: int | None = None
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
        for name in ("min_samples", "n_init"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} {value} is not possible; at least 1 is needed")
        selection = self.cluster_selection_method
        if selection not in (None, *SELECTIONS):
            raise UsageError(f"--cluster-selection-method {selection} is unknown; choose {' or '.join(SELECTIONS)}")
        epsilon = self.cluster_selection_epsilon
        if epsilon is not None and not (math.isfinite(epsilon) and epsilon >= 0):
            raise UsageError(f"--cluster-selection-epsilon {epsilon} is not possible; it is a distance, at least 0")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed} is not possible; it lies between 0 and {2**32 - 1}")

    @classmethod
    def of(cls, k: int | str | None, **others: Any) -> Settings:
        """Return the settings for `k` as in the option ``--k``: a number, ``auto``, ``2..30``, or None.

        `others` are further fields.

        Raises:
            UsageError: `k` is something else, or a value is out of range.
        """
        settings = cls(**others)
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
