"""The deep-clustering stages of a recipe's ``[cluster]``: they train an encoder until its codes form clusters.

`deep_clustering` carries them out, each kind in its own module. No stage uses labels.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from imgcluster_training.recipe.section import Section, Tables
from imgcluster_training.recipe.transforms import Transforms

__all__ = ["Contrastive", "Dec", "Idec", "Neighbors", "Stage", "Stages"]


class _StageSettings(Section):
    """What all stages have in common."""

    epochs: PositiveInt
    batch_size: PositiveInt = 512
    learning_rate: PositiveFloat = 3e-3

    @property
    def total_epochs(self) -> int:
        """The largest number of epochs that the stage takes."""
        return self.epochs

    @property
    def needs_clusters(self) -> bool:
        """Whether the stage needs the number of clusters."""
        return True


class Contrastive(_StageSettings):
    """Two augmented views of an image must be recognized among those of all other images in the batch.

    SimCLR (Chen et al. 2020, https://arxiv.org/abs/2002.05709): a hidden layer as wide as the code maps the codes to
    `projection` values, whose cosine similarities are divided by `temperature`. Needs neither a number of clusters
    nor a trained autoencoder.
    """

    type: Literal["contrastive"] = "contrastive"
    augmentation: Transforms
    temperature: PositiveFloat = 0.5
    projection: PositiveInt = 128
    weight_decay: NonNegativeFloat = 0.05

    @property
    def needs_clusters(self) -> bool:
        return False


class Neighbors(_StageSettings):
    """An image and one of its nearest neighbors, both augmented, must fall into the same cluster.

    SCAN (Van Gansbeke et al. 2020, https://arxiv.org/abs/2005.12320), with a warm-up of our own.

    Attributes:
        warm_up: Epochs of training on the clusters that `imgcluster cluster` finds among the codes.
        epochs: Epochs of agreement with one of the `neighbors` nearest codes, drawn again for every batch.
        self_label: Epochs of training on the model's own predictions above `confidence`.
        neighbors: Number of nearest neighbors to draw from.
        entropy: Weight of the entropy of the cluster sizes, which prevents a single large cluster.
        confidence: Lowest probability of a prediction that counts as a label.
    """

    type: Literal["neighbours"] = "neighbours"
    augmentation: Transforms
    warm_up: NonNegativeInt = 1
    epochs: PositiveInt = 3
    self_label: NonNegativeInt = 1
    neighbors: PositiveInt = Field(10, validation_alias="neighbours")
    entropy: NonNegativeFloat = 2.0
    confidence: Annotated[float, Field(ge=0, lt=1)] = 0.95
    weight_decay: NonNegativeFloat = 0.05

    @property
    def total_epochs(self) -> int:
        return self.warm_up + self.epochs + self.self_label


class _DecSettings(_StageSettings):
    """What DEC and IDEC have in common.

    Attributes:
        epochs: The largest number of epochs.
        updates: Batches between two computations of the target; they count as one epoch.
        tolerance: The stage ends when less than this fraction of the images changes its cluster in one epoch.
        start: The first cluster centers: ``k-means`` on the codes, as in the paper, or ``graph``, the clusters that
            `imgcluster cluster` finds on the neighbor graph of the codes, which need not be convex.
    """

    epochs: PositiveInt = 100
    updates: PositiveInt = 140
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 1e-3
    start: Literal["k-means", "graph"] = "k-means"
    batch_size: PositiveInt = 256


class Dec(_DecSettings):
    """Moves codes towards their nearest cluster center, and the centers with them; the decoder is dropped.

    DEC (Xie et al. 2016, https://arxiv.org/abs/1511.06335): cluster probabilities by Student's t-distribution are
    trained towards their own sharpened version.
    """

    type: Literal["dec"] = "dec"
    learning_rate: PositiveFloat = 0.01


class Idec(_DecSettings):
    """`Dec` together with the reconstruction, so that the decoder still fits the encoder.

    IDEC (Guo et al. 2017, https://doi.org/10.24963/ijcai.2017/243): the recipe's loss plus `gamma` times DEC's, with
    Adam.
    """

    type: Literal["idec"] = "idec"
    gamma: PositiveFloat = 0.1
    learning_rate: PositiveFloat = 1e-3


Stage: TypeAlias = Contrastive | Neighbors | Dec | Idec
Stages: TypeAlias = Tables[Stage]
