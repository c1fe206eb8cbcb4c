"""`embed --ray`: shards of the work on a Ray cluster, by a pool of workers with one encoder each.

Ray Data maps the numbers of shards, not images. A worker does what ``embed --shard I/N`` does, in the shared workspace,
so whatever Ray repeats after a failure is complete already, or is continued.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from imgcluster import errors
from imgcluster.commands.embed import embed_shard, prepare_request, prepare_search
from imgcluster.commands.merge import finish_shards
from imgcluster.commands.support.embed_request import EmbedRequest
from imgcluster.commands.support.embed_summary import EmbedSummary, NodeFigures
from imgcluster.commands.support.ray_nodes import Pool, RayCluster, begin, connected, node_id, shared_workspace
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.encoders.registry import list_encoders
from imgcluster.errors import ImgclusterError, NoImagesError, RayClusterError, WorkspaceInUseError, one_line
from imgcluster.fileio.in_threads import beside
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import Paths, path_list
from imgcluster.images.find import Finder
from imgcluster.machine import LIMIT, processors, reading_memory
from imgcluster.option_fields import with_changes
from imgcluster.options import DEFAULT_WORKSPACE, LEAST_MEMORY, EmbedOptions, RayOptions
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.work_shards import WorkShard, discard_joined, work_shards

__all__ = ["embed_on_ray"]

_SHARDS_PER_WORKER: Final = 4
# How often a shard is begun again after its worker or its node has ended.
_RETRIES: Final = 10
# The lock of a shard can outlive a lost node until the file server notices.
_SECONDS_FOR_LOCK: Final = 600.0
_SECONDS_PER_REPORT: Final = 1.0


def embed_on_ray(
    paths: Paths = (),
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    files: Paths = (),
    options: EmbedOptions | None = None,
    cluster: RayOptions | None = None,
    on_progress: OnProgress = ignore_progress,
    **changes: Any,
) -> EmbedSummary:
    """Embed images as `embed` does, on all nodes of a Ray cluster.

    The workspace, and paths that are not in object storage, are on a file system that all nodes share. All nodes have
    the same versions of imgcluster, Python and Ray. Repeating the call after an interruption continues.

    Args:
        paths: As for `embed`.
        workspace: As for `embed`.
        files: As for `embed`.
        options: As for `embed`; `workers` is the number of images that each worker of the cluster reads at once.
        cluster: The cluster, and what a worker gets of it.
        on_progress: Called with each step, from another thread.
        **changes: Single fields of `EmbedOptions`.

    Raises:
        UnavailablePackage: Ray is not installed.
        RayClusterError: There is no such cluster, it is too small, or its workers end again and again.
        ImgclusterError: As for `embed`, on any of the nodes.
    """
    watch = Stopwatch()
    chosen, cluster = with_changes(options or EmbedOptions(), changes), cluster or RayOptions()
    shared = shared_workspace(workspace)
    task = _EmbedTask(_absolute(paths), _absolute(files), os.fspath(shared.path), _with_absolute_encoder(chosen))
    finder, _ = prepare_search(task.paths, shared, task.files, chosen)
    with connected(cluster) as connection:
        pool = connection.pool(cluster, chosen.device)
        shared.initialize()
        # Shards that were begun before are continued.
        count = next((part.count for part in work_shards(shared)), pool.size * _SHARDS_PER_WORKER)
        done = []
        with _reporting(connection, finder, on_progress):
            for row in connection.map_shards(_Worker, (task, count, pool, connection.progress), pool, count):
                if row["error"]:
                    kind = getattr(errors, row["error"], RayClusterError)
                    raise kind(f"{row['message']} (shard {row['shard']}/{count}, node {row['host']})")
                done.append(row)
        _, repeated = connection.read_progress() or (0, 0)
    try:
        joined = finish_shards(shared, on_progress=on_progress)
    except NoImagesError:
        discard_joined(shared)
        raise
    note = f"Workers or nodes ended before their time; {repeated} of {count} shards were begun again."
    return dataclasses.replace(
        joined,
        seconds=watch.seconds,
        images_per_second=round(sum(row["computed"] for row in done) / watch.seconds, 1),
        nodes=_nodes(done),
        notes=(*joined.notes, *([note] if repeated else [])),
    )


@dataclass(frozen=True, slots=True)
class _EmbedTask:
    """What the workers embed. The paths are absolute: the workers' current folder is another one."""

    paths: list[str]
    files: list[str]
    workspace: str
    options: EmbedOptions

    def for_worker(self, pool: Pool) -> EmbedOptions:
        """Return the options of a worker, whose share of the machine is that of the pool."""
        options, share = self.options, min(1.0, pool.cpus / processors())
        if options.memory is None:
            memory = max(LEAST_MEMORY, int(reading_memory() * share))
            options = dataclasses.replace(options, memory=f"{memory >> 10}K")
        if options.device == "auto" and not pool.gpus:
            # Another program may use the GPUs of this node.
            options = dataclasses.replace(options, device="cpu")
        return options


