"""Training an encoder from a recipe and a data set to the exported files: what ``imgcluster train-encoder`` runs.

Everything is returned or written; nothing is printed. Beside ``NAME.onnx``, ``NAME.decoder.onnx``,
``NAME.md`` and ``NAME.png`` there is a folder ``NAME.training`` with checkpoints, histories, scores and
pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from imgcluster.encoders.decoder import DecoderInfo
from imgcluster.encoders.registry import user_folder
from imgcluster.errors import UsageError
from imgcluster.types import InputSpec
from training.batches import fold_split, split_images
from training.cards import Card, write_card
from training.clustering.refine import Refinement
from training.datasets import DATASET_NAMES, ImageSet, load_dataset
from training.devices import choose_device
from training.evaluation import ClusterScores, Scores, cluster_scores, encode, score
from training.export import export_decoder, export_encoder
from training.folders import load_folder
from training.folds import FoldSummary, cross_validate, fold_checkpoint
from training.gallery import draw_clusters, draw_gallery
from training.models import count_parameters
from training.progress import FitResult, Progress
from training.recipes import DEFAULT_RECIPES, Clusters, Recipe, load_recipe, with_changes
from training.results import describe, hardware, write_results
from training.trained import train_model

__all__ = ["TrainResult", "train_encoder"]

_BYTE_SCALE: Final = 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a training left.

    Attributes:
        name: The encoder's name, for ``--encoder``.
        encoder: The encoder's ONNX file.
        decoder: The decoder's; None where none belongs to the encoder.
        card: The card.
        folder: The folder with checkpoints, histories and pictures.
        fit: The autoencoder's training that was exported; without epochs where the recipe has no decoder.
        refinement: The stages after it; None without any.
        test: Scores on the test images; None without any, or without a decoder.
        clusters: k-means on the test codes against the labels; None without labels.
        folds: The cross-validation; None where none was asked for.
        unreadable: Files of the user's folder that could not be read.
    """

    name: str
    encoder: Path
    decoder: Path | None
    card: Path
    folder: Path
    fit: FitResult
    refinement: Refinement | None
    test: Scores | None
    clusters: ClusterScores | None
    folds: FoldSummary | None
    unreadable: int


