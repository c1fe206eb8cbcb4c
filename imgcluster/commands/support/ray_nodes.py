"""A Ray cluster and a pool of workers on it; the only module that imports Ray."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from imgcluster.errors import ImgclusterError, RayClusterError, UsageError, one_line
from imgcluster.fileio.object_store import store_url
from imgcluster.optional import import_optional
from imgcluster.options import RayOptions
from imgcluster.workspace.folder import Workspace

__all__ = ["Pool", "ProgressActor", "RayCluster", "begin", "connected", "fit_pool", "node_id", "shared_workspace"]

_LOCAL_OBJECT_STORE: Final = 200 << 20
_PROGRESS_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 10.0
_PARTS_PER_CPU: Final = 2
_RETRIES: Final = 10
_EXCEPTION: Final = re.compile(r"[\w.]+(Error|Exception): ")


@dataclass(frozen=True, slots=True)
class Pool:
    """The workers: how many there are, and what each of them gets."""

    size: int
    cpus: int
    gpus: float


class ProgressActor:
    """An actor that the workers report to, on the node of the command; Ray starts it again if it is lost."""

    def __init__(self) -> None:
        self._files: dict[int, int] = {}
        self._begun: Counter[int] = Counter()

    def begin(self, shard: int) -> int:
        """Return how often the shard was begun before: its workers ended, or the nodes with their results."""
        self._begun[shard] += 1
        return self._begun[shard] - 1

    def report(self, shard: int, files: int) -> None:
        """Take the number of files of a shard that are done."""
        self._files[shard] = files

    def read(self) -> tuple[int, int]:
        """Return the number of files that are done, and how many shards were begun more than once."""
        return sum(self._files.values()), sum(count > 1 for count in self._begun.values())


def fit_pool(nodes: Sequence[tuple[int, float]], options: RayOptions, device: str) -> Pool:
    """Return the workers that fit on nodes.

    By default a worker gets a GPU if there are any and the device can be one, and as many CPUs as the smallest node has
    for each worker.

    Args:
        nodes: The numbers of CPUs and of GPUs of each node.
        options: What a worker gets.
        device: The requested device.

    Raises:
        RayClusterError: No worker fits on any node.
    """
    gpus = options.gpus_per_worker
    if gpus is None:
        gpus = float(device != "cpu" and any(count >= 1 for _, count in nodes))
    # The CPUs of each node, and for how many workers its GPUs are enough.
    usable = [(cpus, int(count / gpus) if gpus else cpus) for cpus, count in nodes]
    usable = [(cpus, most) for cpus, most in usable if cpus and most]
    share = min((cpus // (most if gpus else 1) for cpus, most in usable), default=1)
    needed = options.cpus_per_worker or max(1, share)
    size = sum(min(cpus // needed, most) for cpus, most in usable)
    if not size:
        have = ", ".join(f"{cpus} CPUs and {count:g} GPUs" for cpus, count in nodes)
        raise RayClusterError(
            f"no node of the Ray cluster has {needed} CPUs and {gpus:g} GPUs for a worker; the nodes have {have}: give "
            "less with --cpus-per-worker and --gpus-per-worker"
        )
    return Pool(size, needed, gpus)


def shared_workspace(path: str | os.PathLike[str]) -> Workspace:
    """Return a workspace that nodes can share.

    Raises:
        UsageError: It is in object storage: its local copy is on this computer alone.
    """
    if url := store_url(path) or Workspace(path).url:
        raise UsageError(
            f"--ray is not possible with the workspace {url}; choose a folder that all nodes share with -w DIR"
        )
    return Workspace(path)


@contextmanager
def connected(options: RayOptions) -> Iterator[RayCluster]:
    """Connect to a cluster during the block, unless this process is connected already.

    Raises:
        UnavailablePackage: Ray is not installed.
        RayClusterError: There is no such cluster.
    """
    ray = import_optional("ray")
    import_optional("ray.data")
    if ray.is_initialized():
        yield RayCluster(ray)
        return
    address = options.address or "auto"
    local: dict[str, Any] = {"object_store_memory": _LOCAL_OBJECT_STORE, "include_dashboard": False}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray replaces it.
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _refuse_closed(address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(
                address, log_to_driver=False, logging_level=logging.CRITICAL, **(local if address == "local" else {})
            )
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise RayClusterError(
            f"there is no Ray cluster at {address} ({one_line(error)[:200]}): start one with ray start --head, or give "
            "--ray HOST:PORT, or --ray local for this machine alone"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        yield RayCluster(ray)
    finally:
        ray.shutdown()


class RayCluster:
    """The cluster that this process is connected to.

    Args:
        ray: The package.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id(), soft=True)
        options = {"num_cpus": 0, "scheduling_strategy": here, "max_restarts": -1, "max_task_retries": -1}
        self.progress = ray.remote(ProgressActor).options(**options).remote()

    def pool(self, options: RayOptions, device: str) -> Pool:
        """Return the workers that fit on the nodes, as `fit_pool` does."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return fit_pool([(int(node.get("CPU", 0)), float(node.get("GPU", 0))) for node in nodes], options, device)

    def read_progress(self) -> tuple[int, int] | None:
        """Return what `ProgressActor.read` does; None if it does not answer now."""
        try:
            files, repeated = self._ray.get(self.progress.read.remote(), timeout=_PROGRESS_SECONDS)
        except self._ray.exceptions.RayError:
            return None
        return int(files), int(repeated)

    def map_parts(self, function: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
        """Apply a function to each part in a task of its own, and yield the results in order (`types.MapParts`).

        Ray repeats the tasks of lost nodes.

        Raises:
            RayClusterError: Tasks fail.
            ImgclusterError: As raised by the function.
        """
        ray = self._ray
        task = ray.remote(_apply).options(max_retries=_RETRIES)
        shared = ray.put(function)
        most = _PARTS_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))
        running: deque[Any] = deque()
        try:
            for part in parts:
                # No more than are computed soon: parts and results take memory.
                if len(running) >= most:
                    yield ray.get(running.popleft())
                running.append(task.remote(shared, part))
            while running:
                yield ray.get(running.popleft())
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, ImgclusterError):
                raise cause from None
            raise RayClusterError(
                f"tasks of the Ray cluster failed ({_cause(error)}): check that all nodes have the same imgcluster, "
                "Ray and Python, and see the workspace under the same path"
            ) from error

    def map_shards(self, worker: type, arguments: Sequence[Any], pool: Pool, count: int) -> Iterator[dict[str, Any]]:
        """Give the numbers of all shards to workers, and yield the row that each returns, in any order.

        Args:
            worker: The class of the workers; it is called with a batch of one shard. Ray starts a worker that ended
                again, and gives it the shard again.
            arguments: The arguments of its constructor.
            pool: The workers.
            count: The number of shards.

        Raises:
            RayClusterError: Workers cannot be started, or do not return.
        """
        data = self._ray.data
        context = data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        shards = data.from_items([{"shard": number} for number in range(count)], override_num_blocks=count)
        results = shards.map_batches(
            worker,
            fn_constructor_args=tuple(arguments),
            batch_size=1,
            # A second shard of a worker would wait while others are idle.
            compute=data.ActorPoolStrategy(size=pool.size, max_tasks_in_flight_per_actor=1),
            num_cpus=pool.cpus,
            num_gpus=pool.gpus,
        )
        try:
            yield from results.iter_rows()
        except (self._ray.exceptions.RayError, data.exceptions.SystemException) as error:
            raise RayClusterError(
                f"workers of the Ray cluster failed ({_cause(error)}): check that all nodes have the same imgcluster, "
                "Ray and Python; complete shards are kept, repeat the command to continue"
            ) from error


def _apply(function: Callable[[Any], Any], part: Any) -> Any:
    return function(part)


def _cause(error: BaseException) -> str:
    """Return the line of an error of Ray, with tracebacks of several processes in it, that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [one_line(error)]
    return next((line for line in reversed(lines) if _EXCEPTION.match(line)), lines[-1])


def _refuse_closed(address: str) -> None:
    """Try the address: Ray itself tries for many minutes.

    Raises:
        OSError: Nothing answers there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()


def begin(progress: Any, shard: int) -> int:
    """Tell the progress actor that a worker begins a shard, and return how often that was done before."""
    ray = import_optional("ray")
    try:
        return int(ray.get(progress.begin.remote(shard)))
    except ray.exceptions.RayError:
        # The node is being lost. An exception would end the whole command; of a worker that ends, Ray repeats the work.
        os._exit(1)


def node_id() -> str:
    """Return the identifier of the node of the cluster that this process runs on."""
    return str(import_optional("ray").get_runtime_context().get_node_id())
