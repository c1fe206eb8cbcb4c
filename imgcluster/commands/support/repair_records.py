"""Repairs of ``manifest.json``, ``skipped.csv`` and ``metrics.json``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from imgcluster._version import __version__, versions
from imgcluster.commands.support.embed_request import encoder_record
from imgcluster.commands.support.verify_stored import Stored
from imgcluster.encoders import PixelEncoder
from imgcluster.encoders.registry import list_encoders, precision_files
from imgcluster.errors import ImgclusterError, WorkspaceError
from imgcluster.fileio.atomic import link_or_copy, make_folder, write_json
from imgcluster.fileio.csv_tables import write_table
from imgcluster.options import ClusterOptions
from imgcluster.placement.plan import existing_names, free_name
from imgcluster.progress import OnProgress
from imgcluster.workspace.folder import Workspace, read_json, read_metrics
from imgcluster.workspace.results import read_tables
from imgcluster.workspace.shapes import MANIFEST
from imgcluster.workspace.shard_file import identity_of, read_keys
from imgcluster.workspace.shards import all_shards, summarize_shards
from imgcluster.workspace.table_columns import SKIPPED

__all__ = ["keep_damaged", "repair_manifest", "repair_metrics", "repair_skipped"]

_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"method": "kmeans", "reduction": "", "parameters": {}}
    | {"images": 1, "clusters": 0, "noise": 0, "layers": [0], "layer": 0}
)
"""What ``metrics.json`` needs and neither a state nor the manifest has."""


def keep_damaged(workspace: Workspace, path: Path) -> str:
    """Keep a file that cannot be read in the folder ``outdated``, under a free name, and return what was done.

    The caller replaces or removes the file, so that a kill in between does not look as if it had never been there.
    """
    make_folder(workspace.outdated, within=workspace.path)
    target = workspace.outdated / free_name(path.name, dict.fromkeys(existing_names(workspace.outdated), 1))
    link_or_copy(path, target)
    return f"{path.name} cannot be read; it was moved to {target}."


def repair_manifest(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Count the images again, or write a manifest that cannot be read again."""
    if not stored.manifest.get("encoder"):
        yield from _rebuild_manifest(stored)
        return
    if stored.embeddings is None or stored.skipped is None:
        return
    embedded, skipped = len(stored.embeddings.locations), len(stored.skipped)
    counts = {"found": embedded + skipped, "embedded": embedded, "skipped": skipped}
    record = {"counts": counts, "fingerprint": stored.embeddings.fingerprint}
    stored.workspace.write_manifest(stored.manifest | record)
    yield "The counts in manifest.json were corrected."


def repair_skipped(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Write the table of skipped images, of which the manifest counts none."""
    write_table(stored.workspace.skipped, SKIPPED, ())
    yield "skipped.csv was written again, without rows, because no image was skipped."


def _rebuild_manifest(stored: Stored) -> Iterator[str]:
    """Write the manifest again from the shards and what is known of their encoder; without the latter, nothing."""
    workspace = stored.workspace
    newest = all_shards(workspace.embeddings)[-1]
    identity = identity_of(newest)
    known, source = _known_encoder(stored, identity)
    if not known:
        return
    current = summarize_shards(workspace.embeddings, identity)
    skipped = len(stored.skipped or ())
    record = {
        **versions(),
        **known,
        # Whether the last `embed` was complete is not on record.
        "state": "embedding",
        "base": stored.metrics.get("base") or known.get("base") or str(read_keys(newest).column("root")[-1]),
        "fingerprint": current.fingerprint,
        "roots": list(current.roots),
        "counts": {"found": current.images + skipped, "embedded": current.images, "skipped": skipped},
    }
    if stored.metrics:
        record["cluster"] = {**known.get("cluster", {}), "options": stored.metrics["options"]}
    if workspace.manifest_file.exists():
        yield keep_damaged(workspace, workspace.manifest_file)
    workspace.write_manifest(record)
    yield f"manifest.json was written again from the embeddings and {source}."


def _known_encoder(stored: Stored, identity: str) -> tuple[dict[str, Any], str]:
    """Return a manifest with a record of the encoder of this identity, and where it is from; empty without one."""
    for state in reversed(stored.states or ()):
        with suppress(WorkspaceError):
            saved = read_json(state.folder / stored.workspace.manifest_file.name, "", MANIFEST)
            if saved.get("encoder", {}).get("identity") == identity:
                return saved, f"the state before step {state.number}"
    for name, path in list_encoders().items():
        for precision in precision_files(path):
            # A damaged file of somebody's own encoder.
            with suppress(ImgclusterError):
                model = PixelEncoder(name, device="cpu", precision=precision)
                if model.identity == identity:
                    return {"encoder": encoder_record(model)}, f"the encoder {name}"
    return {}, ""


def repair_metrics(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Write ``metrics.json`` again: that of the last step, or from the manifest's record of it and the tables."""
    workspace = stored.workspace
    metrics = _recorded_metrics(stored) or _metrics_of_tables(stored)
    yield keep_damaged(workspace, workspace.metrics)
    write_json(workspace.metrics, metrics)
    yield "metrics.json was written again, without the scores of evaluate."


def _recorded_metrics(stored: Stored) -> dict[str, Any] | None:
    """Return the metrics that the last state records: those after a complete step, or before one that is pending."""
    last = stored.states[-1] if stored.states else None
    if last is None or last.complete:
        return None if last is None else last.metrics
    with suppress(WorkspaceError):
        return read_metrics(last.folder / stored.workspace.metrics.name, "")
    return None


def _metrics_of_tables(stored: Stored) -> dict[str, Any]:
    """Return metrics with the counts of the tables, if these can be read; what is not on record has a default."""
    base, record = str(stored.manifest.get("base", "")), stored.manifest.get("cluster", {})
    later = [state.command for state in stored.states or () if state.complete and state.command != "apply"]
    metrics = {
        "options": dataclasses.asdict(ClusterOptions()),
        **_DEFAULTS,
        **{name: value for name, value in record.items() if name not in ("placed", "seconds")},
        "imgcluster": __version__,
        "fingerprint": "",
        "base": base,
        **({"assigned": 0} if later[-1:] == ["assign"] else {}),
    }
    with suppress(WorkspaceError):
        results, images = read_tables(stored.workspace, metrics), stored.embeddings
        metrics["clusters"], metrics["noise"] = len(results.table), int((results.clusters < 0).sum())
        metrics["images"] = metrics["silhouette_sample"] = len(results.paths)
        # Of other images, it is outdated.
        if images is not None and images.locations == results.locations:
            metrics["fingerprint"] = images.fingerprint
    return metrics