class _Worker:
    """Embeds shards, with an encoder that is loaded once; Ray starts it again if it ends.

    Args:
        task: What to embed.
        count: The number of shards.
        pool: What the worker gets of its node.
        progress: The actor that it reports to.
    """

    def __init__(self, task: _EmbedTask, count: int, pool: Pool, progress: Any) -> None:
        self._task = task
        self._count = count
        self._progress = progress
        self._options = task.for_worker(pool)
        os.environ[LIMIT] = str(pool.cpus)
        self._request: EmbedRequest | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Embed the shard of a batch of one, and return a batch with what became of it."""
        number, start = int(batch["shard"][0]), time.monotonic()
        row = {"shard": number, "node": node_id(), "host": socket.gethostname(), "worker": os.getpid()}
        row |= {"device": "", "skipped": 0, "computed": 0, "error": "", "message": ""}
        try:
            summary = self._embed(WorkShard(number, self._count))
        except (ImgclusterError, OSError) as error:
            row |= {"error": type(error).__name__, "message": one_line(error)}
        else:
            row |= {"device": summary.device, "skipped": summary.skipped, "computed": summary.new + summary.changed}
        row["seconds"] = time.monotonic() - start
        return {name: [value] for name, value in row.items()}

    def _embed(self, part: WorkShard) -> EmbedSummary:
        task, shared = self._task, Workspace(self._task.workspace)
        if not shared.is_initialized:
            raise RayClusterError(
                f"{shared.path} is not the folder that the command sees: put the workspace on a file system that all "
                "nodes share, under the same path"
            )
        if begin(self._progress, part.number) > _RETRIES:
            raise RayClusterError(
                f"{_RETRIES} workers ended with shard {part}: to see why, embed it alone with --shard {part}; complete "
                "shards are kept"
            )
        if self._request is None:
            self._request = prepare_request(task.paths, shared, task.files, self._options, ignore_progress)
        reported = 0.0

        def report(step: Progress) -> None:
            nonlocal reported
            now = time.monotonic()
            if step.stage == "embed" and (step.done == step.total or now - reported > _SECONDS_PER_REPORT):
                self._progress.report.remote(part.number, step.done)
                reported = now

        end = time.monotonic() + _SECONDS_FOR_LOCK
        while True:
            try:
                return embed_shard(self._request, part, None, Stopwatch(), report)
            except WorkspaceInUseError:
                if time.monotonic() > end:
                    raise
                time.sleep(1.0)


def _nodes(done: Sequence[dict[str, Any]]) -> tuple[NodeFigures, ...]:
    """Return the figures of each node, from what its workers say of each shard."""
    figures = []
    for node in sorted({row["node"] for row in done}):
        rows = [row for row in done if row["node"] == node]
        workers = len({row["worker"] for row in rows})
        images, seconds = (sum(row[name] for row in rows) for name in ("computed", "seconds"))
        figures.append(
            NodeFigures(
                node=node,
                host=rows[0]["host"],
                device=", ".join(sorted({row["device"] for row in rows})),
                workers=workers,
                shards=len(rows),
                images=images,
                skipped=sum(row["skipped"] for row in rows),
                seconds=round(seconds, 3),
                images_per_second=round(images * workers / seconds, 1) if seconds else 0.0,
            )
        )
    return tuple(figures)


@contextmanager
def _reporting(cluster: RayCluster, finder: Finder, on_progress: OnProgress) -> Iterator[None]:
    """Count the files, then report how many of them are done, until the end of the block."""

    def report(stop: threading.Event) -> None:
        total = 0
        # What is wrong with the files is reported by the workers.
        with suppress(ImgclusterError, OSError):
            for total, _ in enumerate(finder.find(sizes=False), start=1):
                if stop.is_set():
                    return
                if total % 1000 == 0:
                    on_progress(Progress("find", total))
        while not stop.wait(_SECONDS_PER_REPORT):
            done, _ = cluster.read_progress() or (0, 0)
            on_progress(Progress("embed", done, max(done, total)))

    with beside(report):
        yield


def _absolute(paths: Paths) -> list[str]:
    return [url_of(path) or os.path.abspath(path) for path in path_list(paths)]


def _with_absolute_encoder(options: EmbedOptions) -> EmbedOptions:
    name = os.fspath(options.encoder or "")
    if name in list_encoders() or not os.path.isfile(name):
        return options
    return dataclasses.replace(options, encoder=os.path.abspath(name))
