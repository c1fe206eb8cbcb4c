"""Measuring the clusters of a workspace, where images that are set aside represent none."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

from imgcluster.commands.support.placed_files import are_set_aside
from imgcluster.evaluation.internal import measure
from imgcluster.evaluation.types import Measures
from imgcluster.types import Labels
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_metric
from imgcluster.workspace.shards import Embeddings

__all__ = ["measure_clusters"]


def measure_clusters(
    workspace: Workspace,
    manifest: dict[str, Any],
    embeddings: Embeddings,
    labels: Labels,
    *,
    leaving: Container[str] = (),
) -> Measures:
    """Return the measures of clusters.

    Args:
        workspace: The workspace.
        manifest: Its manifest.
        embeddings: Those of its images, normalized.
        labels: ``int64 (n,)``; −1 is noise.
        leaving: The locations of images that will be set aside, besides those that are.
    """
    set_aside = are_set_aside(workspace, embeddings)
    set_aside |= np.array([location in leaving for location in embeddings.locations], dtype=bool)
    order = embeddings.content_order
    return measure(embeddings.vectors, labels, encoder_metric(manifest), order=order, set_aside=set_aside)
