"""What can be said of `embed --ray` without Ray; `tests/e2e/test_ray.py` runs a cluster."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imgcluster import RayClusterError, RayOptions, UsageError
from imgcluster.cli.app import app
from imgcluster.cli.ray_option import with_address
from imgcluster.commands.support.ray_nodes import Pool, fit_pool


@pytest.mark.parametrize(
    ("nodes", "options", "device", "expected"),
    [
        ([(16, 0.0), (16, 0.0), (8, 0.0)], {}, "auto", Pool(5, 8, 0.0)),
        ([(16, 0.0), (0, 0.0)], {}, "auto", Pool(1, 16, 0.0)),
        ([(16, 0.0), (7, 0.0)], {"cpus_per_worker": 4}, "auto", Pool(5, 4, 0.0)),
        ([(32, 4.0), (2, 0.0)], {}, "auto", Pool(4, 8, 1.0)),
        ([(32, 4.0), (2, 0.0)], {}, "cpu", Pool(17, 2, 0.0)),
        ([(32, 4.0)], {"gpus_per_worker": 0.5, "cpus_per_worker": 2}, "cuda", Pool(8, 2, 0.5)),
        ([(32, 4.0)], {"gpus_per_worker": 0, "cpus_per_worker": 10}, "auto", Pool(3, 10, 0)),
        ([(4, 8.0)], {}, "auto", Pool(4, 1, 1.0)),
    ],
)
def test_the_pool_fits_on_the_nodes(
    nodes: list[tuple[int, float]], options: dict[str, float], device: str, expected: Pool
) -> None:
    assert fit_pool(nodes, RayOptions(**options), device) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "options"), [([(2, 0.0)], {"cpus_per_worker": 4}), ([(2, 0.0)], {"gpus_per_worker": 1}), ([], {})]
)
def test_a_cluster_that_is_too_small_is_refused(nodes: list[tuple[int, float]], options: dict[str, int]) -> None:
    with pytest.raises(RayClusterError, match="--cpus-per-worker"):
        fit_pool(nodes, RayOptions(**options), "auto")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"cpus_per_worker": 0}, {"gpus_per_worker": -1}, {"gpus_per_worker": float("nan")}]
)
def test_shares_of_a_worker_are_positive(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="per-worker"):
        RayOptions(**options)  # type: ignore[arg-type]


def test_the_address_can_be_left_out() -> None:
    assert with_address(["in", "--ray"]) == ["in", "--ray", "auto"]
    assert with_address(["--ray", "in"]) == ["--ray", "auto", "in"]
    assert with_address(["--ray", "--json", "in"]) == ["--ray", "auto", "--json", "in"]
    for address in ("auto", "local", "10.0.0.1:6379", "ray://head:10001"):
        assert with_address(["--ray", address, "in"]) == ["--ray", address, "in"]
    assert with_address(["--", "--ray"]) == ["--", "--ray"]
    assert with_address([]) == []


def test_ray_excludes_what_other_processes_do(pictures: Path, tmp_path: Path) -> None:
    embed = ["embed", str(pictures), "-w", str(tmp_path / "out")]
    for arguments in (["--ray", "--shard", "0/2"], ["--ray", "--finish"], ["--cpus-per-worker", "2"]):
        done = CliRunner().invoke(app, [*embed, *arguments])
        assert (done.exit_code, "--ray" in done.stderr) == (2, True)
    run = ["run", *embed[1:]]
    for arguments in (["--ray", "--dry-run"], ["--gpus-per-worker", "1"]):
        done = CliRunner().invoke(app, [*run, *arguments])
        assert (done.exit_code, "--ray" in done.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="the extra `ray` is installed")
@pytest.mark.parametrize("command", ["embed", "run"])
def test_without_ray_the_extra_is_named(command: str, pictures: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [command, str(pictures), "--ray", "-w", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "pip install 'imgcluster[ray]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