def train_encoder(
    dataset: str,
    *,
    recipe: str | None = None,
    refine: Clusters | None = None,
    name: str | None = None,
    output: Path | None = None,
    data_dir: Path | None = None,
    folds: int = 0,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    limit: int | None = None,
    image_size: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train, score and export an encoder.

    Args:
        dataset: ``mnist``, ``fashion-mnist``, ``cifar10``, ``strokes``, or a folder of images.
        recipe: A recipe's name or TOML file; the data set's default without one.
        refine: Into how many clusters the codes are made to fall by the recipe's ``[cluster]`` stages; ``auto``
            for as many as are found. Replaces the recipe's.
        name: The encoder's name; the recipe's without one (of a folder, the folder's).
        output: Where the files go; the user's own encoder folder without one.
        data_dir: A folder that holds the published files; without one they are downloaded.
        folds: Cross-validate with so many folds, and export the encoder of the one with the lowest validation
            loss; 0 for none.
        epochs: Replaces the recipe's; without a decoder, those of the first stage.
        steps_per_epoch: Replaces the recipe's.
        limit: Use this many images of each part at most, for a quick try.
        image_size: Sides in pixels that a folder's images are brought to; replaces the recipe's.
        seed: Replaces the recipe's.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: Go on from the checkpoints in the folder ``NAME.training``.
        on_progress: Called after every batch.

    Raises:
        UsageError: An option, or a key or value in the recipe, is wrong.
        DatasetError: The data are missing or damaged.
        NoImagesError: The folder holds no image that can be read.
        DeviceError: The device does not run here.
        TrainingError: The training diverged, or its checkpoint is another's.
        EncoderError: The exported files do not agree with torch.
    """
    if name is not None and (not name or name != Path(name).name or name.startswith(".")):
        raise UsageError(f"--name {name!r} is not possible; give a plain name, and the folder with --output")
    place = choose_device(device)
    planned = _choose_recipe(dataset, recipe)
    changed = _changed(planned, epochs, steps_per_epoch, seed, image_size, limit, refine)
    images, unreadable = _load(dataset, changed, data_dir)
    title = name or (images.name if changed.data.dataset == "folder" and recipe is None else changed.encoder_name)
    target = output or user_folder()
    folder = target / f"{title}.training"

    summary, number, seed_used = None, 1, changed.training.seed
    if folds:
        summary = cross_validate(
            images,
            changed,
            folds=folds,
            folder=folder,
            device=place,
            resume=resume,
            limit=limit,
            on_progress=on_progress,
        )
        number, seed_used = summary.best.fold, changed.training.seed + summary.best.fold - 1
        split = fold_split(images, changed, fold=number - 1, folds=folds, limit=limit)
    else:
        split = split_images(images, changed, limit=limit)
    trained = train_model(
        split,
        changed,
        seed=seed_used,
        device=place,
        checkpoint=fold_checkpoint(folder, number),
        # A fold has just been trained, and is only read back.
        resume=resume or bool(folds),
        on_progress=on_progress,
    )
    model, fitted, refinement, decodes = trained.model, trained.fit, trained.refinement, trained.decodes
    test = score(model, split.test, changed, place) if decodes and len(split.test) else None
    clusters = None
    if split.test_labels is not None and len(np.unique(split.test_labels)) > 1:
        clusters = cluster_scores(
            encode(model, split.test, changed, place),
            split.test_labels,
            cosine=changed.metric == "cosine",
            seed=0,
        )
    write_results(fitted, refinement, test, clusters, folder)
    picture = target / f"{title}.png"
    if decodes:
        draw_gallery(model, split, images, changed, place, folder, picture)
    else:
        draw_clusters(model, split, changed, refinement.clusters if refinement else 0, place, picture)

    decoder = target / f"{title}.decoder.onnx" if decodes else None
    info = describe(title, model, images, changed, fitted, refinement, test, clusters, decoder)
    encoder = target / f"{title}.onnx"
    counts = count_parameters(model if decodes else model.encoder)
    difference = export_encoder(model.encoder, info, encoder, mean=0.0, scale=_BYTE_SCALE)
    if decoder is not None:
        described = DecoderInfo(
            name=title,
            version=info.version,
            latent=info.embedding_size,
            prior="normal" if changed.model.code == "gaussian" else "none",
            content=changed.data.target,
        )
        export_decoder(model.decoder, described, decoder)
    card = Card(
        info=info,
        recipe=with_changes(changed, training={"seed": seed_used}),
        counts=counts,
        fit=fitted,
        refinement=refinement,
        planned=planned,
        trained_images=len(split.train),
        test=test,
        clusters=clusters,
        folds=summary,
        picture=picture.name,
        hardware=hardware(place),
        difference=difference,
    )
    write_card(card, target / f"{title}.md")
    return TrainResult(
        name=title,
        encoder=encoder,
        decoder=decoder,
        card=target / f"{title}.md",
        folder=folder,
        fit=fitted,
        refinement=refinement,
        test=test,
        clusters=clusters,
        folds=summary,
        unreadable=unreadable,
    )


def _choose_recipe(dataset: str, recipe: str | None) -> Recipe:
    chosen = load_recipe(recipe or DEFAULT_RECIPES.get(dataset, "folder"))
    known = dataset in DATASET_NAMES
    if known and chosen.data.dataset != dataset:
        # Another set's recipe may fit (MNIST's on Fashion-MNIST); whether it does, the blocks will tell.
        chosen = with_changes(chosen, data={"dataset": dataset, "image_size": 0, "channels": 0})
    if not known:
        if not Path(dataset).is_dir():
            raise UsageError(
                f"--dataset {dataset} is neither a data set ({', '.join(DATASET_NAMES)}) nor a folder of images"
            )
        chosen = with_changes(chosen, data={"dataset": "folder"})
    return chosen


def _changed(
    recipe: Recipe,
    epochs: int | None,
    steps_per_epoch: int | None,
    seed: int | None,
    image_size: int | None,
    limit: int | None,
    clusters: Clusters | None,
) -> Recipe:
    if limit is not None and limit < 2:
        raise UsageError(f"--limit {limit} is not possible; use at least 2 images")
    training: dict[str, Any] = {"epochs": epochs, "steps_per_epoch": steps_per_epoch, "seed": seed}
    cluster: dict[str, Any] = {"clusters": clusters}
    if epochs is not None and not recipe.model.decoder:
        first, *others = recipe.cluster.stages
        cluster["stages"] = (dataclasses.replace(first, epochs=epochs), *others)
    changes = {"training": training, "data": {"image_size": image_size}, "cluster": cluster}
    kept = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in changes.items()
    }
    return with_changes(recipe, **kept)


def _load(dataset: str, recipe: Recipe, data_dir: Path | None) -> tuple[ImageSet, int]:
    if dataset in DATASET_NAMES:
        if recipe.data.image_size:
            raise UsageError(f"--image-size is for folders of images; those of {dataset} have their own size")
        return load_dataset(dataset, data_dir=data_dir, seed=recipe.training.seed), 0
    size, channels = recipe.data.image_size, recipe.data.channels
    if not size or not channels:
        raise UsageError(
            f"recipe {recipe.name} does not say which size folders of images are brought to; "
            "set data.image_size and data.channels in it, or use --recipe folder"
        )
    spec = InputSpec(width=size, height=size, channels=channels, resize=recipe.data.resize, filter=recipe.data.filter)
    return load_folder(Path(dataset), spec)
