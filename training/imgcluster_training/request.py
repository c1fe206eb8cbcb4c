"""Resolves a data set and options to a recipe, images, a name and folders."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcluster.encoders.named_encoders import NAMED_ENCODERS
from imgcluster.encoders.precision import split_precision
from imgcluster.encoders.registry import bundled_encoders, is_file_name, user_folder
from imgcluster.errors import UsageError
from imgcluster.fileio.path_text import to_text
from imgcluster.images.types import InputSpec
from imgcluster.options import TrainingOptions
from imgcluster.types import PRECISIONS
from imgcluster_training.cross_validation import fold_checkpoint
from imgcluster_training.data.datasets import DATASET_NAMES, ImageSet, load_dataset
from imgcluster_training.data.folders import load_folder
from imgcluster_training.devices import choose_device
from imgcluster_training.fit.loop import RunSettings
from imgcluster_training.progress import OnProgress
from imgcluster_training.recipe.parser import DEFAULT_RECIPES, load_recipe, with_changes
from imgcluster_training.recipe.schema import Recipe
from imgcluster_training.result_files import ResultFiles, is_training_folder
from imgcluster_training.train_model import first_checkpoint

__all__ = ["Request", "resolve_request"]

# Below the logger of the command line.
_LOG = logging.getLogger("imgcluster.training")

_OWN_PREFIX = "my-"
_MISLEADING = f"ends like the file of an encoder, a decoder or a precision (.onnx, .decoder, .{', .'.join(PRECISIONS)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A training, ready to run.

    Attributes:
        options: As given.
        planned: The recipe before changes by options.
        recipe: The recipe to carry out.
        images: The data set.
        unreadable: The number of the folder's images that could not be read.
        files: The encoder and the other results.
        run: Where and how to run it.
    """

    options: TrainingOptions
    planned: Recipe
    recipe: Recipe
    images: ImageSet
    unreadable: int
    files: ResultFiles
    run: RunSettings


def resolve_request(dataset: str, options: TrainingOptions, on_progress: OnProgress) -> Request:
    """Resolve the data set and the options of `train_encoder`; see there for the errors."""
    run = RunSettings(device=choose_device(options.device), replace_others=options.fresh, on_progress=on_progress)
    planned = _choose_recipe(dataset, options.recipe)
    recipe = _apply_options(planned, options)
    files = ResultFiles(options.output or user_folder(), _choose_name(dataset, recipe, options))
    files.require_own()
    _check_earlier(files, recipe, options)
    images, unreadable = _load_images(dataset, recipe, options.data_dir)
    return Request(
        options=options,
        planned=planned,
        recipe=recipe,
        images=images,
        unreadable=unreadable,
        files=files,
        run=run,
    )


def _check_earlier(files: ResultFiles, recipe: Recipe, options: TrainingOptions) -> None:
    """Say that an earlier training is continued, or that there is none to resume.

    Raises:
        UsageError: The earlier training has no checkpoint that `recipe` continues from.
    """
    folder = to_text(files.folder)
    if not is_training_folder(files.folder):
        if options.resume:
            _LOG.warning("there is no training in %s to resume, so it begins anew", folder)
    elif not options.fresh:
        first = first_checkpoint(recipe, fold_checkpoint(files.folder, 1))
        if not first.exists():
            raise UsageError(
                f"the training in {folder} has no {first.name} from which this recipe could continue; keep it and use "
                "another --name, or replace it with --fresh"
            )
        if not options.resume:
            _LOG.warning("the training in %s continues; --fresh replaces it, another --name keeps it", folder)


