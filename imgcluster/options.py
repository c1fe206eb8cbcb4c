"""The options of the commands: each is one field with its default and its meaning.

The Python functions take these dataclasses, the command line makes its options from them, and the manifest and the
key of the cached clustering hold their values.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from imgcluster.errors import UsageError
from imgcluster.machine import READING_SECONDS, reading_memory
from imgcluster.option_fields import make_booleans, make_integers, make_numbers, option

__all__ = [
    "DEFAULT_ENCODER",
    "DEFAULT_WORKSPACE",
    "LEAST_MEMORY",
    "ClusterOptions",
    "EmbedOptions",
    "EncoderOptions",
    "RayOptions",
    "TrainingOptions",
    "check_precision",
]

DEFAULT_WORKSPACE: Final = "imgcluster-out"
DEFAULT_ENCODER: Final = "photos"

LEAST_MEMORY: Final = 16 << 20
"""The smallest value of ``--memory``, in bytes."""

_FILES: Final = "Which files"
_MODEL: Final = "Other ONNX models"
_SHARDS: Final = "Several processes"
_DENSITY: Final = "HDBSCAN and EVoC"
_KMEANS: Final = "k-means"

_SIZE: Final = re.compile(r"(?P<number>[0-9]{1,15}(\.[0-9]{1,9})?) ?(?P<unit>[KMGTkmgt]?)(i?[Bb])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """What an ONNX file without imgcluster's metadata does not say about itself; None if it is not given.

    Floating-point inputs get ``(pixel * scale - mean) / std``; the defaults are a scale of 1/255, mean 0 and standard
    deviation 1. `image_size` is (width, height). `encoders.onnx_io.choose_output` chooses the default `output`.

    Raises:
        UsageError: A value is not allowed, or `mean` or `std` are for pixels from 0 to 255 but `scale` is not.
    """

    mean: tuple[float, ...] | None = option(
        None, "Subtracted from scaled pixels: one value, or one per channel.", metavar="M[,M,M]", group=_MODEL
    )
    std: tuple[float, ...] | None = option(
        None, "Then divided by this: one value, or one per channel.", metavar="S[,S,S]", group=_MODEL
    )
    scale: float | None = option(
        None, "Pixels (0 to 255) are multiplied by this first; 1/255 by default.", group=_MODEL
    )
    resize: str | None = option(
        None, "crop, stretch or pad images of another aspect ratio.", metavar="RULE", group=_MODEL
    )
    image_size: tuple[int, int] | None = option(
        None, "The input size, where the graph does not fix it.", metavar="N|WxH", group=_MODEL
    )
    resize_edge: int | None = option(
        None,
        "Resize the shorter side to N pixels first (both with stretch), then crop the center.",
        metavar="N",
        group=_MODEL,
        minimum=1,
    )
    resample: str | None = option(
        None,
        "How pixels are interpolated: nearest, bilinear, bicubic (default) or lanczos.",
        metavar="FILTER",
        group=_MODEL,
    )
    pool: str | None = option(None, "How tokens become one vector.", metavar="cls|mean", group=_MODEL)
    output: str | None = option(
        None,
        "The output to use, if the model has several; by default embeddings are preferred to class scores.",
        metavar="NAME",
        group=_MODEL,
    )

    def __post_init__(self) -> None:
        # Numbers of other libraries (NumPy's, say) become plain ones, which JSON can hold.
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None:
                numbers = tuple(map(float, values if isinstance(values, Iterable) else (values,)))
                object.__setattr__(self, name, numbers)
        make_numbers(self, "scale")
        make_integers(self, "resize_edge")
        if self.image_size is not None:
            object.__setattr__(self, "image_size", tuple(map(operator.index, self.image_size)))
        if self.resize is not None or self.pool is not None or self.resample is not None:
            from imgcluster.types import FILTERS, POOLINGS, RESIZE_RULES

            if self.resample is not None and self.resample not in FILTERS:
                raise UsageError(f"--resample {self.resample} is unknown; allowed are {', '.join(FILTERS)}")
            if self.resize is not None and self.resize not in RESIZE_RULES:
                raise UsageError(f"resize rule {self.resize!r} is unknown; allowed are {', '.join(RESIZE_RULES)}")
            if self.pool is not None and self.pool not in POOLINGS:
                raise UsageError(f"pooling {self.pool!r} is unknown; allowed are {', '.join(POOLINGS)}")
        for value in (*(self.mean or ()), *(self.std or ()), *(() if self.scale is None else (self.scale,))):
            if not math.isfinite(value):
                raise UsageError(f"{value} is not allowed in --mean, --std and --scale; give finite numbers")
        if 0 in (self.std or ()) or self.scale == 0:
            raise UsageError("0 is not allowed in --std and --scale; give other numbers")
        self._refuse_pixel_scale()

    def _refuse_pixel_scale(self) -> None:
        """Refuse a mean or standard deviation for pixels from 0 to 255 if the pixels are scaled to a smaller range."""
        largest = 1.0 if self.scale is None else 255 * abs(self.scale)
        for name, values in (("--mean", self.mean), ("--std", self.std)):
            # Twice, to allow for unusual but possible values such as 1 for pixels up to 0.99.
            if values and largest < 255 and max(map(abs, values)) > 2 * largest:
                given = ",".join(f"{value:.4g}" for value in values)
                divided = ",".join(f"{value / 255:.3g}" for value in values)
                raise UsageError(
                    f"{name} {given} is for pixels from 0 to 255, but they are scaled to at most {largest:.3g}; "
                    f"add --scale 1, or give {name} {divided}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOptions:
    """How images are found and embedded."""

    encoder: str | os.PathLike[str] | None = option(
        None,
        f"The encoder; by default that of the workspace, at first {DEFAULT_ENCODER}. See imgcluster encoders list; "
        "hub:OWNER/REPO is downloaded.",
        metavar="NAME|FILE.onnx|hub:…",
    )
    device: str = option(
        "auto", "auto, cpu, cuda, cuda:0,1 (several), directml, coreml, …; see imgcluster doctor.", metavar="DEVICE"
    )
    precision: str = option(
        "auto", "Which weights to run, if the encoder has several: auto, fp32, fp16 or int8.", metavar="PRECISION"
    )
    batch_size: int | None = option(
        None,
        "Images that the encoder processes at once; by default 32, on a CUDA device what suits it.",
        minimum=1,
    )
    workers: int | None = option(
        None, "How many images are read at the same time; one per processor by default.", minimum=1
    )
    memory: str | None = option(
        None,
        "Memory for the images that are decoded at the same time, such as 4G or 500M; by default an eighth of the "
        "machine's. Images that need more are skipped.",
        metavar="SIZE",
    )
    read_timeout: float = option(
        READING_SECONDS, "Skip a file that takes longer to read and decode.", metavar="SECONDS"
    )
    exclude: Sequence[str] = option(
        (),
        "Exclude files and folders, by a pattern as in .gitignore: *.png, raw/, 2019/*.tif. Can be repeated.",
        metavar="PATTERN",
        group=_FILES,
    )
    recursive: bool = option(True, "Do not search the folders inside PATH.", flags=("--no-recursive",), group=_FILES)
    fresh: bool = option(
        False,
        "Start over: embed all images again, and keep only those named now. `run` then also clusters again; names and "
        "other decisions stay.",
        group=_FILES,
    )
    encoder_options: EncoderOptions = EncoderOptions()

    def __post_init__(self) -> None:
        make_integers(self, "batch_size", "workers")
        make_numbers(self, "read_timeout")
        make_booleans(self, "recursive", "fresh")
        check_precision(self.precision)
        if isinstance(self.exclude, str):
            object.__setattr__(self, "exclude", (self.exclude,))
        if not self.read_timeout > 0:
            raise UsageError(f"--read-timeout {self.read_timeout:g} is not allowed; give seconds, such as 20")
        if self.memory is not None:
            object.__setattr__(self, "memory", str(self.memory))
            _bytes(str(self.memory))

    @property
    def memory_bytes(self) -> int:
        """The memory for the images that are decoded at the same time."""
        return reading_memory() if self.memory is None else _bytes(self.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """The Ray cluster that embeds and clusters images, and what each of its workers gets."""

    address: str | None = option(
        None,
        "Work on a Ray cluster: HOST:PORT, auto for the one of this machine (the default), or local to start one.",
        flags=("--ray",),
        metavar="[ADDRESS]",
        group=_SHARDS,
    )
    cpus_per_worker: int | None = option(
        None,
        "With --ray: the CPUs of each worker; by default those that the smallest node has for it.",
        metavar="N",
        group=_SHARDS,
        minimum=1,
    )
    gpus_per_worker: float | None = option(
        None,
        "With --ray: the GPUs of each worker, such as 1, 0.5 or 0; by default 1 if a node has one.",
        metavar="N",
        group=_SHARDS,
    )

    def __post_init__(self) -> None:
        make_integers(self, "cpus_per_worker")
        make_numbers(self, "gpus_per_worker")
        if self.gpus_per_worker is not None and not 0 <= self.gpus_per_worker < math.inf:
            raise UsageError(f"--gpus-per-worker {self.gpus_per_worker:g} is not allowed; give 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """How embeddings are clustered, and how the images are placed into folders."""

    k: int | str | None = option(
        None,
        "The number of clusters; estimated by default. auto and a range also print a score for each number.",
        flags=("-k", "--k"),
        metavar="N|auto|LOW..HIGH",
    )
    method: str = option("auto", "The clustering method: {methods}.", metavar="METHOD")
    min_cluster_size: int | None = option(
        None,
        "The size of the smallest cluster, for methods that find the number of clusters; by default it grows with the "
        "number of images.",
        group=_DENSITY,
    )
    min_samples: int | None = option(
        None,
        "HDBSCAN: the number of neighbors that density is estimated from; the default is 1.",
        metavar="N",
        group=_DENSITY,
    )
    cluster_selection_method: str | None = option(
        None,
        "HDBSCAN: eom (excess of mass) or leaf; by default leaf, unless its silhouettes are clearly worse.",
        metavar="eom|leaf",
        group=_DENSITY,
    )
    cluster_selection_epsilon: float | None = option(
        None,
        "HDBSCAN: clusters closer than this, in the reduced space, are not split.",
        metavar="DISTANCE",
        group=_DENSITY,
    )
    n_init: int | None = option(
        None, "k-means: the number of starts; by default as many as take about two seconds.", metavar="N", group=_KMEANS
    )
    metric: str | None = option(
        None, "How vectors are compared: cosine or euclidean; by default the encoder's.", metavar="METRIC"
    )
    reduce: str = option(
        "auto",
        "Dimensionality reduction: auto (mostly graph), none, graph, pca or umap.",
        metavar="METHOD",
    )
    level: str | None = option(
        None,
        "Finer or coarser clusters: fine, medium, coarse, or a layer's number. Nothing is computed again.",
        metavar="LEVEL",
    )
    assign_noise: bool = option(False, "Assign noise to the clusters of its nearest neighbors.")
    place: str | None = option(
        None,
        "How images get into the folders: symlink, copy, hardlink, move, manifest (placed.jsonl says where each "
        "belongs) or none. By default as they are placed now; at first symlink, for images in object storage manifest.",
        metavar="MODE",
    )
    vocabulary: str | None = option(
        None,
        "Words for suggested names, with an encoder that knows text: everyday (bundled), or a file with one per line; "
        "none suggests no names. By default everyday, if the text part of the encoder is installed.",
        metavar="everyday|none|FILE",
    )
    name_clusters: bool = option(False, "Use suggested names for the folders of clusters that you have not named.")
    seed: int = option(0, "The same seed gives the same result.")

    def __post_init__(self) -> None:
        if not isinstance(self.k, str):
            make_integers(self, "k")
        make_integers(self, "min_cluster_size", "min_samples", "n_init", "seed")
        make_numbers(self, "cluster_selection_epsilon")
        make_booleans(self, "assign_noise", "name_clusters")
        if self.vocabulary is not None:
            object.__setattr__(self, "vocabulary", os.fspath(self.vocabulary))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How an encoder is built, trained and exported."""

    recipe: str | None = option(
        None, "What to build and how to train it; by default the data set's own recipe.", metavar="NAME|FILE.toml"
    )
    refine: int | Literal["auto"] | None = option(
        None, "Train until the codes form K clusters; auto estimates their number.", metavar="K|auto"
    )
    folds: int = option(0, "Cross-validate with this many folds and export the best; 0 for none.", minimum=0)
    epochs: int | None = option(None, "Replaces the recipe's number of epochs.", minimum=1)
    patience: int | None = option(
        None, "End after this many epochs without a lower validation loss; replaces the recipe's.", minimum=0
    )
    steps_per_epoch: int | None = option(None, "Batches that count as one epoch; replaces the recipe's.", minimum=0)
    limit: int | None = option(None, "Use at most this many images of each part, for a quick try.", minimum=2)
    image_size: int | None = option(
        None,
        "Side in pixels to which images of a folder are resized.",
        metavar="N",
        minimum=1,
        variable="IMGCLUSTER_TRAIN_ENCODER_IMAGE_SIZE",
    )
    data_dir: Path | None = option(None, "The folder with the published files, instead of a download.", metavar="DIR")
    name: str | None = option(
        None,
        "The encoder's name; by default the recipe's or the folder's, with my- if a bundled or hub encoder has it.",
    )
    output: Path | None = option(None, "The folder for the files; by default your encoder folder.", metavar="DIR")
    resume: bool = option(False, "Continue an earlier training, as without this option; warns if there is none.")
    fresh: bool = option(False, "Start over, and replace the checkpoints and results of an earlier training.")
    seed: int | None = option(None, "Replaces the recipe's seed.", minimum=0)
    device: str = option("auto", "auto, cpu, cuda or mps.", metavar="DEVICE")

    def __post_init__(self) -> None:
        if self.refine != "auto":
            make_integers(self, "refine")
        make_integers(self, "folds", "epochs", "patience", "steps_per_epoch", "limit", "image_size", "seed")
        make_booleans(self, "resume", "fresh")
        if self.resume and self.fresh:
            raise UsageError("--resume continues an earlier training and --fresh replaces it; leave one of them out")


def check_precision(precision: str) -> None:
    """Check the value of ``--precision``.

    Raises:
        UsageError: It is neither ``auto`` nor a precision.
    """
    from imgcluster.types import PRECISIONS

    if precision not in ("auto", *PRECISIONS):
        raise UsageError(f"--precision {precision} is unknown; choose auto, {', '.join(PRECISIONS)}")


def _bytes(size: str) -> int:
    """Return the number of bytes that a text such as ``4G`` or ``500M`` names.

    Raises:
        UsageError: It names none.
    """
    match = _SIZE.fullmatch(size)
    number = int(float(match["number"]) * 1024 ** " KMGT".index((match["unit"] or " ").upper())) if match else 0
    if number < LEAST_MEMORY:
        raise UsageError(f"--memory {size} is not allowed; give at least 16M, such as 500M or 4G")
    return number
