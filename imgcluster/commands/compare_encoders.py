"""`compare`: the same images embedded and clustered with several encoders, side by side."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.commands.cluster import ClusterRow, cluster
from imgcluster.commands.doctor import images_per_second, random_images
from imgcluster.commands.embed import embed, prepare_search
from imgcluster.commands.evaluate import require_labels, score_labeled
from imgcluster.commands.support.cluster_request import resolve
from imgcluster.commands.support.naming import NO_VOCABULARY
from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.onnx_graph import graph_files
from imgcluster.encoders.registry import is_file_name
from imgcluster.errors import UsageError
from imgcluster.evaluation.external import adjusted_rand_index
from imgcluster.fileio.path_text import Paths, path_list, to_text
from imgcluster.options import ClusterOptions, EmbedOptions
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.workspace.folder import Workspace, is_workspace
from imgcluster.workspace.index import is_gone
from imgcluster.workspace.results import read_results
from imgcluster.workspace.shards import locations

__all__ = ["DEFAULT_FOLDER", "EncoderComparison", "EncoderRow", "compare_encoders", "recommend"]

DEFAULT_FOLDER: Final = "imgcluster-compare"

_EQUAL: Final = 0.01
"""Accuracies and stabilities that differ by less count as equal: then speed decides."""

_SCORES: Final = ("accuracy", "nmi", "ari", "purity")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderRow:
    """One encoder, and the clusters of its embeddings.

    Attributes:
        encoder: Its name.
        workspace: The workspace of its embeddings.
        device: The device it ran on.
        precision: The precision of its weights; empty if it has only one.
        images_per_second: Images that it encodes per second, without reading and decoding files.
        size: The size of its files in bytes.
        embedding_size: Values per image.
        images: Images that were clustered.
        clusters: The number of clusters.
        noise: Images in no cluster.
        stability: Mean bootstrap Jaccard stability of the clusters, weighted by their size; None if undefined.
        agreement: The mean adjusted Rand index of its clusters and those of each other encoder.
        accuracy: As in `evaluate`; None without labels, as are the next three.
        nmi: Normalized mutual information.
        ari: Adjusted Rand index with the labels.
        purity: Purity.
    """

    encoder: str
    workspace: str
    device: str
    precision: str
    images_per_second: float
    size: int
    embedding_size: int
    images: int
    clusters: int
    noise: int
    stability: float | None
    agreement: float
    accuracy: float | None
    nmi: float | None
    ari: float | None
    purity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderComparison:
    """Encoders side by side.

    Attributes:
        folder: The folder of the workspaces.
        labels: Where the labels came from; None without labels.
        rows: The encoders, in the given order.
        recommended: The name of the recommended encoder.
        recommendation: Which encoder is recommended, and why, in one sentence.
    """

    folder: str
    labels: str | None
    rows: tuple[EncoderRow, ...]
    recommended: str
    recommendation: str


@dataclass(frozen=True, slots=True)
class _Clusters:
    """The absolute paths of images, as texts, the cluster of each, and their common folder."""

    locations: list[str]
    labels: npt.NDArray[np.int64]
    base: str


def compare_encoders(
    paths: Paths,
    encoders: Paths,
    *,
    folder: str | os.PathLike[str] = DEFAULT_FOLDER,
    labels: str | os.PathLike[str] | None = None,
    embedding: EmbedOptions | None = None,
    clustering: ClusterOptions | None = None,
    on_progress: OnProgress = ignore_progress,
) -> EncoderComparison:
    """Embed and cluster the same images with several encoders; no files are placed.

    Each encoder has a workspace of its own in `folder`, so that repeating the command continues and computes only what
    is missing. With labels the most accurate encoder is recommended, without them the one with the most stable
    clusters; of those that are equal within 0.01, the fastest.

    Args:
        paths: As for `embed`.
        encoders: At least two, by name or file.
        folder: The folder for the workspaces.
        labels: As for `evaluate`; None for no scores.
        embedding: The options of `embed`; their encoder is not used.
        clustering: The options of `cluster`.
        on_progress: Called with each step.

    Raises:
        UsageError: There are fewer than two different encoders, `folder` is a workspace or holds other images, or the
            file of labels does not exist.
        ImgclusterError: Whatever `embed` and `cluster` raise.
    """
    paths, names = path_list(paths), [os.fspath(encoder) for encoder in path_list(encoders)]
    if len(set(names)) < max(2, len(names)):
        raise UsageError(f"a comparison needs two or more different encoders, given: {', '.join(names) or 'none'}")
    if is_workspace(folder):
        raise UsageError(
            f"{to_text(folder)} is a workspace; a comparison makes one per encoder: choose another folder with -w DIR"
        )
    if labels is not None:
        require_labels(labels)
    embedding = embedding or EmbedOptions()
    clustering = dataclasses.replace(clustering or ClusterOptions(), place="none", vocabulary=NO_VOCABULARY)
    resolve(clustering)
    folders = {name: Path(folder) / _folder_of(name) for name in names}
    for own in folders.values():
        _refuse_other_images(own, paths, embedding)
    rows, clusterings = [], []
    for name, own in folders.items():
        row, clusters = _measure(paths, name, own, embedding, clustering, labels, on_progress)
        rows.append(row)
        clusterings.append(clusters)
    agreements = [_agreement(one, [other for other in clusterings if other is not one]) for one in clusterings]
    rows = [dataclasses.replace(row, agreement=value) for row, value in zip(rows, agreements, strict=True)]
    best, reason = recommend(rows)
    return EncoderComparison(
        folder=to_text(folder),
        labels=None if labels is None else to_text(labels),
        rows=tuple(rows),
        recommended=best.encoder,
        recommendation=f"Recommended is {best.encoder}: {reason}.",
    )


def _folder_of(encoder: str) -> str:
    """Return the folder name for an encoder; files of one name in different folders get different ones."""
    if is_file_name(encoder):
        digest = hashlib.sha256(os.path.abspath(encoder).encode(errors="surrogateescape")).hexdigest()[:8]
        return f"{Path(encoder).stem}-{digest}"
    return re.sub(r"[^\w.-]+", "-", encoder.removeprefix("hub:"))


def _refuse_other_images(folder: Path, paths: Sequence[str | os.PathLike[str]], options: EmbedOptions) -> None:
    """Check that the workspace of an encoder has no image outside `paths`, which `embed` would leave in it.

    Raises:
        UsageError: It has one that exists.
    """
    workspace = Workspace(folder)
    if not workspace.is_initialized or options.fresh:
        return
    finder, _ = prepare_search(paths, workspace, (), options)
    scope = finder.scope()
    others = [file for file in locations(workspace.embeddings) if file not in scope and not is_gone(file)]
    if others:
        raise UsageError(
            f"{workspace.name} has images of an earlier comparison that are not in {', '.join(map(to_text, paths))}, "
            f"such as {min(others)}; choose another folder with -w DIR"
        )


def _measure(
    paths: Paths,
    encoder: str,
    folder: Path,
    embedding: EmbedOptions,
    clustering: ClusterOptions,
    labels: str | os.PathLike[str] | None,
    on_progress: OnProgress,
) -> tuple[EncoderRow, _Clusters]:
    """Return the row of one encoder, without its agreement with others, and its clusters."""
    embed(paths, workspace=folder, options=embedding, encoder=encoder, on_progress=on_progress)
    summary = cluster(workspace=folder, options=clustering, on_progress=on_progress)
    workspace = Workspace(folder)
    with workspace.locked(read_only=True) as manifest:
        results = read_results(workspace, manifest)
    scores: dict[str, Any] = {}
    if labels is not None:
        _, scores = score_labeled(results.clusters, results.locations, results.base, labels)
    model = PixelEncoder(
        encoder,
        device=str(manifest["embed"]["device"]),
        options=embedding.encoder_options,
        precision=str(manifest["encoder"].get("precision") or "auto"),
    )
    row = EncoderRow(
        encoder=to_text(encoder),
        workspace=workspace.name,
        device=model.device,
        precision=model.info.precision,
        images_per_second=images_per_second(model, random_images(model.info.input_spec)),
        size=sum(file.stat().st_size for file in graph_files(model.path)),
        embedding_size=model.info.embedding_size,
        images=summary.images,
        clusters=len(summary.clusters),
        noise=summary.noise,
        stability=_mean_stability(summary.clusters),
        agreement=0.0,
        **{name: scores.get(name) for name in _SCORES},
    )
    return row, _Clusters(results.locations, results.clusters, results.base)


def _mean_stability(rows: Sequence[ClusterRow]) -> float | None:
    """Return the mean stability of clusters, weighted by their size; None if it is undefined."""
    defined = [(row.stability, row.size) for row in rows if row.stability is not None]
    if not defined:
        return None
    return round(sum(value * size for value, size in defined) / sum(size for _, size in defined), 4)


def _agreement(clusters: _Clusters, others: Sequence[_Clusters]) -> float:
    """Return the mean adjusted Rand index with other clusterings, each on the images that both have."""
    values = []
    own = dict(zip(clusters.locations, clusters.labels.tolist(), strict=True))
    for other in others:
        pairs = [
            (own[location], label)
            for location, label in zip(other.locations, other.labels.tolist(), strict=True)
            if location in own
        ]
        values.append(adjusted_rand_index(*np.array(pairs, dtype=np.int64).reshape(-1, 2).T))
    return round(float(np.mean(values)), 4)


def recommend(rows: Sequence[EncoderRow]) -> tuple[EncoderRow, str]:
    """Return the recommended row and the reason, in words."""

    def merit(row: EncoderRow) -> float:
        value = row.accuracy if scored else row.stability
        return -1.0 if value is None else value

    scored = rows[0].accuracy is not None
    highest = max(map(merit, rows))
    equal = [row for row in rows if merit(row) >= highest - _EQUAL]
    best = max(equal, key=lambda row: row.images_per_second)
    if highest < 0:
        return best, "no stability is defined here, and it is the fastest"
    subject = f"the {'accuracy' if scored else 'stability'} of its clusters is {merit(best):.3f}"
    if len(equal) == 1:
        return best, f"{subject}, the highest"
    others = ", ".join(row.encoder for row in equal if row is not best)
    return (
        best,
        f"{subject}, equal within {_EQUAL} to {others}, and it is faster ({best.images_per_second:,.0f} images/s)",
    )
