"""Which pictures a trained model is shown by, depending on what its recipe makes of images and codes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch

from imgcluster.features.duplicate_vectors import count_distinct
from imgcluster.features.normalize import normalise
from imgcluster.images.arrays import merge_chrominance
from training.archives import Labels
from training.batches import Split, Subset
from training.clustering.centres import kmeans
from training.datasets import Images, ImageSet
from training.evaluation import encode, reconstruct
from training.metrics import Floats
from training.models import Autoencoder
from training.pictures import (
    draw_filters,
    draw_grid,
    draw_latent_plane,
    draw_rows,
    draw_side_by_side,
)
from training.recipes import Recipe

__all__ = ["draw_clusters", "draw_gallery"]

_PICTURED: Final = 8
_GENERATED: Final = 64
_ROW: Final = 12
_SCATTERED: Final = 6000  # as many points as reference C plots


def draw_gallery(
    model: Autoencoder,
    split: Split,
    images: ImageSet,
    recipe: Recipe,
    device: torch.device,
    folder: Path,
    picture: Path,
) -> None:
    """Draw what suits the recipe.

    `picture` shows originals beside reconstructions (a row per image; a column for codes of two values, as
    reference C does), corrupted–restored–original for denoisers, grey–coloured–original for colourisers. In
    `folder` go the first layer's filters, the plane of a two-valued code, and images made by a variational decoder.
    """
    shown = split.test if len(split.test) else split.train
    triples = reconstruct(model, _examples(shown, split.test_labels), recipe, device)
    made, wanted = triples.made, triples.wanted
    if recipe.data.target == "chrominance":
        made, wanted = merge_chrominance(triples.seen, made), merge_chrominance(triples.seen, wanted)
    if recipe.data.input == "grey":
        columns = {"grey": triples.seen, "coloured": made, "original": wanted}
    elif recipe.corruption:
        columns = {"corrupted": triples.seen, "restored": made, "original": wanted}
    else:
        columns = {"original": wanted, "reconstruction": made}
    draw_side_by_side(columns, picture, upright=recipe.model.latent == 2)
    first = next(part for part in model.encoder.modules() if isinstance(part, torch.nn.Conv2d | torch.nn.Linear))
    if isinstance(first, torch.nn.Conv2d):
        draw_filters(first.weight.detach().cpu().numpy(), folder / "filters.png")
    if recipe.model.latent == 2:
        few = _first(shown, _SCATTERED)
        labels = None if split.test_labels is None else split.test_labels[: len(few)]
        draw_latent_plane(encode(model, few, recipe, device), labels, images.classes, folder / "latent.png")
    if recipe.model.code == "gaussian":
        draw_grid(_generated(model, recipe.model.latent, device), folder / "generated.png")


def draw_clusters(
    model: Autoencoder, split: Split, recipe: Recipe, clusters: int, device: torch.device, picture: Path
) -> None:
    """Draw a row per cluster that k-means finds among the codes: the images nearest its centre, nearest first."""
    shown = _first(split.test if len(split.test) else split.train, _SCATTERED)
    codes = encode(model, shown, recipe, device)
    if recipe.metric == "cosine":
        codes = normalise(codes)
    found = kmeans(codes, count_distinct(codes, clusters or _PICTURED), seed=0)
    distances = np.square(codes[:, np.newaxis] - found.centres).sum(axis=2)
    width = min(_ROW, len(shown))
    rows = [shown.take(np.argsort(distances[:, number], kind="stable")[:width]) for number in range(len(found.centres))]
    draw_rows(np.stack(rows).astype(np.float32) / np.float32(255), picture)


@torch.no_grad()
def _generated(model: Autoencoder, latent: int, device: torch.device) -> Floats:
    codes = torch.randn(_GENERATED, latent, generator=torch.Generator().manual_seed(0)).to(device)
    made: Floats = model.decoder(codes).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return made


def _examples(images: Images, labels: Labels | None) -> Images:
    """Return one image of each class where classes are known, else the first few."""
    if labels is None or len(labels) != len(images):
        return _first(images, _PICTURED)
    _, places = np.unique(labels, return_index=True)
    return Subset(images, np.asarray(places, dtype=np.int64))


def _first(images: Images, count: int) -> Images:
    return Subset(images, np.arange(min(count, len(images))))
