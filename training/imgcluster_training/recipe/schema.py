"""The tables of a recipe: everything that decides what a training makes. `parser` reads them from TOML."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from imgcluster.types import Filter, ResizeRule
from imgcluster_training.recipe.blocks import Blocks, GlobalAverage
from imgcluster_training.recipe.section import Section
from imgcluster_training.recipe.stages import Contrastive, Dec, Neighbors, Stages
from imgcluster_training.recipe.transforms import Crop, Transforms

__all__ = [
    "ClusterSettings",
    "Clusters",
    "DataSettings",
    "Dataset",
    "ExportSettings",
    "Loss",
    "ModelSettings",
    "Recipe",
    "SplitSettings",
    "TrainingSettings",
]

Dataset = Literal["mnist", "fashion-mnist", "cifar10", "strokes", "folder"]
Loss = Literal["mse", "bce", "mse+cosine", "vae"]
Metric = Literal["cosine", "euclidean"]
Clusters = NonNegativeInt | Literal["auto"]
"""The number of clusters; ``auto`` estimates it, 0 stands for no clustering."""


class DataSettings(Section):
    """``[data]``: the images, and which part of them the model sees and makes.

    Attributes:
        dataset: ``mnist``, ``fashion-mnist``, ``cifar10``, ``strokes``, or ``folder`` for the user's own images.
        input: ``grey`` shows the model the luminance of color images only.
        target: ``image``, or ``chrominance`` for the two color channels (Cb, Cr) alone.
        image_size: Side in pixels to which images of a folder are resized; 0 for data sets.
        channels: 1 or 3 for images of a folder; 0 for data sets.
        resize: How images of another shape are fitted to the input, in training on folders and in use.
        filter: The resampling filter.
    """

    dataset: Dataset
    input: Literal["image", "grey"] = "image"
    target: Literal["image", "chrominance"] = "image"
    image_size: NonNegativeInt = 0
    channels: Literal[0, 1, 3] = 0
    resize: ResizeRule = "stretch"
    filter: Filter = "bicubic"

    @model_validator(mode="after")
    def _check(self) -> DataSettings:
        if self.target == "chrominance" and self.input != "grey":
            raise ValueError("target = 'chrominance' needs input = 'grey', which gives the brightness")
        return self


class ModelSettings(Section):
    """``[model]``: encoder blocks, the code, decoder blocks.

    Attributes:
        latent: Number of values in the code.
        code: ``dense``: a dense layer without activation; ``gaussian``: two of them, mean and log-variance, where
            training draws the code from that normal distribution and use takes the mean; ``flatten``: the encoder's
            last feature map itself.
        encoder: From the image to the last feature map or vector.
        decoder: From the code to the image. Without one, the stages of ``[cluster]`` train the encoder from scratch.
    """

    latent: PositiveInt
    code: Literal["dense", "gaussian", "flatten"] = "dense"
    encoder: Blocks
    decoder: Blocks = ()


class TrainingSettings(Section):
    """``[training]``: the loss and how it is minimized.

    Attributes:
        loss: A name in `losses.LOSSES`.
        epochs: Passes over the training images; at most, with `patience`.
        patience: Training ends after this many epochs without a lower validation loss; 0 for all epochs.
        steps_per_epoch: Batches that count as one epoch; 0 for one pass.
        average: Above 0, a running average of the weights over the last ``1 / (1 − average)`` updates, but at most over
            the last tenth of them, is validated and kept (Polyak & Juditsky 1992, https://doi.org/10.1137/0330046).
        schedule: Learning rate: ``constant``; ``one-cycle`` up to `learning_rate` and down again (Smith & Topin
            2017, https://arxiv.org/abs/1708.07120); ``cosine`` down from it.
    """

    loss: Loss
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "one-cycle", "cosine"] = "constant"
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_size: PositiveInt = 32
    epochs: PositiveInt
    patience: NonNegativeInt = 0
    steps_per_epoch: NonNegativeInt = 0
    # That of a fold is larger by its number, and torch's are below 2⁶⁴.
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class SplitSettings(Section):
    """``[split]``: fractions of the images.

    Attributes:
        validation: Fraction that selects the best epoch; 0 keeps the last epoch's weights.
        test: Fraction for the final scores only. 0 uses the data set's own test images; another value splits
            training and test images together.
    """

    validation: NonNegativeFloat = 0.2
    test: NonNegativeFloat = 0.0

    @model_validator(mode="after")
    def _check(self) -> SplitSettings:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation = {self.validation} and test = {self.test} leave no training images; "
                "their sum must be below 1"
            )
        return self


class ClusterSettings(Section):
    """``[cluster]``: deep clustering after the training of the autoencoder, or instead of it.

    Attributes:
        clusters: The number of clusters. ``auto`` estimates it from the codes; 0 skips the stages after an
            autoencoder's training unless ``--refine`` asks for them.
        stages: Carried out in this order; DEC by default.
    """

    clusters: Clusters = 0
    stages: Stages = (Dec(),)

    @model_validator(mode="after")
    def _check(self) -> ClusterSettings:
        if self.clusters != 0 and not self.stages:
            raise ValueError(f"clusters = {self.clusters!r} needs at least one stage in cluster.stages")
        return self


class ExportSettings(Section):
    """``[export]``: name and metric of the exported encoder; `name` defaults to the recipe's."""

    name: str = ""
    metric: Metric = "euclidean"


def _resizes(transforms: Transforms) -> bool:
    return any(isinstance(transform, Crop) and transform.side < 1 for transform in transforms)


_NO_TRAINING: Final = TrainingSettings(loss="mse", epochs=1)
"""The ``[training]`` of a recipe without a decoder, of which only the seed is used."""


class Recipe(Section):
    """A complete description of one training; `name` is the file's name without its extension.

    Without a decoder there is no autoencoder to train: only the stages of ``[cluster]`` are carried out, and
    ``[training]`` is omitted.
    """

    name: str
    title: str
    data: DataSettings
    model: ModelSettings
    training: TrainingSettings = _NO_TRAINING
    split: SplitSettings = SplitSettings()
    augmentation: Transforms = ()
    corruption: Transforms = ()
    cluster: ClusterSettings = ClusterSettings()
    export: ExportSettings = ExportSettings()

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if (self.training.loss == "vae") != (self.model.code == "gaussian"):
            raise ValueError(
                f"training.loss = {self.training.loss!r} does not fit model.code = {self.model.code!r}; "
                "'vae' and 'gaussian' need each other"
            )
        if self.model.decoder and "training" not in self.model_fields_set:
            raise ValueError("the key training is missing; a recipe with a decoder needs it")
        if self.training.patience and not self.split.validation:
            raise ValueError(
                f"training.patience = {self.training.patience} needs validation images; set split.validation above 0"
            )
        if not self.model.decoder:
            self._check_without_decoder()
        self._check_crops()
        return self

    def _check_crops(self) -> None:
        for key, transforms in (("augmentation", self.augmentation), ("corruption", self.corruption)):
            if _resizes(transforms):
                raise ValueError(f"{key}: a crop with side below 1 is for stages only; leave out side")
        averages = any(isinstance(block, GlobalAverage) for block in self.model.encoder)
        for number, stage in enumerate(self.cluster.stages):
            if isinstance(stage, Contrastive | Neighbors) and _resizes(stage.augmentation) and not averages:
                raise ValueError(
                    f"cluster.stages[{number}]: a crop with side below 1 makes smaller images, for which model.encoder "
                    "needs a global-average; leave out side"
                )

    def _check_without_decoder(self) -> None:
        stages = self.cluster.stages
        if not stages or stages[0].needs_clusters or any(stage.type == "idec" for stage in stages):
            raise ValueError(
                "model.decoder is empty: cluster.stages must begin with 'contrastive', which needs no autoencoder, "
                "and must not contain 'idec'"
            )
        if self.cluster.clusters == 0 and any(stage.needs_clusters for stage in stages):
            raise ValueError("cluster.clusters = 0 is not enough for these stages; use a number, or 'auto'")

    @property
    def refined(self) -> bool:
        """Whether the stages of ``[cluster]`` are carried out."""
        return self.cluster.clusters != 0 or not self.model.decoder

    @property
    def metric(self) -> Metric:
        """The metric of the codes: cosine after stages that train directions, else as ``[export]`` says."""
        trains_directions = any(isinstance(stage, Contrastive | Neighbors) for stage in self.cluster.stages)
        return "cosine" if self.refined and trains_directions else self.export.metric
