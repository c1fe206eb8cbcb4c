"""`sort`: images into groups that the user describes in words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from imgcluster.clustering.types import Clustering, Layer
from imgcluster.clustering.zero_shot import assign_to_groups
from imgcluster.commands.support.change_placed import return_interrupted_move
from imgcluster.commands.support.join_started import join_if_started
from imgcluster.commands.support.measures import measure_clusters
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.numbering import Earlier, describe, read_earlier
from imgcluster.commands.support.placed_files import mode_for_clusters, read_placement
from imgcluster.commands.support.publish import ClusteringMetrics, Evaluated, placed_fields, publish
from imgcluster.commands.support.steps import recover
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.commands.support.text import info_of, open_text, require_text
from imgcluster.encoders.text_encoder import TextEncoder
from imgcluster.encoders.vocabulary import bundled_vocabulary
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.placement import UNSORTED_FOLDER, PlaceMode, check_mode, group_folder_name
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import VectorRows, Vectors
from imgcluster.wording import counted
from imgcluster.workspace.decisions import Decisions
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.result_tables import ClusteringTables, rounded
from imgcluster.workspace.results import SORT, read_embeddings, with_options
from imgcluster.workspace.shards import Embeddings

__all__ = ["DEFAULT_THRESHOLD", "SortSummary", "SortedGroup", "sort"]

DEFAULT_THRESHOLD: Final = 0.99

# metrics.json and the page need these of every clustering.
_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedGroup:
    """A described group: its name, its descriptions as they were compared, the number of its images, and its folder."""

    name: str
    descriptions: tuple[str, ...]
    images: int
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SortSummary:
    """What `sort` did.

    Attributes:
        workspace: The workspace folder.
        into: The file of the groups.
        groups: The groups, in the order of the file.
        images: All images.
        unsorted: Images in no group.
        threshold: The share of the bundled vocabulary that a group's description has to exceed.
        place: The requested placement mode.
        placed: Numbers of placed files by the mode that was used.
        missing: Images whose file is gone, so that they could not be placed, or their link leads nowhere.
        report: The page; empty on a dry run.
        dry_run: Whether nothing was written.
        seconds: Wall-clock time.
        warnings: What the user should know, in whole sentences.
        returned: Originals that were moved before and return, or would return, to their original paths.
        returned_to: The folders of these paths.
    """

    workspace: str
    into: str
    groups: tuple[SortedGroup, ...]
    images: int
    unsorted: int
    threshold: float
    place: PlaceMode
    placed: dict[str, int]
    missing: int
    report: str
    dry_run: bool
    seconds: float
    warnings: tuple[str, ...]
    returned: int = 0
    returned_to: tuple[str, ...] = ()


@in_object_storage_too
def sort(
    into: str | os.PathLike[str],
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    threshold: float = DEFAULT_THRESHOLD,
    place: str | None = None,
    device: str = "auto",
    discard_decisions: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> SortSummary:
    """Sort the workspace's images into described groups, in place of its clustering.

    The groups become its clusters, with the names of the file; images outside of all groups are noise, in the folder
    ``unsorted``. `zero_shot.assign_to_groups` is the rule.

    Args:
        into: A text file in UTF-8 with one group per line: a name, or ``name: description``. Several lines of one name
            are several descriptions of one group. Empty lines and those that begin with # are ignored.
        workspace: The workspace folder, embedded with an encoder that has a text part.
        threshold: In [0, 1]: an image is in a group only if the group's description is more similar to it than this
            share of the bundled vocabulary.
        place: How images get into the folders; by default as they are now, ``symlink`` at first.
        device: Where the text part runs: ``auto`` or a device.
        discard_decisions: Whether names, merges and corrections of the clusters are removed.
        dry_run: Only report what would be written.
        on_progress: Called with each step.

    Raises:
        UsageError: The file or an option is not valid, or the encoder has no text part.
        WorkspaceError: Nothing is embedded, shards cannot be joined, another process works here, or the originals were
            moved.
        EncoderError: The text part cannot be used, or does not belong to the images.
        PlacementError: A file could not be placed.
    """
    watch = Stopwatch()
    workspace = Workspace(workspace)
    requested = check_mode(place, workspace.url)
    if not 0 <= threshold <= 1:
        raise UsageError(f"--threshold {threshold} is not allowed; it is a share of words, in [0, 1]")
    groups = _read_groups(Path(into))
    workspace.require_initialized()
    join_if_started(workspace, dry_run=dry_run, on_progress=on_progress)
    with workspace.locked(read_only=dry_run) as manifest:
        manifest = recover(workspace, manifest, dry_run=dry_run, on_progress=on_progress)
        on_progress(Progress("load", 0))
        embeddings = read_embeddings(workspace, manifest)
        info = info_of(manifest)
        require_text(info.name)
        placed_before = read_placement(workspace, embeddings.files)
        journal, note = return_interrupted_move(workspace, placed_before, dry_run=dry_run)
        mode = mode_for_clusters(workspace, requested, journal, embeddings.locations)
        earlier = read_earlier(workspace, embeddings)
        _require_no_decisions(earlier.decisions, discard=discard_decisions)
        manifest = with_options(manifest, {})
        embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
        watch.lap("load")
        text = open_text(info, device=device, on_progress=on_progress)
        assert text is not None
        layer = _assign(text, embeddings.vectors, groups, threshold, on_progress)
        watch.lap("cluster")
        options = {"into": to_text(into), "threshold": threshold, "place": mode, "seed": _SEED}
        evaluated = _evaluate(workspace, manifest, embeddings, earlier, groups, layer, mode, options, note)
        watch.lap("measure")
        placed = publish(workspace, evaluated, journal, watch, on_progress, dry_run=dry_run)
    return SortSummary(
        workspace=workspace.name,
        into=to_text(into),
        groups=_sorted_groups(text, groups, layer),
        images=len(layer.labels),
        unsorted=int((layer.labels < 0).sum()),
        threshold=threshold,
        place=mode,
        **placed_fields(placed),
        report="" if dry_run else to_text(workspace.report),
        dry_run=dry_run,
        seconds=watch.seconds,
        warnings=evaluated.warnings(placed),
    )


def _require_no_decisions(decisions: Decisions, *, discard: bool) -> None:
    """Check that nothing was decided for clusters, which the groups replace.

    Raises:
        WorkspaceError: Something was.
    """
    if decisions and not discard:
        raise WorkspaceError(
            f"described groups replace the clusters, for which you decided: {describe(decisions)}; add "
            "--discard-decisions to drop these, which imgcluster undo brings back"
        )


def _read_groups(file: Path) -> dict[str, list[str]]:
    """Return the descriptions of each group by its name; none where the name is the description.

    Raises:
        UsageError: The file cannot be read, has no group, or two groups would get the same folder.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(
            f"--into {file} cannot be read ({error.strerror}); give a text file, one group per line"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"--into {file} is not text in UTF-8; give one group per line") from None
    groups: dict[str, list[str]] = {}
    for line in lines:
        plain = " ".join(line.split())
        if not plain or plain.startswith("#"):
            continue
        name, _, description = (part.strip() for part in plain.partition(": "))
        name = name.rstrip(":").strip()
        if not name or not name.isprintable():
            raise UsageError(f"--into {file} has the line {plain!r} without a name; write name: description")
        groups.setdefault(name, []).extend([description] if description else [])
    if not groups:
        raise UsageError(f"--into {file} has no group; write one per line: a name, or name: description")
    folders = {UNSORTED_FOLDER: "the rest"}
    for number, name in enumerate(groups):
        folder = group_folder_name(number, name)
        if folder in folders:
            raise UsageError(f"--into {file}: {name} and {folders[folder]} would share the folder {folder}; rename one")
        folders[folder] = name
    return groups


