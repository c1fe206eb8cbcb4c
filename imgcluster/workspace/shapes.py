"""The shapes of a workspace's JSON files, which are checked when they are read; see `schema`.

They contain what imgcluster uses. Fields that were added later are optional.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from imgcluster.types import Metric, PlaceMode

__all__ = ["MANIFEST", "METRICS", "SHARD", "SOURCE", "STEP", "UNDOING"]

_COUNT: Final = range(2**31)
_SEED: Final = range(2**32)
_METRIC: Final = frozenset(get_args(Metric))
_PLACE: Final = frozenset(get_args(PlaceMode))
_PLAIN: Final = (None, bool, int, float, str, [(int, float, str)])

_OPTIONS: Final[dict[str, Any]] = {
    "k?": (None, int, str),
    "method?": str,
    "min_cluster_size?": (None, _COUNT),
    "min_samples?": (None, _COUNT),
    "cluster_selection_method?": (None, str),
    "cluster_selection_epsilon?": (None, float),
    "n_init?": (None, _COUNT),
    "metric?": (None, _METRIC),
    "reduce?": str,
    "level?": (None, int, str),
    "assign_noise?": bool,
    "place?": (None, _PLACE),
    "vocabulary?": (None, str),
    "name_clusters?": bool,
    "seed": _SEED,
}

_ENCODER: Final = {
    "identity?": str,
    "name": str,
    "file?": str,
    "version?": str,
    "embedding_size?": _COUNT,
    "metric?": _METRIC,
    "width?": _COUNT,
    "height?": _COUNT,
    "channels?": _COUNT,
    "resize?": str,
    "filter?": str,
    "crop_fraction?": float,
    "resize_edge?": _COUNT,
    "trained_on?": str,
    "score?": str,
    "licence?": str,
    "source?": str,
    "decoder?": str,
    "refined?": str,
    "output?": str,
    "precision?": str,
}

MANIFEST: Final = {
    "format?": int,
    "state?": str,
    "imgcluster?": str,
    "encoder?": _ENCODER,
    "base?": str,
    "fingerprint?": str,
    "roots?": [str],
    "counts?": {"found": _COUNT, "embedded": _COUNT, "skipped": _COUNT},
    "embed?": {"device?": str, "options?": {str: _PLAIN}},
    "joining?": str,
    "joined?": {"before": str, "after": str},
    "cluster?": {"options?": {**_OPTIONS, "seed?": _SEED}},
}

# The manifest of a workspace that is complete, and that of a shard, when they are joined.
SOURCE: Final = {
    "encoder": {**_ENCODER, "identity": str},
    "base": str,
    "roots": [str],
    "counts": {"found": _COUNT, "embedded": _COUNT, "skipped": _COUNT},
    "embed?": {"paths?": [str], "device?": str, "ignored?": _COUNT, "paired?": _COUNT},
}

SHARD: Final = {
    **SOURCE,
    "shard": {"number": _COUNT, "count": range(1, 2**31)},
    "request": {"before": str, "fresh": bool, str: object},
    "rows": _COUNT,
    "summary": {
        **dict.fromkeys(("workspace", "encoder", "device", "shard"), str),
        **dict.fromkeys(("found", "embedded", "skipped", "new", "changed", "unchanged", "vanished"), _COUNT),
        **dict.fromkeys(("renamed", "ignored", "paired"), _COUNT),
        **dict.fromkeys(("seconds", "images_per_second"), float),
        "roots": [str],
        "passed_over": [[str]],
        "notes": [str],
    },
}

METRICS: Final = {
    "imgcluster?": str,
    "fingerprint?": str,
    "base?": str,
    "options": _OPTIONS,
    "method": str,
    "reduction": str,
    "parameters": {str: _PLAIN},
    "clusters": _COUNT,
    "images": range(1, 2**31),
    "noise": _COUNT,
    "layers": [_COUNT],
    "layer": _COUNT,
    "silhouette?": (None, float),
    "silhouette_sample?": _COUNT,
    "quality?": str,
    "warnings?": [str],
    "remarks?": [str],
    "changes?": str,
    "result?": str,
    "assigned?": _COUNT,
    "identities?": [str],
    "left?": {str: str},
    "applied_to?": [str],
    "scores?": {"labels": str, "accuracy": float, "nmi?": float, "ari?": float, "purity?": float},
}

STEP: Final = {
    "command?": str,
    "summary?": str,
    "seconds?": float,
    "operation?": str,
    "complete?": bool,
    "metrics?": (None, METRICS),
    "shards?": (None, [str]),
    "files?": {str: str},
}

UNDOING: Final = {"what": str, "place": str, "step": _COUNT}
