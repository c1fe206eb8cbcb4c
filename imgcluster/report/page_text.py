"""The sentences of the page, and the values of its details."""

from __future__ import annotations

from typing import Any, Final

from imgcluster.wording import counted

__all__ = ["details", "headline", "quality", "sentences"]

# The bands of Kaufman & Rousseeuw (1990), one step lower: in many dimensions silhouettes are small.
_SEPARATION: Final = (
    (0.5, "The clusters are well separated."),
    (0.25, "The clusters are separated, with some overlap."),
    (0.05, "The clusters overlap: images near a border could also belong to the neighboring cluster."),
)


def headline(metrics: dict[str, Any]) -> str:
    """Return the sentence that says what was found."""
    images, clusters = counted(metrics["images"], "image"), metrics["clusters"]
    if not clusters:
        return f"No clusters were found in {images}."
    if metrics.get("method") == "sort":
        return f"{images} {_were(metrics['images'])} sorted into {counted(clusters, 'group')}."
    if isinstance(metrics["options"].get("k"), int):
        return f"{images} {_were(metrics['images'])} divided into {counted(clusters, 'cluster')}."
    return f"{counted(clusters, 'cluster')} {_were(clusters)} found in {images}."


def sentences(metrics: dict[str, Any]) -> tuple[str, ...]:
    """Return the sentences below the headline: how reliable the clusters are, noise, and accuracy if it is known."""
    texts = [quality(metrics)]
    noise = metrics.get("noise", 0)
    if noise:
        share = _percent(noise / metrics["images"])
        texts.append(f"{counted(noise, 'image')} ({share}) {_were(noise)} not assigned to any cluster (noise).")
    texts += metrics.get("remarks", ())
    texts.append(str(metrics.get("changes", "")))
    scores = metrics.get("scores")
    if scores:
        texts.append(f"Compared with the labels ({scores['labels']}), the accuracy is {scores['accuracy']:.3f}.")
    return tuple(filter(None, texts))


def quality(metrics: dict[str, Any]) -> str:
    """Return one sentence on how reliable the clusters are; "" if nothing is known about it."""
    if metrics.get("quality"):
        return str(metrics["quality"])
    silhouette = metrics.get("silhouette")
    if silhouette is None:
        return ""
    return next((words for least, words in _SEPARATION if silhouette >= least), "The clusters hardly differ.")


def details(
    metrics: dict[str, Any], manifest: dict[str, Any], *, method: str, options: str, projection: str
) -> tuple[tuple[str, str], ...]:
    """Return names and values for the collapsed details: how the clusters were made, and expert scores.

    Args:
        metrics: The content of ``metrics.json``.
        manifest: The content of ``manifest.json``.
        method: The name of the clustering method.
        options: The options that were given, as on the command line; "" for the defaults.
        projection: How the map was computed.
    """
    scores = metrics.get("scores", {})
    rows = [
        ("Encoder", str(manifest.get("encoder", {}).get("name", ""))),
        ("Method", method),
        ("Reduction", str(metrics["reduction"])),
        ("Options", options or "defaults"),
        ("Seed", str(metrics["options"]["seed"])),
        ("Mean silhouette", _short(metrics.get("silhouette"))),
        ("Parameters", ", ".join(f"{name} = {_short(value)}" for name, value in metrics.get("parameters", {}).items())),
        *((name, _short(scores.get(key))) for name, key in (("NMI", "nmi"), ("ARI", "ari"), ("Purity", "purity"))),
        ("Map", projection),
        ("Version", str(metrics.get("imgcluster", ""))),
    ]
    return tuple((name, value) for name, value in rows if value)


def _short(value: Any) -> str:
    if value is None:
        return ""
    return f"{value + 0.0:.4g}" if isinstance(value, float) else str(value)


def _percent(share: float) -> str:
    """Return a percentage that is 0 % only for none, and 100 % only for all."""
    if 0 < share < 0.005:
        return "less than 1%"
    return "more than 99%" if 0.995 <= share < 1 else f"{share:.0%}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