def _choose_name(dataset: str, recipe: Recipe, options: TrainingOptions) -> str:
    """Return the name that the options give, or else the folder's or the recipe's."""
    if options.name is not None:
        _check_plain(options.name, f"--name {options.name!r}")
        # In the user's folder the other encoder would hide it; other folders are given as a path anyway.
        if _is_taken(options.name) and (options.output or user_folder()).resolve() == user_folder().resolve():
            raise UsageError(
                f"--name {options.name} is the name of a bundled encoder or one of the hub, which would hide the new "
                f"one; use another name, such as {_OWN_PREFIX}{options.name}, or another folder with --output"
            )
        return options.name
    if recipe.data.dataset == "folder" and options.recipe is None:
        name = Path(dataset).resolve().name
        if not name:
            raise UsageError(f"--dataset {dataset} has no name for the encoder; give one with --name")
        if _is_misleading(name):
            raise UsageError(f"--dataset {dataset}: {name} {_MISLEADING}; give another name with --name")
        if not name.isprintable():
            raise UsageError(
                f"--dataset {to_text(dataset)}: the folder's name has characters that an encoder's name cannot have; "
                "give another name with --name"
            )
    else:
        name = recipe.export.name or recipe.name
        _check_plain(name, f"recipe {recipe.name}: export.name = {name!r}")
    return f"{_OWN_PREFIX}{name}" if _is_taken(name) else name


def _check_plain(name: str, given: str) -> None:
    if not name or name != Path(name).name or name.startswith(".") or not name.isprintable():
        raise UsageError(f"{given} is not allowed; give a plain name, and the folder with --output")
    if _is_misleading(name):
        raise UsageError(f"{given} {_MISLEADING}; give another name")


def _is_misleading(name: str) -> bool:
    """Return whether ``--encoder NAME`` would mean a file, or ``NAME.onnx`` a decoder or another precision."""
    return is_file_name(name) or name.endswith(".decoder") or split_precision(name)[0] != name


def _is_taken(name: str) -> bool:
    """Return whether ``--encoder NAME`` means another encoder than the user's own."""
    return name in bundled_encoders() or name in NAMED_ENCODERS


def _choose_recipe(dataset: str, name: str | None) -> Recipe:
    if dataset not in DATASET_NAMES and not Path(dataset).is_dir():
        raise UsageError(
            f"--dataset {dataset} is neither a data set ({', '.join(DATASET_NAMES)}) nor a folder of images"
        )
    recipe = load_recipe(name or DEFAULT_RECIPES.get(dataset, "folder"))
    if dataset not in DATASET_NAMES:
        return with_changes(recipe, data={"dataset": "folder"})
    if recipe.data.dataset != dataset:
        # The recipe of another data set may fit (MNIST's for Fashion-MNIST); building the model shows whether it does.
        return with_changes(recipe, data={"dataset": dataset, "image_size": 0, "channels": 0})
    return recipe


def _apply_options(recipe: Recipe, options: TrainingOptions) -> Recipe:
    autoencoder = {"patience": options.patience, "steps_per_epoch": options.steps_per_epoch}
    for name, value in autoencoder.items():
        if value and not recipe.model.decoder:
            raise UsageError(
                f"--{name.replace('_', '-')} {value} is for autoencoders, but recipe {recipe.name} has no decoder and "
                "is trained by its stages; leave the option out"
            )
    training = {"epochs": options.epochs, "seed": options.seed, **autoencoder}
    cluster: dict[str, Any] = {"clusters": options.refine}
    if options.epochs is not None and not recipe.model.decoder:
        first, *others = recipe.cluster.stages
        cluster["stages"] = [{**dict(first), "epochs": options.epochs}, *others]
    changes = {"training": training, "data": {"image_size": options.image_size}, "cluster": cluster}
    given = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in changes.items()
    }
    return with_changes(recipe, **given)


def _load_images(dataset: str, recipe: Recipe, data_dir: Path | None) -> tuple[ImageSet, int]:
    data = recipe.data
    if dataset in DATASET_NAMES:
        if data.image_size:
            raise UsageError(f"--image-size is for folders of images; {dataset} has its own image size")
        return load_dataset(dataset, data_dir=data_dir, seed=recipe.training.seed), 0
    if not data.image_size or not data.channels:
        raise UsageError(
            f"recipe {recipe.name} does not give the image size for a folder of images; set data.image_size and "
            "data.channels in it, or use --recipe folder"
        )
    size = data.image_size
    spec = InputSpec(width=size, height=size, channels=data.channels, resize=data.resize, filter=data.filter)
    return load_folder(Path(dataset), spec)
