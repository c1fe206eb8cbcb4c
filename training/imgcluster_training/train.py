"""Trains an encoder by a recipe and exports it: what ``imgcluster train-encoder`` runs. Nothing is printed.

``NAME.onnx``, ``NAME.decoder.onnx``, ``NAME.md`` and ``NAME.png`` are written, and a folder ``NAME.training`` with
checkpoints, histories, scores and pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from imgcluster.options import TrainingOptions
from imgcluster_training.cross_validation import FoldSummary, check_folds, cross_validate, fold_checkpoint
from imgcluster_training.data.splits import fold_split, split_images
from imgcluster_training.deep_clustering.refine import Refinement, check_enough_images
from imgcluster_training.errors import TrainingError
from imgcluster_training.export.to_onnx import ExportedModel, export_model
from imgcluster_training.memory import keep_freed_memory
from imgcluster_training.models.autoencoder import count_parameters, model_for
from imgcluster_training.progress import FitResult, OnProgress, ignore_progress
from imgcluster_training.recipe.parser import with_changes
from imgcluster_training.reporting.card import Card, write_card
from imgcluster_training.reporting.gallery import draw_gallery
from imgcluster_training.reporting.results import describe_encoder, describe_hardware, write_results
from imgcluster_training.reporting.scores import ClusterScores, Evaluation, Scores, evaluate
from imgcluster_training.request import Request, resolve_request
from imgcluster_training.train_model import TrainedModel, train_model

__all__ = ["TrainResult", "train_encoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """The result of a training.

    Attributes:
        name: The encoder's name, for ``--encoder``.
        encoder: The encoder's ONNX file.
        decoder: The decoder's; None if no decoder fits the encoder.
        card: The model card.
        folder: The folder with checkpoints, histories and pictures.
        fit: The training of the exported autoencoder; without epochs if the recipe has no decoder.
        refinement: The deep-clustering stages; None without any.
        test: Scores on the test images; None without any, or without a decoder.
        clusters: K-means on the test codes, compared with the labels; None without labels.
        folds: The cross-validation; None without one.
        unreadable: The number of the folder's images that could not be read.
        options: The options it was called with.
        note: What to do about poor reconstructions; empty if they are not.
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
    options: TrainingOptions
    note: str


def train_encoder(
    dataset: str, options: TrainingOptions | None = None, *, on_progress: OnProgress | None = None
) -> TrainResult:
    """Train, score and export an encoder.

    With glibc, the process then keeps the memory it frees (`keep_freed_memory`).

    Args:
        dataset: ``mnist``, ``fashion-mnist``, ``cifar10``, ``strokes``, or a folder of images.
        options: Everything else; None for the defaults.
        on_progress: Called after every batch.

    Raises:
        UsageError: An option, or a key or value in the recipe, is wrong.
        DatasetError: The data set is missing or damaged.
        NoImagesError: The folder has no readable image.
        DeviceError: The device is not available.
        TrainingError: The training diverged, a checkpoint belongs to another training, or there is not enough memory.
        EncoderError: The exported files do not agree with torch.
        OSError: Files cannot be written to the folder.
    """
    request = resolve_request(dataset, options or TrainingOptions(), on_progress or ignore_progress)
    files = request.files
    files.create_folders()
    if request.options.fresh:
        _check(request)
        files.start_over()
    keep_freed_memory()
    try:
        trained, evaluation, folds = _train_and_score(request)
    except RuntimeError as error:
        # On CPUs, torch has no exception of its own for this.
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise TrainingError(
            "not enough memory for this model and these images; lower --image-size or training.batch_size, or make "
            "the layers smaller"
        ) from None
    write_results(trained, evaluation, files.folder)
    draw_gallery(trained, request.images, request.recipe, request.run.device, files.folder, files.picture)
    exported = _export(request, trained, evaluation)
    _write_card(request, trained, evaluation, folds, exported)
    files.finish()
    return TrainResult(
        name=files.name,
        encoder=exported.encoder,
        decoder=exported.decoder,
        card=files.card,
        folder=files.folder,
        fit=trained.fit,
        refinement=trained.refinement,
        test=evaluation.test,
        clusters=evaluation.clusters,
        folds=folds,
        unreadable=request.unreadable,
        options=request.options,
        note="" if evaluation.test is None else evaluation.test.note,
    )


def _check(request: Request) -> None:
    """Raise the errors in recipe and options that the training would, before an earlier one is removed."""
    recipe, options = request.recipe, request.options
    if options.folds:
        check_folds(request.images, recipe)
        split = fold_split(request.images, recipe, fold=0, folds=options.folds, limit=options.limit)
    else:
        split = split_images(request.images, recipe, limit=options.limit)
    if recipe.refined:
        check_enough_images(split.train, recipe)
    model_for(recipe, split.train.shape, seed=recipe.training.seed)


def _train_and_score(request: Request) -> tuple[TrainedModel, Evaluation, FoldSummary | None]:
    recipe, run, options = request.recipe, request.run, request.options
    if options.folds:
        folds, trained, evaluation = cross_validate(
            request.images, recipe, run, folds=options.folds, folder=request.files.folder, limit=options.limit
        )
        return trained, evaluation, folds
    split = split_images(request.images, recipe, limit=options.limit)
    checkpoint = fold_checkpoint(request.files.folder, 1)
    trained = train_model(split, recipe, run, seed=recipe.training.seed, checkpoint=checkpoint)
    return trained, evaluate(trained, recipe, run.device), None


def _export(request: Request, trained: TrainedModel, evaluation: Evaluation) -> ExportedModel:
    files = request.files
    decoder = files.decoder if trained.decodes else None
    info = describe_encoder(files.name, trained, evaluation, request.images, request.recipe, decoder)
    return export_model(trained.model, info, request.recipe, files.encoder, decoder)


def _write_card(
    request: Request,
    trained: TrainedModel,
    evaluation: Evaluation,
    folds: FoldSummary | None,
    exported: ExportedModel,
) -> None:
    card = Card(
        info=exported.info,
        planned=request.planned,
        recipe=with_changes(request.recipe, training={"seed": trained.seed}),
        trained=trained,
        evaluation=evaluation,
        counts=count_parameters(trained.model if trained.decodes else trained.model.encoder),
        folds=folds,
        image_license=request.images.license,
        picture=request.files.picture.name,
        hardware=describe_hardware(request.run.device),
        difference=exported.difference,
    )
    write_card(card, request.files.card)