def _texts(text: TextEncoder, name: str, descriptions: list[str]) -> tuple[str, ...]:
    return tuple(descriptions) or (text.prompt(name),)


def _sorted_groups(text: TextEncoder, groups: Mapping[str, list[str]], layer: Layer) -> tuple[SortedGroup, ...]:
    return tuple(
        SortedGroup(
            name=name,
            descriptions=_texts(text, name, descriptions),
            images=int((layer.labels == number).sum()),
            folder=group_folder_name(number, name),
        )
        for number, (name, descriptions) in enumerate(groups.items())
    )


def _assign(
    text: TextEncoder,
    vectors: Vectors | VectorRows,
    groups: Mapping[str, list[str]],
    threshold: float,
    on_progress: OnProgress,
) -> Layer:
    """Return the group of each image, by its number in the file."""
    described = [text.encode(_texts(text, name, descriptions)) for name, descriptions in groups.items()]
    words = text.encode_words(bundled_vocabulary(), on_progress)
    return assign_to_groups(vectors, described, words, threshold=threshold)


def _evaluate(
    workspace: Workspace,
    manifest: dict[str, Any],
    embeddings: Embeddings,
    earlier: Earlier,
    groups: Mapping[str, list[str]],
    layer: Layer,
    mode: PlaceMode,
    options: dict[str, Any],
    note: str,
) -> Evaluated:
    """Measure the groups that have images, which become the clusters 0, 1, … in the order of the file."""
    present = np.unique(layer.labels[layer.labels >= 0])
    # The last entry is that of −1.
    numbers = np.full(len(groups) + 1, -1, dtype=np.int64)
    numbers[present] = np.arange(len(present))
    layer = Layer(numbers[layer.labels], layer.confidence, numbers[layer.runner_up])
    measures = measure_clusters(workspace, manifest, embeddings, layer.labels)
    names = list(groups)
    facts = ClusteringMetrics(
        method=SORT,
        reduction="none",
        parameters={"threshold": options["threshold"]},
        images=len(layer.labels),
        layers=(len(present),),
        layer=0,
        noise=int((layer.labels < 0).sum()),
        silhouette=rounded(measures.silhouette),
        quality="",
    )
    clustering = Clustering((layer,), 0, facts.parameters)
    tables = ClusteringTables(
        workspace,
        manifest,
        embeddings,
        clustering,
        measures,
        [None] * len(present),
        names={number: names[group] for number, group in enumerate(present.tolist())},
    )
    return Evaluated(
        options=options,
        mode=mode,
        manifest=manifest,
        tables=tables,
        facts=facts,
        silhouette_sample=measures.silhouette_sample,
        notes=tuple(filter(None, [note])),
        command="sort",
        summary=counted(len(present), "group"),
        earlier=earlier,
        decisions=Decisions(),
        folder_name=group_folder_name,
    )
