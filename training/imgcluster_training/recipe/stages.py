"""The stages of a recipe's ``[cluster]``: what makes an encoder's codes fall into clusters, without labels.

Only descriptions live here, without torch; `clustering` carries them out, each in a module of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from imgcluster.errors import UsageError
from imgcluster_training.recipe.transforms import Transform

__all__ = ["STAGES", "Contrastive", "Dec", "Idec", "Neighbours", "Stage", "needs_clusters"]

Start = Literal["k-means", "graph"]


def _positive(**values: float) -> None:
    for key, value in values.items():
        if not value > 0:
            raise UsageError(f"{key} = {value} is not possible; it must be above 0")


def _not_negative(**values: float) -> None:
    for key, value in values.items():
        if value < 0:
            raise UsageError(f"{key} = {value} is not possible; it must be at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrastive:
    """Two changed copies of an image must be told from those of all others in the batch.

    SimCLR (Chen et al. 2020, https://arxiv.org/abs/2002.05709): the codes go through a hidden layer of their own
    size to `projection` values of length 1, whose cosines are divided by `temperature`. Needs no number of clusters
    and no autoencoder before it.
    """

    epochs: int
    augmentation: tuple[Transform, ...]
    temperature: float = 0.5
    projection: int = 128
    batch_size: int = 512
    learning_rate: float = 3e-3
    weight_decay: float = 0.05

    def __post_init__(self) -> None:
        _positive(
            epochs=self.epochs,
            temperature=self.temperature,
            projection=self.projection,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )
        _not_negative(weight_decay=self.weight_decay)

    @property
    def total_epochs(self) -> int:
        """All epochs together, at most."""
        return self.epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """An image and one of its nearest neighbours, both changed, must fall into the same cluster.

    SCAN (Van Gansbeke et al. 2020, https://arxiv.org/abs/2005.12320), with a warm-up of our own.

    Attributes:
        warm_up: Epochs on the clusters that k-means finds along the graph of the nearest codes (a diffusion map).
        epochs: Epochs of agreement with one of the `neighbours` nearest codes, drawn anew every time.
        self_label: Epochs on its own answers above `confidence`.
        neighbours: How many count.
        entropy: The weight of the entropy of the clusters' sizes, which keeps them from becoming one.
        confidence: The probability from which an answer is believed.
    """

    augmentation: tuple[Transform, ...]
    warm_up: int = 1
    epochs: int = 3
    self_label: int = 1
    neighbours: int = 10
    entropy: float = 2.0
    confidence: float = 0.95
    batch_size: int = 512
    learning_rate: float = 3e-3
    weight_decay: float = 0.05

    def __post_init__(self) -> None:
        _positive(
            epochs=self.epochs,
            neighbours=self.neighbours,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )
        _not_negative(
            warm_up=self.warm_up,
            self_label=self.self_label,
            entropy=self.entropy,
            weight_decay=self.weight_decay,
        )
        if not 0 <= self.confidence < 1:
            raise UsageError(f"confidence = {self.confidence} is not possible; it is at least 0 and below 1")

    @property
    def total_epochs(self) -> int:
        """All epochs together, at most."""
        return self.warm_up + self.epochs + self.self_label


@dataclass(frozen=True, slots=True, kw_only=True)
class Dec:
    """Codes move to the cluster centres they are nearest to, and the centres with them.

    DEC (Xie et al. 2016, https://arxiv.org/abs/1511.06335): Student's t to the centres, sharpened, is the target of
    itself; the decoder is left behind.

    Attributes:
        updates: Batches between two targets; they count as one epoch.
        epochs: At most.
        tolerance: The share of images that change their cluster between two targets, at which it is done.
        start: Where the first centres come from: ``k-means`` on the codes, as in the paper, or ``graph``, the means of
            the clusters along the graph of nearest codes (a diffusion map), which bent clusters do not mislead.
    """

    epochs: int = 100
    updates: int = 140
    tolerance: float = 1e-3
    start: Start = "k-means"
    batch_size: int = 256
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        _positive(
            epochs=self.epochs, updates=self.updates, batch_size=self.batch_size, learning_rate=self.learning_rate
        )
        if not 0 <= self.tolerance < 1:
            raise UsageError(f"tolerance = {self.tolerance} is not possible; it is at least 0 and below 1")

    @property
    def total_epochs(self) -> int:
        """All epochs together, at most."""
        return self.epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Idec:
    """`Dec` beside the reconstruction, so that the decoder stays the encoder's.

    IDEC (Guo et al. 2017, https://doi.org/10.24963/ijcai.2017/243): the recipe's loss and `gamma` times DEC's, by
    Adam.
    """

    gamma: float = 0.1
    epochs: int = 100
    updates: int = 140
    tolerance: float = 1e-3
    start: Start = "k-means"
    batch_size: int = 256
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        _positive(
            gamma=self.gamma,
            epochs=self.epochs,
            updates=self.updates,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )
        if not 0 <= self.tolerance < 1:
            raise UsageError(f"tolerance = {self.tolerance} is not possible; it is at least 0 and below 1")

    @property
    def total_epochs(self) -> int:
        """All epochs together, at most."""
        return self.epochs


Stage: TypeAlias = Contrastive | Neighbours | Dec | Idec

STAGES: Final[dict[str, type[Stage]]] = {
    "contrastive": Contrastive,
    "neighbours": Neighbours,
    "dec": Dec,
    "idec": Idec,
}
"""The value of a stage's ``type`` in a recipe, and what it makes."""


def needs_clusters(stage: Stage) -> bool:
    """Say whether the stage must be told how many clusters there are."""
    return not isinstance(stage, Contrastive)
