"""The request of `cluster`: its options, checked, and the clustering that they ask for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from imgcluster.clustering import METHODS, Settings, choose_method
from imgcluster.clustering.run import ReductionCache, cluster_embeddings
from imgcluster.clustering.settings import METHOD_OPTIONS
from imgcluster.clustering.types import ClusteringResult, check_level
from imgcluster.commands.support.naming import vocabulary_of
from imgcluster.features.reduce import choose_reduction
from imgcluster.options import ClusterOptions
from imgcluster.placement import PlaceMode, check_mode
from imgcluster.types import MapParts, check_metric
from imgcluster.workspace.results import encoder_metric
from imgcluster.workspace.shards import Embeddings

__all__ = ["ClusterRequest", "fit_clusters", "resolve"]

_NOT_OF_THE_FIT: Final = ("level", "place", "vocabulary", "name_clusters")


@dataclass(frozen=True, slots=True)
class ClusterRequest:
    """The options of a clustering, checked, with the method and the reduction that ``auto`` stands for."""

    options: ClusterOptions
    method: str
    reduction: str
    settings: Settings
    mode: PlaceMode | None

    @property
    def fit_options(self) -> dict[str, Any]:
        """The options that the fit depends on: all but the layer, the placement and the names."""
        values = dataclasses.asdict(self.options)
        return {name: value for name, value in values.items() if name not in _NOT_OF_THE_FIT}


def resolve(options: ClusterOptions, url: str | None = None) -> ClusterRequest:
    """Check options before anything is computed; `url` is the address of a workspace in object storage.

    Raises:
        UsageError: An option is not understood, or options contradict each other.
    """
    given = {name: getattr(options, name) for name in METHOD_OPTIONS}
    settings = Settings.of(options.k, seed=options.seed, **given)
    method = choose_method(options.method, options.k, **given)
    check_level(options.level)
    check_metric(options.metric)
    vocabulary_of(options.vocabulary)
    reduction = choose_reduction(options.reduce, METHODS[method].reduction)
    return ClusterRequest(options, method, reduction, settings, check_mode(options.place, url))


def fit_clusters(
    embeddings: Embeddings,
    manifest: dict[str, Any],
    request: ClusterRequest,
    *,
    reduction_cache: ReductionCache | None = None,
    map_parts: MapParts = map,
) -> ClusteringResult:
    """Return the clustering of a request, before clusters are numbered and decisions applied.

    `reduction_cache` and `map_parts` are those of `cluster_embeddings`.
    """
    return cluster_embeddings(
        embeddings.vectors,
        encoder_metric(manifest),
        method=request.method,
        reduction=request.reduction,
        settings=request.settings,
        assign=request.options.assign_noise,
        order=embeddings.content_order,
        reduction_cache=reduction_cache,
        map_parts=map_parts,
    )
