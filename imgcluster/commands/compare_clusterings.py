"""`evaluate` for several workspaces or methods: their scores side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imgcluster.clustering import METHODS, Settings, choose_method
from imgcluster.clustering.run import cluster_embeddings
from imgcluster.commands.evaluate import FOLDERS, score_labeled
from imgcluster.commands.support.stored_workspace import local_workspace
from imgcluster.errors import UsageError
from imgcluster.evaluation.external import Interval
from imgcluster.fileio.path_text import Paths, path_list, to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import base_folder, encoder_metric, read_embeddings, read_results, with_options

__all__ = ["Comparison", "ComparisonRow", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One clustering; the scores are those of `evaluate.EvaluateSummary`."""

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
    """Clusterings scored against labels from one source."""

    labels: str
    rows: tuple[ComparisonRow, ...]


def compare(
    workspaces: Paths = DEFAULT_WORKSPACE,
    *,
    methods: str | Sequence[str] = (),
    labels: str | os.PathLike[str] = FOLDERS,
    k: int | None = None,
    assign_noise: bool = False,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> Comparison:
    """Score the clusterings of several workspaces, or several methods on each, against labels; nothing is written.

    Args:
        workspaces: A workspace folder, or several.
        methods: A method, or several, to cluster each workspace's embeddings with, under their default options; without
            any, the workspace's own clustering is scored.
        labels: As for `evaluate`.
        k: The number of clusters for k-means; estimated by default.
        assign_noise: Whether noise is assigned to the clusters of its nearest neighbors.
        seed: The seed of the methods.
        on_progress: Called with each step.

    Raises:
        UsageError: A method is unknown, or the labels match none of the images.
        WorkspaceError: A workspace contains nothing to score.
        ClusteringError: The images cannot be clustered with these options.
    """
    workspaces = path_list(workspaces)
    methods = [methods] if isinstance(methods, str) else methods
    if not workspaces:
        raise UsageError("no workspace to evaluate: name at least one")
    chosen = [METHODS[choose_method(method)] for method in methods]
    if k is not None and chosen and not any(method.takes_k for method in chosen):
        allowed = " or ".join(name for name, method in METHODS.items() if method.takes_k)
        raise UsageError(f"--k {k} is for none of these methods; add --method {allowed}, or omit --k")
    rows = []
    for path in workspaces:
        with local_workspace(path, on_progress) as folder:
            workspace = Workspace(folder)
            workspace.require_initialized()
            with workspace.locked(read_only=True) as manifest:
                encoder = manifest.get("encoder", {}).get("name", "")
                clusterings = _clusterings(workspace, manifest, methods, k, assign_noise, seed, on_progress)
                for method, locations, base, clusters in clusterings:
                    _, fields = score_labeled(clusters, locations, base, labels)
                    rows.append(ComparisonRow(workspace=workspace.name, encoder=encoder, method=method, **fields))
    return Comparison(labels=to_text(labels), rows=tuple(rows))


def _clusterings(
    workspace: Workspace,
    manifest: dict[str, Any],
    methods: Sequence[str],
    k: int | None,
    assign_noise: bool,
    seed: int,
    on_progress: OnProgress,
) -> Iterator[tuple[str, list[str], str, npt.NDArray[np.int64]]]:
    """Yield the method, locations, base folder and clusters of each clustering of a workspace."""
    if not methods:
        results = read_results(workspace, manifest)
        yield str(results.metrics.get("method", "")), results.locations, results.base, results.clusters
        return
    embeddings = read_embeddings(workspace, manifest)
    metric = encoder_metric(with_options(manifest, {}))
    for number, method in enumerate(methods):
        on_progress(Progress("compare", number, len(methods)))
        chosen = choose_method(method)
        takes_k, reduction = METHODS[chosen].takes_k, METHODS[chosen].reduction
        result = cluster_embeddings(
            embeddings.vectors,
            metric,
            method=chosen,
            reduction=reduction,
            settings=Settings.of(k if takes_k else None, seed=seed),
            assign=assign_noise,
            order=embeddings.content_order,
        )
        yield method, embeddings.locations, base_folder(manifest, embeddings), result.clustering.labels
