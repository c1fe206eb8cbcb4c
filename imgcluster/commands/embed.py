"""`embed`: compute a vector for every image under the given paths and store it in the workspace."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from imgcluster.commands.support.change_placed import return_interrupted_move
from imgcluster.commands.support.embed_request import EmbedRequest
from imgcluster.commands.support.embed_summary import EmbedSummary
from imgcluster.commands.support.embed_update import WorkspaceUpdate, run_update
from imgcluster.commands.support.placed_files import moved_files, read_placement, record_renamed
from imgcluster.commands.support.shard_update import ShardUpdate
from imgcluster.commands.support.steps import recover
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.commands.support.workspace_encoder import encoder_name, has_known_encoder, recorded_options
from imgcluster.encoders import PixelEncoder
from imgcluster.encoders.registry import list_encoders, precision_files
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.fileio.object_store import store_url, url_of
from imgcluster.fileio.path_text import Paths, from_text, join, path_list, relative_to, to_text
from imgcluster.images.find import Finder
from imgcluster.images.found import FoundFile
from imgcluster.images.remote import RemoteImages
from imgcluster.machine import processors
from imgcluster.option_fields import with_changes
from imgcluster.options import DEFAULT_WORKSPACE, EmbedOptions, EncoderOptions
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.types import Precision
from imgcluster.workspace.folder import Workspace, is_workspace
from imgcluster.workspace.shards import all_shards, list_shards
from imgcluster.workspace.states import interrupted_state
from imgcluster.workspace.work_shards import WorkShard, refuse_other_counts, refuse_unjoined, work_shards

__all__ = ["embed", "embed_shard", "prepare_request", "prepare_search", "refuse_own_output"]


@in_object_storage_too
def embed(
    paths: Paths = (),
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    files: Paths = (),
    options: EmbedOptions | None = None,
    shard: str | None = None,
    moved: Mapping[str, str] | None = None,
    on_progress: OnProgress = ignore_progress,
    **changes: Any,
) -> EmbedSummary:
    """Embed the images under `paths` that are new or have changed.

    An image is unchanged if its size and modification time, or its content, are. Images that no longer exist in
    `paths` are removed from the workspace; images under other paths stay. The results of an earlier clustering stay
    until `assign` or `cluster` changes them. Images of known content under a new path are not embedded again. Images
    that ``--place move`` moved stay in the workspace until they are removed from their new folders.

    Args:
        paths: A folder or file, or several. Folders are searched recursively, in sorted order. ``s3://bucket/prefix``,
            ``gs://bucket/prefix`` and ``https://…`` are read through the network.
        workspace: The workspace folder; it is created if it is missing.
        files: Further files; missing ones are skipped.
        options: See `EmbedOptions`.
        shard: I/N to embed only the files of shard I (0 to N−1), while other processes embed the other shards in the
            same workspace. A complete shard is skipped. `finish_shards` or the next `cluster` joins all N.
        moved: Where the files are that ``--place move`` moved, by their original paths, as absolute texts; by default
            as the workspace records.
        on_progress: Called with each step.
        **changes: Single fields of `EmbedOptions`, as in ``embed("photos", device="cpu")``.

    Raises:
        UsageError: A path is missing, or an option is not allowed.
        NoImagesError: `paths` contain no readable image; the workspace is unchanged.
        WorkspaceError: The workspace is locked, another folder, or made with another encoder.
        EncoderError: The encoder cannot be used.
        DeviceError: The requested device is not available.
    """
    watch = Stopwatch()
    paths, files = path_list(paths), path_list(files)
    chosen = with_changes(options or EmbedOptions(), changes)
    part = None if shard is None else WorkShard.parse(shard)
    workspace = Workspace(workspace)
    if part is not None and workspace.url:
        raise UsageError(f"shards are written to {workspace.url} by embed_into_store")
    request = prepare_request(paths, workspace, files, chosen, on_progress)
    watch.lap("encoder")
    if part is not None:
        return embed_shard(request, part, moved, watch, on_progress)
    model = request.model
    with workspace.locked() as manifest:
        refuse_unjoined(workspace)
        manifest = recover(workspace, manifest, on_progress=on_progress)
        journal, _ = return_interrupted_move(workspace, record_renamed(workspace))
        _refuse_other_encoder(workspace, manifest, model, chosen.fresh)
        moved = moved_files(workspace, journal) if moved is None else moved
        request = request.with_moved(moved)
        return run_update(
            WorkspaceUpdate(request, manifest), request, _moved_files(moved, manifest), watch, on_progress
        )


def prepare_request(
    paths: Sequence[str | os.PathLike[str]],
    workspace: Workspace,
    files: Sequence[str | os.PathLike[str]],
    options: EmbedOptions,
    on_progress: OnProgress,
) -> EmbedRequest:
    """Check what `embed` is to do, and load the encoder; the arguments are those of `embed`, paths in lists.

    Raises:
        UsageError: A path is missing, or inside the workspace.
        EncoderError: The encoder cannot be used.
        DeviceError: The requested device is not available.
    """
    finder, requested = prepare_search(paths, workspace, files, options)
    present = _present_manifest(workspace)
    encoder, encoder_options = encoder_name(options, workspace, present), options.encoder_options
    continues = options.encoder is None and bool(present) and not options.fresh
    if continues and encoder_options == EncoderOptions():
        encoder_options = recorded_options(workspace, present)
    model = PixelEncoder(
        encoder,
        device=options.device,
        options=encoder_options,
        precision=options.precision if options.fresh else _precision(encoder, options.precision, present),
        # What a workspace names was not requested by the user.
        install=not continues,
        on_progress=on_progress,
    )
    options = replace(options, encoder_options=encoder_options)
    return EmbedRequest(
        workspace=workspace,
        finder=finder,
        model=model,
        options=options,
        paths=requested,
        listed=len(files),
        files_digest=_digest(files),
        workers=options.workers or processors(),
    )


def prepare_search(
    paths: Sequence[str | os.PathLike[str]],
    workspace: Workspace,
    files: Sequence[str | os.PathLike[str]],
    options: EmbedOptions,
) -> tuple[Finder, list[str]]:
    """Return the search for the files of `embed`, and the requested paths as absolute texts.

    Raises:
        UsageError: A path is missing, or inside the workspace.
    """
    if not paths and not files:
        raise UsageError("no images to embed: give folders or files, or a list with --files-from")
    finder = _finder(paths, files, options)
    requested = [*(to_text(os.path.abspath(path)) for path in finder.paths), *_public_urls(paths)]
    refuse_own_output([*requested, *(to_text(os.path.abspath(file)) for file in files)], workspace)
    return finder, requested


def _finder(
    paths: Sequence[str | os.PathLike[str]], files: Sequence[str | os.PathLike[str]], options: EmbedOptions
) -> Finder:
    """Return the search for the requested files and URLs."""
    urls = tuple(dict.fromkeys(url for path in (*paths, *files) if (url := url_of(path))))
    return Finder(
        paths=[path for path in paths if not url_of(path)],
        listed=[file for file in files if not url_of(file)],
        exclude=options.exclude,
        recursive=options.recursive,
        skips=is_workspace,
        remote=RemoteImages(urls) if urls else None,
    )


def _public_urls(paths: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    return RemoteImages(tuple(url for path in paths if (url := url_of(path)))).public


def embed_shard(
    request: EmbedRequest, part: WorkShard, moved: Mapping[str, str] | None, watch: Stopwatch, on_progress: OnProgress
) -> EmbedSummary:
    """Embed one shard; the workspace itself is only read, so that all shards can be embedded at once.

    Raises:
        WorkspaceError: A step in the workspace was interrupted, which has to be undone first, or there are shards of
            another number.
    """
    workspace = request.workspace
    refuse_other_counts(part, work_shards(workspace), str(workspace.shards))
    workspace.initialize()
    _refuse_other_encoder(workspace, _present_manifest(workspace), request.model, request.options.fresh)
    journal, first = return_interrupted_move(workspace, read_placement(workspace), dry_run=True)
    if first or interrupted_state(workspace):
        raise WorkspaceError(
            f"a step was interrupted in {workspace.path}, and shards cannot undo it: first run "
            f"{workspace.command('undo')}"
        )
    moved = moved_files(workspace, journal) if moved is None else moved
    request, moved_images = request.with_moved(moved), _moved_files(moved, workspace.manifest)
    with part.workspace(workspace).locked() as before:
        update = ShardUpdate(request, part, before)
        if update.is_complete:
            return update.completed_before(watch)
        moved_images = [file for file in moved_images if update.takes(file.location)]
        return run_update(update, request, moved_images, watch, on_progress)


def _moved_files(moved: Mapping[str, str], manifest: dict[str, Any]) -> list[FoundFile]:
    """Return the files that were moved and still exist."""
    files = []
    for location, target in sorted(moved.items()):
        try:
            facts = os.stat(from_text(target))
        except OSError:
            continue
        inside = [root for root in manifest.get("roots", ()) if location.startswith(join(root, ""))]
        root = max(inside, key=len, default=location.rpartition("/")[0] or "/")
        files.append(FoundFile(root, relative_to(location, root), facts.st_size, facts.st_mtime_ns, target))
    return files


def _digest(files: Sequence[str | os.PathLike[str]]) -> str:
    """Return a digest of a list of files; "" for an empty list."""
    if not files:
        return ""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update((url_of(file) or to_text(os.path.abspath(file))).encode() + b"\0")
    return digest.hexdigest()


def refuse_own_output(paths: Sequence[str], workspace: Workspace) -> None:
    """Check that no path (absolute text) is inside the workspace.

    Raises:
        UsageError: One is.
    """
    own, real_own = to_text(workspace.path), to_text(os.path.realpath(workspace.path))
    for path in paths:
        if url := store_url(path):
            if workspace.url and join(url, "").startswith(join(workspace.url, "")):
                raise UsageError(f"{path} is inside the workspace {workspace.url}; choose another with -w")
            continue
        if url_of(path):
            continue
        real = to_text(os.path.realpath(from_text(path)))
        if path.startswith(join(own, "")) or join(real, "").startswith(join(real_own, "")):
            raise UsageError(f"{path} is inside the workspace {workspace.path}; choose another workspace with -w DIR")


def _present_manifest(workspace: Workspace) -> dict[str, Any]:
    """Return the manifest of the workspace or, where nothing is embedded yet, of a shard."""
    manifests = (workspace.manifest, *(part.workspace(workspace).manifest for part in work_shards(workspace)))
    return next((manifest for manifest in manifests if manifest.get("encoder")), {})


def _precision(encoder: str, requested: str, manifest: dict[str, Any]) -> str:
    """Return the requested precision; instead of ``auto`` that of the workspace, so that it can be continued."""
    present = manifest.get("encoder", {})
    if requested != "auto" or present.get("name") != encoder:
        return requested
    precision = cast(Precision, present.get("precision") or "fp32")
    path = list_encoders().get(present["name"])
    # The version that made the workspace may have had other files; it is compared later.
    return precision if path is None or precision in precision_files(path) else "auto"


def _refuse_other_encoder(workspace: Workspace, manifest: dict[str, Any], model: PixelEncoder, fresh: bool) -> None:
    present = manifest.get("encoder", {})
    if fresh or present.get("identity") == model.identity:
        return
    if not present:
        # Without a manifest, as one that was damaged and deleted.
        if all_shards(workspace.embeddings) and not list_shards(workspace.embeddings, model.identity):
            raise WorkspaceError(
                f"{workspace.manifest_file} is missing, and the embeddings there are not of encoder "
                f"{model.info.name!r}: {workspace.repair_remedy}, name their encoder with --encoder, or start over "
                "with --fresh"
            )
        return
    variant, remedy = "", ""
    if present.get("name") != model.info.name and has_known_encoder(manifest):
        remedy = f"continue with --encoder {present['name']}, "
    elif present.get("name") == model.info.name:
        before, now = (name or "fp32" for name in (present.get("precision"), model.info.precision))
        old, new = present.get("version"), model.info.version
        if old != new:
            variant = f" in another version ({old}, now {new})"
        else:
            variant = " with other weights or options" + (f" (precision {before}, now {now})" if before != now else "")
    raise WorkspaceError(
        f"{workspace.path} was made with encoder {present.get('name')!r}, requested is {model.info.name!r}{variant}; "
        f"their vectors cannot be mixed: {remedy}start over with --fresh, or choose another workspace with -w DIR"
    )
