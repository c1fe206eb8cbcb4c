"""Three Ray nodes embed one collection, also when workers and a node are killed: the same bytes as from one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgcluster
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import load
from samples import paint

pytest.importorskip("ray", reason="the extra `ray` is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imgcluster", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster of three nodes with one processor each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, one of them damaged, and a file that is not an image."""
    paint(tmp_path / "in", per_folder=200)
    (tmp_path / "in/red/damaged.png").write_bytes((tmp_path / "in/red/00.png").read_bytes()[:60])
    (tmp_path / "in/notes.txt").write_text("not an image")
    return tmp_path


def assert_like_one_process(folder: Path, out: Path) -> None:
    single = folder / "single"
    assert run("embed", folder / "in", "--encoder", "photos-fast", "--device", "cpu", "-w", single).returncode == 0
    for workspace in (out, single):
        done = run("cluster", "-k", "3", "--place", "none", "-w", workspace)
        assert done.returncode == 0, done.stderr
    for name in ("assignments.csv", "skipped.csv"):
        assert (out / name).read_bytes() == (single / name).read_bytes()
    workspace = Workspace(out)
    rows = load(workspace.embeddings, workspace.manifest["encoder"]["identity"]).locations
    assert (len(rows), len(set(rows))) == (600, 600)


def test_three_nodes(cluster: Any, folder: Path) -> None:
    out = folder / "out"
    embed = ["embed", folder / "in", "--encoder", "photos-fast", "-w", out, "--json", "--ray", cluster.address]
    done = run(*embed)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["embedded"], summary["new"], summary["skipped"], summary["ignored"]) == (600, 600, 1, 1)
    assert len({node["node"] for node in summary["nodes"]}) == 3
    assert sum(node["images"] for node in summary["nodes"]) == 600
    assert sum(node["shards"] for node in summary["nodes"]) == 12
    assert {node["device"] for node in summary["nodes"]} == {"cpu"}
    again = json.loads(run(*embed).stdout)
    assert (again["new"], again["unchanged"]) == (0, 600)
    assert_like_one_process(folder, out)


def test_run_embeds_and_clusters(cluster: Any, folder: Path) -> None:
    """Also after a run whose workers were lost: the shards are there, and not all of them are complete."""
    out, single = folder / "out", folder / "single"
    options = ["--encoder", "photos-fast", "--device", "cpu", "-k", "3", "--place", "none", "--json"]
    begun = run("embed", folder / "in", "--encoder", "photos-fast", "--device", "cpu", "-w", out, "--shard", "0/5")
    assert begun.returncode == 0, begun.stderr
    done = run("run", folder / "in", *options, "-w", out, "--ray", cluster.address, "--cpus-per-worker", "1")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["embed"]["embedded"], summary["cluster"]["images"]) == (600, 600)
    assert sum(node["shards"] for node in summary["embed"]["nodes"]) == 5
    alone = run("run", folder / "in", *options, "-w", single)
    assert alone.returncode == 0, alone.stderr
    for name in ("assignments.csv", "clusters.csv", "skipped.csv"):
        assert (out / name).read_bytes() == (single / name).read_bytes()
    again = json.loads(run("run", folder / "in", *options, "-w", out, "--ray", cluster.address).stdout)
    assert (again["embed"]["new"], again["embed"]["unchanged"]) == (0, 600)
    assert again["cluster"]["clusters"] == summary["cluster"]["clusters"]


def test_an_error_of_a_worker_ends_the_command(cluster: Any, folder: Path) -> None:
    done = run("embed", folder / "in", "--device", "cuda", "-w", folder / "out", "--ray", cluster.address)
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 1
    assert "cuda" in done.stderr
    too_large = run("embed", folder / "in", "-w", folder / "out", "--ray", cluster.address, "--cpus-per-worker", "2")
    assert (too_large.returncode, "2 CPUs" in too_large.stderr) == (1, True)


def workers(cluster: Any) -> list[int]:
    """Return the processes of the pool."""
    raylets = {process.process.pid for node in cluster.list_all_nodes() for process in node.all_processes["raylet"]}
    return [pid for pid, command in children(raylets) if b"_Worker" in command]


