"""Recipes: everything that decides what a training makes, one TOML file each, read strictly.

A key or value that is not understood is an error that names it and the valid ones: a misspelt option that is
silently ignored costs an hour of training. No torch here; `models`, `loop` and the others carry a recipe out.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

from imgcluster.errors import UsageError
from imgcluster.types import ResizeRule
from training.blocks import BLOCKS, Block
from training.stages import STAGES, Contrastive, Dec, Idec, Neighbours, Stage, needs_clusters
from training.transforms import TRANSFORMS, Transform

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "DEFAULT_RECIPES",
    "RECIPES_FOLDER",
    "ClusterSettings",
    "Clusters",
    "DataSettings",
    "ExportSettings",
    "ModelSettings",
    "Recipe",
    "SplitSettings",
    "TrainingSettings",
    "load_recipe",
    "parse_recipe",
    "recipe_names",
    "with_changes",
]

RECIPES_FOLDER: Final = Path(__file__).parent / "recipes"
DEFAULT_RECIPES: Final = {
    "mnist": "mnist",
    "fashion-mnist": "fashion-mnist",
    "cifar10": "cifar10",
    "strokes": "strokes",
}
"""The recipe of a data set where none is asked for; folders of images have `folder`."""

Input = Literal["image", "grey"]
Target = Literal["image", "chrominance"]
Code = Literal["dense", "gaussian", "flatten"]
Loss = Literal["mse", "bce", "mse+cosine", "vae"]
Optimizer = Literal["adam", "adamw"]
Schedule = Literal["constant", "one-cycle", "cosine"]
Metric = Literal["cosine", "euclidean"]
Clusters = int | Literal["auto"]
"""How many clusters, or ``auto`` for as many as are found."""


def _positive(**values: float) -> None:
    for key, value in values.items():
        if not value > 0:
            raise UsageError(f"{key} = {value} is not possible; it must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """``[data]``: the images and what of them the model sees and makes.

    Attributes:
        dataset: ``mnist``, ``fashion-mnist``, ``cifar10``, ``strokes``, or ``folder`` for images of one's
            own.
        input: ``grey`` shows the model the luminance of colour images only.
        target: ``image``, or ``chrominance`` for the two colour channels (Cb, Cr) alone.
        image_size: Sides in pixels that a folder's images are brought to; 0 where the set has its own.
        channels: 1 or 3 for a folder's images; 0 where the set has its own.
        resize: How pictures of another shape are brought to the input's, in training on folders and in use.
        filter: The resampling filter of that.
    """

    dataset: str
    input: Input = "image"
    target: Target = "image"
    image_size: int = 0
    channels: int = 0
    resize: ResizeRule = "stretch"
    filter: str = "bicubic"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """``[model]``: encoder blocks, the code, decoder blocks.

    Attributes:
        latent: Values in the code.
        code: ``dense``: a dense layer without activation; ``gaussian``: two of them, mean and log-variance,
            the code drawn from that normal distribution in training and its mean in use; ``flatten``: the
            encoder's last feature map itself.
        encoder: From the image to the last feature map or vector.
        decoder: From the code to the image; empty for an encoder alone, which the stages of ``[cluster]`` train
            from scratch.
    """

    latent: int
    code: Code = "dense"
    encoder: tuple[Block, ...]
    decoder: tuple[Block, ...] = ()

    def __post_init__(self) -> None:
        _positive(latent=self.latent)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """``[training]``: the objective and how it is followed.

    Attributes:
        loss: A name in `losses.LOSSES`.
        epochs: Passes over the training images.
        steps_per_epoch: Batches that count as one epoch; 0 for one pass.
        average: Where above 0, what validates and is kept is an average of the weights over the last
            ``1 / (1 − average)`` updates (Polyak & Juditsky 1992, https://doi.org/10.1137/0330046).
        schedule: ``constant``; ``one-cycle`` up to `learning_rate` and down again (Smith & Topin 2017,
            https://arxiv.org/abs/1708.07120); ``cosine`` down from it.
    """

    loss: Loss
    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    average: float = 0.0
    batch_size: int = 32
    epochs: int
    steps_per_epoch: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        _positive(learning_rate=self.learning_rate, batch_size=self.batch_size, epochs=self.epochs)
        if not 0.0 <= self.average < 1.0:
            raise UsageError(f"average = {self.average} is not possible; it is at least 0 and below 1")
        if self.weight_decay < 0 or self.steps_per_epoch < 0 or self.seed < 0:
            raise UsageError("weight_decay, steps_per_epoch and seed are at least 0")


NO_TRAINING: Final = TrainingSettings(loss="mse", epochs=1)
"""Stands for the ``[training]`` of a recipe without a decoder, where only its seed means anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """``[split]``: shares of the images.

    Attributes:
        validation: Share that chooses the best epoch; 0 keeps the last epoch's weights.
        test: Share that only the final scores see; 0 uses the set's own test images, and another value shares
            out training and test images together.
    """

    validation: float = 0.2
    test: float = 0.0

    def __post_init__(self) -> None:
        if self.validation < 0 or self.test < 0 or self.validation + self.test >= 1:
            raise UsageError(
                f"validation = {self.validation}, test = {self.test} leaves nothing to train on; "
                "both are at least 0, and their sum below 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """``[cluster]``: what makes the codes fall into clusters, after the autoencoder's training or instead of it.

    Attributes:
        clusters: How many; ``auto`` for as many as are found among the codes; 0 to leave the stages out after an
            autoencoder's training, unless ``--refine`` asks for them.
        stages: Carried out one after another; DEC where nothing is said.
    """

    clusters: Clusters = 0
    stages: tuple[Stage, ...] = (Dec(),)

    def __post_init__(self) -> None:
        if self.clusters != "auto" and self.clusters < 0:
            raise UsageError(f"clusters = {self.clusters} is not possible; it is 'auto', 1 or more, or 0 for none")
        if self.clusters != 0 and not self.stages:
            raise UsageError(f"clusters = {self.clusters!r} needs stages that use it")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """``[export]``: what the exported encoder says of itself; `name` defaults to the recipe's."""

    name: str = ""
    metric: Metric = "euclidean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One training, described completely; `name` is the file's name without its extension.

    Without a decoder there is no autoencoder to train: the stages of ``[cluster]`` are all there is, and
    ``[training]`` is left out.
    """

    name: str
    title: str
    data: DataSettings
    model: ModelSettings
    training: TrainingSettings = NO_TRAINING
    split: SplitSettings = field(default_factory=SplitSettings)
    augmentation: tuple[Transform, ...] = ()
    corruption: tuple[Transform, ...] = ()
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    export: ExportSettings = field(default_factory=ExportSettings)

    def __post_init__(self) -> None:
        if (self.training.loss == "vae") != (self.model.code == "gaussian"):
            raise UsageError(
                f"training.loss = {self.training.loss!r} does not fit model.code = {self.model.code!r}; "
                "'vae' and 'gaussian' go together"
            )
        if self.model.decoder:
            if self.training is NO_TRAINING:
                raise UsageError("the key 'training' is missing, which says how the decoder is trained")
            return
        stages = self.cluster.stages
        if not stages or needs_clusters(stages[0]) or any(isinstance(stage, Idec) for stage in stages):
            raise UsageError(
                "model.decoder is empty: cluster.stages must begin with a stage that needs no autoencoder "
                "('contrastive'), and hold no 'idec'"
            )
        if self.cluster.clusters == 0 and any(map(needs_clusters, stages)):
            raise UsageError("cluster.clusters = 0 is not enough for these stages; set a number, or 'auto'")

    @property
    def refined(self) -> bool:
        """Whether the stages of ``[cluster]`` are carried out."""
        return self.cluster.clusters != 0 or not self.model.decoder

    @property
    def metric(self) -> Metric:
        """How codes are compared: by the cosine after stages that train directions, else as ``[export]`` says."""
        directions = self.refined and any(isinstance(stage, Contrastive | Neighbours) for stage in self.cluster.stages)
        return "cosine" if directions else self.export.metric

    @property
    def encoder_name(self) -> str:
        """The name that the exported encoder gets unless the user gives another."""
        return self.export.name or self.name


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with imgcluster, sorted."""
    return sorted(path.stem for path in RECIPES_FOLDER.glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """Return the recipe that comes with imgcluster under `name`, or that of the TOML file at that path.

    Raises:
        UsageError: There is no such recipe, the file cannot be read, or a key or value in it is wrong.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES_FOLDER / f"{name}.toml"
    if not name.endswith(".toml") and name not in recipe_names():
        raise UsageError(f"recipe {name!r} is unknown; choose one of {', '.join(recipe_names())}, or a FILE.toml")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the recipe {name} cannot be read: {error}") from None
    return parse_recipe(text, path.stem)


def parse_recipe(text: str, name: str) -> Recipe:
    """Return the recipe that `text` (TOML) describes.

    Raises:
        UsageError: It is no TOML, or a key or value in it is wrong.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"recipe {name}: this is not TOML: {error}") from None
    return _build(Recipe, {"name": name, **table}, f"recipe {name}:")


def with_changes(recipe: Recipe, **changes: dict[str, Any]) -> Recipe:
    """Return `recipe` with some values replaced, by section: ``with_changes(r, training={"epochs": 3})``."""
    sections = {section: dataclasses.replace(getattr(recipe, section), **values) for section, values in changes.items()}
    return dataclasses.replace(recipe, **sections)


_T = TypeVar("_T")
# Lists of these unions are lists of tables in TOML, told apart by their key ``type``.
_UNIONS: Final[dict[Any, dict[str, type[Any]]]] = {
    Block: dict(BLOCKS),
    Transform: dict(TRANSFORMS),
    Stage: dict(STAGES),
}


def _build(cls: type[_T], table: dict[str, Any], where: str) -> _T:
    """Make the dataclass `cls` from a TOML table; `where` begins every error message."""
    hints = typing.get_type_hints(cls)
    fields = {item.name: item for item in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise UsageError(f"{where} unknown key {key!r}; valid are {', '.join(fields) or 'none'}")
    for key, item in fields.items():
        if key not in table and item.default is item.default_factory is dataclasses.MISSING:
            raise UsageError(f"{where} the key {key!r} is missing")
    values = {key: _convert(value, hints[key], f"{where} {key}") for key, value in table.items()}
    try:
        return cls(**values)
    except UsageError as error:
        raise UsageError(f"{where} {error}") from None


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Check one TOML value against the annotation of its field."""
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise UsageError(f"{where} must be a table, not {value!r}")
        return _build(typing.cast(type[Any], hint), value, f"{where}:")
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise UsageError(f"{where} must be a list of tables, not {value!r}")
        choices = _UNIONS[get_args(hint)[0]]
        return tuple(_tagged(item, choices, f"{where}[{number}]") for number, item in enumerate(value))
    options = get_args(hint)
    if get_origin(hint) is Literal:
        if value in options:
            return value
        raise UsageError(f"{where} = {value!r} is unknown; choose one of {', '.join(map(repr, options))}")
    if get_origin(hint) in (typing.Union, types.UnionType):
        if any(value == word for option in options if get_origin(option) is Literal for word in get_args(option)):
            return value
        hint = next(option for option in options if get_origin(option) is not Literal)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is an int to Python, but not to whoever writes `epochs = true`.
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise UsageError(f"{where} = {value!r} is not allowed; it must be {_KINDS[hint]}")
    return value


def _tagged(table: Any, choices: dict[str, type[Any]], where: str) -> Any:
    kind = table.get("type") if isinstance(table, dict) else None
    if kind not in choices:
        raise UsageError(f"{where}: type = {kind!r} is unknown; choose one of {', '.join(choices)}")
    return _build(choices[kind], {key: value for key, value in table.items() if key != "type"}, f"{where} ({kind}):")


_KINDS: Final = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
