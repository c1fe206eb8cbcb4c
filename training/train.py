"""Training an encoder from a recipe and a data set to the exported files: what ``imgcluster train-encoder`` runs.

Everything is returned or written; nothing is printed. Beside ``NAME.onnx``, ``NAME.decoder.onnx``,
``NAME.md`` and ``NAME.png`` there is a folder ``NAME.training`` with checkpoints, histories, scores and
pictures.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from imgcluster.encoders.catalogue import user_folder
from imgcluster.encoders.decoder import DecoderInfo
from imgcluster.encoders.info import EncoderInfo
from imgcluster.errors import UsageError
from imgcluster.preprocessing import InputSpec
from imgcluster.store.atomic import write_json
from training.batches import fold_split, split_images
from training.cards import Card, write_card
from training.datasets import DATASET_NAMES, ImageSet, load_dataset
from training.devices import choose_device
from training.evaluation import ClusterScores, Scores, cluster_scores, encode, score
from training.export import export_decoder, export_encoder
from training.folders import load_folder
from training.folds import FoldSummary, cross_validate, fold_checkpoint, write_history
from training.gallery import draw_gallery
from training.loop import fit
from training.models import Autoencoder, count_parameters, model_for
from training.pictures import draw_curves
from training.progress import FitResult, Progress
from training.recipes import DEFAULT_RECIPES, Recipe, load_recipe, with_changes

__all__ = ["TrainResult", "train_encoder"]

_BYTE_SCALE: Final = 255.0
_VERSION_DIGITS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a training left.

    Attributes:
        name: The encoder's name, for ``--encoder``.
        encoder: The encoder's ONNX file.
        decoder: The decoder's.
        card: The card.
        folder: The folder with checkpoints, histories and pictures.
        fit: The training that was exported.
        test: Scores on the test images; None without any.
        clusters: k-means on the test codes against the labels; None without labels.
        folds: The cross-validation; None where none was asked for.
        unreadable: Files of the user's folder that could not be read.
    """

    name: str
    encoder: Path
    decoder: Path
    card: Path
    folder: Path
    fit: FitResult
    test: Scores | None
    clusters: ClusterScores | None
    folds: FoldSummary | None
    unreadable: int


def train_encoder(
    dataset: str,
    *,
    recipe: str | None = None,
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
        name: The encoder's name; the recipe's without one (of a folder, the folder's).
        output: Where the files go; the user's own encoder folder without one.
        data_dir: A folder that holds the published files; without one they are downloaded.
        folds: Cross-validate with so many folds, and export the encoder of the one with the lowest validation
            loss; 0 for none.
        epochs: Replaces the recipe's.
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
    changed = _changed(planned, epochs, steps_per_epoch, seed, image_size, limit)
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
    model = model_for(changed, images.train.shape, seed=seed_used)
    fitted = fit(
        model,
        split,
        changed,
        seed=seed_used,
        device=place,
        checkpoint=fold_checkpoint(folder, number),
        # A fold has just been trained, and is only read back.
        resume=resume or bool(folds),
        on_progress=on_progress,
    )
    test = score(model, split.test, changed, place) if len(split.test) else None
    clusters = None
    if split.test_labels is not None and len(np.unique(split.test_labels)) > 1:
        clusters = cluster_scores(encode(model, split.test, changed, place), split.test_labels, seed=0)
    _write_results(fitted, test, clusters, folder)
    picture = target / f"{title}.png"
    draw_gallery(model, split, images, changed, place, folder, picture)

    info = _describe(title, model, images, changed, fitted, test, clusters)
    encoder, decoder = target / f"{title}.onnx", target / f"{title}.decoder.onnx"
    counts = count_parameters(model)
    difference = export_encoder(model.encoder, info, encoder, mean=0.0, scale=_BYTE_SCALE)
    export_decoder(
        model.decoder,
        DecoderInfo(
            name=title,
            version=info.version,
            latent=info.embedding_size,
            prior="normal" if changed.model.code == "gaussian" else "none",
            content=changed.data.target,
        ),
        decoder,
    )
    card = Card(
        info=info,
        recipe=with_changes(changed, training={"seed": seed_used}),
        counts=counts,
        fit=fitted,
        planned=planned.training,
        trained_images=len(split.train),
        test=test,
        clusters=clusters,
        folds=summary,
        picture=picture.name,
        hardware=_hardware(place),
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
) -> Recipe:
    if limit is not None and limit < 2:
        raise UsageError(f"--limit {limit} is not possible; use at least 2 images")
    training: dict[str, Any] = {"epochs": epochs, "steps_per_epoch": steps_per_epoch, "seed": seed}
    data: dict[str, Any] = {"image_size": image_size}
    return with_changes(
        recipe,
        training={key: value for key, value in training.items() if value is not None},
        data={key: value for key, value in data.items() if value is not None},
    )


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


def _write_results(fitted: FitResult, test: Scores | None, clusters: ClusterScores | None, folder: Path) -> None:
    write_history(fitted.history, folder / "history.csv")
    draw_curves({"": fitted.history}, folder / "curves.png")
    content = {
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "seconds": round(fitted.seconds, 1),
        "test": _finite(test),
        "clusters": _finite(clusters),
    }
    write_json(folder / "scores.json", content)


def _finite(scores: Scores | ClusterScores | None) -> dict[str, float] | None:
    if scores is None:
        return None
    return {key: value for key, value in dataclasses.asdict(scores).items() if math.isfinite(value)}


def _describe(
    name: str,
    model: Autoencoder,
    images: ImageSet,
    recipe: Recipe,
    fitted: FitResult,
    test: Scores | None,
    clusters: ClusterScores | None,
) -> EncoderInfo:
    height, width, channels = images.train.shape
    said = [f"test MSE {test.mse:.5f}" if test is not None else f"training loss {fitted.history[-1].loss:.5f}"]
    if clusters is not None:
        said.append(
            f"k-means on the test codes: accuracy {clusters.hungarian_accuracy:.3f} (Hungarian), "
            f"{clusters.majority_accuracy:.3f} (majority class), NMI {clusters.nmi:.3f}"
        )
    return EncoderInfo(
        name=name,
        version=_version(model),
        embedding_size=recipe.model.latent,
        metric=recipe.export.metric,
        width=width,
        height=height,
        channels=1 if recipe.data.input == "grey" else channels,
        resize=recipe.data.resize,
        filter=recipe.data.filter,
        trained_on=images.description,
        score="; ".join(said),
        licence="Apache-2.0" if recipe.data.dataset != "folder" else "the user's own",
        source=f"imgcluster train-encoder, recipe {recipe.name}, {len(fitted.history)} epochs",
        decoder=f"{name}.decoder.onnx",
    )


def _version(model: Autoencoder) -> str:
    """Return a text that is another one whenever the weights are: embeddings of the two do not mix."""
    digest = hashlib.sha256()
    for key, value in model.state_dict().items():
        digest.update(key.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()[:_VERSION_DIGITS]


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}"
    return f"{torch.get_num_threads()} CPU threads ({platform.machine()}), PyTorch {torch.__version__}"