def children(parents: set[int]) -> Iterator[tuple[int, bytes]]:
    """Yield each process that one of `parents` started, with its command line."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) in parents:
                yield int(path.name), (path / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue


def has_board(node: Any) -> bool:
    """Return whether the command is connected to the cluster through this node: without it, it cannot go on."""
    raylets = {process.process.pid for process in node.all_processes["raylet"]}
    return any(b"ray::ProgressActor" in command for _, command in children(raylets))


def holder(cluster: Any, file: Path) -> int | None:
    """Return the worker that has a file open."""
    for pid in workers(cluster):
        try:
            if any(os.path.realpath(entry) == str(file) for entry in Path(f"/proc/{pid}/fd").iterdir()):
                return pid
        except OSError:
            continue
    return None


def state(shard: Path) -> str:
    """Return what the manifest of a shard says; "" before it is written."""
    try:
        return str(json.loads((shard / "manifest.json").read_text(encoding="utf-8")).get("state", ""))
    except (OSError, ValueError):
        return ""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="workers are found through /proc")
def test_killed_workers_and_a_killed_node(cluster: Any, folder: Path) -> None:
    out, killed = folder / "out", []

    def kill_one(pids: list[int]) -> bool:
        if pids:
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])
        return bool(pids)

    def in_state(wanted: str) -> Callable[[], bool]:
        def kill() -> bool:
            shards = [path.parent for path in (out / "shards").glob("*/.lock") if state(path.parent) == wanted]
            return kill_one([pid for shard in shards if (pid := holder(cluster, shard / ".lock")) is not None])

        return kill

    def complete() -> int:
        return sum(state(path) == "embedded" for path in (out / "shards").glob("*"))

    def node() -> bool:
        if complete() < 4:
            return False
        cluster.remove_node(next(node for node in cluster.worker_nodes if not has_board(node)), allow_graceful=False)
        killed.append(0)
        return True

    stages = [
        lambda: kill_one(workers(cluster)),  # while the encoder is loaded
        in_state(""),  # before the first row
        in_state("embedding"),
        lambda: bool(complete()) and kill_one(workers(cluster)),  # when a shard is complete and its row on its way
        node,
    ]
    ended = threading.Event()

    def kill_all() -> None:
        for stage in stages:
            while not ended.is_set() and not stage():
                time.sleep(0.002)

    thread = threading.Thread(target=kill_all)
    thread.start()
    done = run(
        *("embed", folder / "in", "--encoder", "photos-fast", "-w", out, "--json"),
        *("--ray", cluster.address, "--batch-size", "1", "--workers", "1"),
    )
    ended.set()
    thread.join()
    assert done.returncode == 0, done.stderr
    assert len(killed) == len(stages)
    summary = json.loads(done.stdout)
    assert (summary["embedded"], summary["new"], summary["skipped"]) == (600, 600, 1)
    assert any("begun again" in note for note in summary["notes"])
    assert_like_one_process(folder, out)


def test_clusters_are_those_of_one_process(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors in shards, most of them interpolated in tasks."""
    monkeypatch.setattr("imgcluster.workspace.shards._STREAMED_FROM", 1 << 20)
    monkeypatch.setattr("imgcluster.workspace.stored_vectors._PART_BYTES", 1 << 20)
    monkeypatch.setattr("imgcluster.features.reduce._GRAPH_SAMPLE", 1000)
    monkeypatch.setattr("imgcluster.features.reduce._INTERPOLATED_AT_ONCE", 1 << 11)
    monkeypatch.setattr("imgcluster.features.reduce._PAIR_BUDGET", 1e6)
    generator = np.random.default_rng(0)
    centers = generator.standard_normal((6, 160))
    vectors = centers[generator.integers(6, size=6000)] + 0.5 * generator.standard_normal((6000, 160))
    np.save(tmp_path / "vectors.npy", vectors.astype(np.float32))
    (tmp_path / "paths.txt").write_text("".join(f"{number:04d}.jpg\n" for number in range(6000)), encoding="utf-8")
    for name in ("single", "many"):
        files = (tmp_path / "vectors.npy", tmp_path / "paths.txt")
        imgcluster.import_vectors(*files, workspace=tmp_path / name, root="/images")
    single = imgcluster.cluster(workspace=tmp_path / "single", k=6, place="none")
    assert single.parameters["sample"] == 1000
    address = imgcluster.RayOptions(address=cluster.address)
    many = imgcluster.cluster_on_ray(workspace=tmp_path / "many", k=6, place="none", ray=address)
    assert many.clusters == single.clusters
    for name in ("assignments.csv", "clusters.csv"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "single" / name).read_bytes()
