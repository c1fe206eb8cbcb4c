"""The summary of `embed`, and what the manifest records of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imgcluster.commands.support.embed_request import EmbedRequest
from imgcluster.commands.support.embed_run import EmbedRun
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.encoders import PixelEncoder
from imgcluster.images.optional_decoders import OptionalDecoder

__all__ = ["EmbedSummary", "NodeFigures", "embedded_record", "history_text", "summarize"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFigures:
    """What one node of a Ray cluster did.

    Attributes:
        node: Its identifier in the cluster.
        host: Its name.
        device: The device that ran.
        workers: The workers that completed shards there.
        shards: The shards that they completed.
        images: The images that were embedded there by those that completed their shards.
        skipped: The images that could not be read.
        seconds: The time that all workers took for these shards together.
        images_per_second: The images per second of all its workers together.
    """

    node: str
    host: str
    device: str
    workers: int
    shards: int
    images: int
    skipped: int
    seconds: float
    images_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedSummary:
    """What `embed` did, and what the workspace contains now; the counts are numbers of images.

    Attributes:
        workspace: The workspace folder.
        encoder: The encoder's name.
        device: The device that ran.
        found: All images of the workspace: `embedded` plus `skipped`.
        embedded: With a vector.
        skipped: Not readable; ``skipped.csv`` has the reasons.
        new: Embedded for the first time.
        changed: Embedded again because their content changed.
        unchanged: Not changed since they were embedded.
        vanished: Removed because their file no longer exists in `paths` or is excluded now.
        renamed: Stored under another path than before, without being embedded again.
        ignored: Files that are not images.
        paired: Embedded images with two files, a JPEG and a camera raw file, in the searched folders.
        roots: The folders that contain the workspace's images.
        seconds: Wall-clock time.
        images_per_second: Newly embedded images per second; 0 if there were none.
        passed_over: Preferred devices that are not available, each with the reason.
        notes: Sentences about choices made by default that the user should know.
        shard: The shard that was embedded, as I/N; then all counts are those of its images. "" for all images.
        nodes: The nodes of the Ray cluster that embedded images; none without ``--ray``.
        outdated: Whether images were added, removed or renamed since the last clustering; False without a clustering.
    """

    workspace: str
    encoder: str
    device: str
    found: int
    embedded: int
    skipped: int
    new: int
    changed: int
    unchanged: int
    vanished: int
    renamed: int
    ignored: int
    roots: tuple[str, ...]
    seconds: float
    images_per_second: float
    passed_over: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    paired: int = 0
    shard: str = ""
    nodes: tuple[NodeFigures, ...] = ()
    outdated: bool = False


def summarize(
    request: EmbedRequest,
    run: EmbedRun,
    watch: Stopwatch,
    *,
    embedded: int,
    skipped: int,
    vanished: int,
    renamed: int,
    roots: set[str],
    notes: tuple[str, ...],
    shard: str = "",
    outdated: bool = False,
) -> EmbedSummary:
    """Return the summary of a finished `embed`; its fields are those of `EmbedSummary`."""
    seconds, computed = watch.seconds, run.new + run.changed
    return EmbedSummary(
        workspace=request.workspace.name,
        encoder=request.model.info.name,
        device=request.model.device,
        found=embedded + skipped,
        embedded=embedded,
        skipped=skipped,
        new=run.new - renamed,
        changed=run.changed,
        unchanged=run.unchanged,
        vanished=vanished,
        renamed=renamed,
        ignored=run.ignored,
        paired=run.paired,
        roots=tuple(sorted(roots)),
        seconds=seconds,
        images_per_second=round(computed / seconds, 1) if computed else 0.0,
        passed_over=request.model.rejected_devices,
        notes=(*_notes(request.model, run), *notes),
        shard=shard,
        outdated=outdated,
    )


def history_text(summary: EmbedSummary) -> str:
    """Return what the history says about the changes of an `embed`."""
    renames = f", {summary.renamed} renamed" if summary.renamed else ""
    return f"{summary.new} new, {summary.changed} changed, {summary.vanished} removed{renames}"


def embedded_record(summary: EmbedSummary, options: dict[str, Any]) -> dict[str, Any]:
    """Return what the manifest records of a finished `embed`."""
    recorded = ("device", "new", "changed", "unchanged", "vanished", "renamed", "ignored", "paired")
    return {
        "state": "embedded",
        "roots": list(summary.roots),
        "counts": {"found": summary.found, "embedded": summary.embedded, "skipped": summary.skipped},
        "embed": options | {name: getattr(summary, name) for name in recorded},
    }


def _notes(model: PixelEncoder, run: EmbedRun) -> tuple[str, ...]:
    """Return the sentences about the encoder, and about decoders that are missing."""
    return (*model.notes, *(_decoder_note(*item) for item in run.missing.items()))


def _decoder_note(missing: OptionalDecoder, count: int) -> str:
    return f"{missing.files} ({count:,} skipped) need an additional decoder: {missing.remedy}"
