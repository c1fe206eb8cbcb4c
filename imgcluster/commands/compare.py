"""`evaluate` of several workspaces or methods: their scores side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imgcluster.clustering import Settings, choose_method
from imgcluster.clustering.run import cluster_embeddings
from imgcluster.commands.evaluate import FOLDERS, read_labels, rounded
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.evaluation.external import Interval, intervals, score
from imgcluster.features.reduce import choose_reduction
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Metric
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_identity, read_results
from imgcluster.workspace.shards import load

__all__ = ["Comparison", "ComparisonRow", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One clustering: its workspace, encoder and method, and its scores as in `evaluate.EvaluateSummary`."""

    workspace: str
    encoder: str
    method: str
    images: int
    clusters: int
    noise: int
    accuracy: float
    accuracy_interval: Interval
    nmi: float
    nmi_interval: Interval
    ari: float
    ari_interval: Interval
    purity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Clusterings side by side, against labels of one kind."""

    labels: str
    rows: tuple[ComparisonRow, ...]


def compare(
    workspaces: Sequence[str | os.PathLike[str]] = (DEFAULT_WORKSPACE,),
    *,
    methods: Sequence[str] = (),
    labels: str | os.PathLike[str] = FOLDERS,
    k: int | None = None,
    assign_noise: bool = False,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> Comparison:
    """Score the clusterings of several workspaces, or several methods on each, against labels; nothing is written.

    Args:
        workspaces: The workspace folders.
        methods: Without any, each workspace's own clustering is scored; else its embeddings are clustered by
            each method, under that method's defaults.
        labels: As for `evaluate`.
        k: The number of clusters for k-means; found without it.
        assign_noise: Whether the methods' noise goes to the clusters of its neighbours.
        seed: For the methods.
        on_progress: Called with each step.

    Raises:
        UsageError: A method is unknown, or the labels name none of the images.
        WorkspaceError: A workspace holds nothing to score.
        ClusteringError: Images cannot be clustered as asked.
    """
    if not workspaces:
        raise UsageError("there is no workspace to evaluate: name one or more")
    for method in methods:
        choose_method(method, None)
    if k is not None and methods and not {"auto", "kmeans"} & set(methods):
        raise UsageError(f"--k {k} is for k-means, which is not among the methods; add --method kmeans, or drop --k")
    rows = []
    for place in workspaces:
        space = Workspace(place)
        encoder = space.manifest.get("encoder", {}).get("name", "")
        encoder_identity(space)  # refuses a folder that is not there, which the lock would make
        with space.locked():
            for method, locations, base, clusters in _clusterings(space, methods, k, assign_noise, seed, on_progress):
                told = read_labels(labels, locations, base)
                known = [index for index, location in enumerate(locations) if location in told]
                scores = score(clusters[known], [told[locations[index]] for index in known])
                sure = intervals(scores)
                rows.append(
                    ComparisonRow(
                        workspace=to_text(space.path),
                        encoder=encoder,
                        method=method,
                        images=len(known),
                        clusters=sum(number >= 0 for number in scores.clusters),
                        noise=int((clusters[known] < 0).sum()),
                        accuracy=round(scores.accuracy, 4),
                        accuracy_interval=rounded(sure.accuracy),
                        nmi=round(scores.nmi, 4),
                        nmi_interval=rounded(sure.nmi),
                        ari=round(scores.ari, 4),
                        ari_interval=rounded(sure.ari),
                        purity=round(scores.purity, 4),
                    )
                )
    return Comparison(labels=to_text(labels), rows=tuple(rows))


_Clustered = tuple[str, list[str], str, npt.NDArray[np.int64]]


def _clusterings(
    space: Workspace, methods: Sequence[str], k: int | None, assign_noise: bool, seed: int, on_progress: OnProgress
) -> Iterator[_Clustered]:
    """Yield method, locations, base and clusters."""
    if not methods:
        results = read_results(space)
        yield str(results.metrics.get("method", "")), results.locations, results.base, results.clusters
        return
    manifest = space.manifest
    embeddings = load(space.embeddings, encoder_identity(space))
    if not embeddings.locations:
        raise WorkspaceError(f"{space.path} holds no embeddings yet: run imgcluster embed PATH first")
    metric: Metric = manifest["encoder"].get("metric", "cosine")
    for number, method in enumerate(methods):
        on_progress(Progress("compare", number, len(methods)))
        wanted = k if method in ("auto", "kmeans") else None
        chosen = choose_method(method, wanted)
        kept = cluster_embeddings(
            embeddings.vectors,
            metric,
            method=chosen,
            reduction=choose_reduction("auto", chosen),
            settings=Settings.of(wanted, seed=seed),
            assign=assign_noise,
            order=embeddings.content_order,
        )
        yield method, embeddings.locations, str(manifest.get("base", "")), kept.clustering.labels
