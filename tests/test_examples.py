"""The scripts in `examples/`, run by stand-ins for their schedulers: the same result as from one process."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imgcluster.cli.app import app

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="shell scripts")

# Each call is recorded in one write, since several run at once; the test then runs it in its own process.
IMGCLUSTER = 'printf "%s\\0" "$@" "--end--" >> "$CALLS"'
SBATCH = """
for word; do
    case $word in
    --array=0-*) last=${word#--array=0-} ;;
    --parsable) parsable=1 ;;
    --dependency=afterok:7) ;;
    --dependency=*) exit 1 ;;
    -*) ;;
    *) break ;;
    esac
    shift
done
for task in $(seq 0 "${last:-0}"); do
    SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_COUNT=$((${last:-0} + 1)) "$@" || exit 1
done
[ -z "${parsable:-}" ] || echo "7;cluster"
"""
SSH = '[ "$#" = 2 ] && exec sh -c "$2"'


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-ins first on the path, and return the file of the recorded calls."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in (("imgcluster", IMGCLUSTER), ("sbatch", SBATCH), ("ssh", SSH)):
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def recorded(calls: Path) -> list[list[str]]:
    lines = calls.read_text(encoding="utf-8").split("--end--\0")
    return [line.split("\0")[:-1] for line in lines if line]


def kubernetes(name: str, folder: Path, workspace: Path) -> None:
    """Run the container of a job once for each index."""
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    values = {entry["name"]: entry["value"] for entry in container["env"]}
    assert int(values.get("SHARDS", 1)) == spec.get("completions", 1) == spec.get("parallelism", 1)
    given = {"FOLDER": str(folder), "WORKSPACE": str(workspace)}
    assert given.keys() >= values.keys() - {"SHARDS"}
    for index in range(spec.get("completions", 1)):
        environment = os.environ | values | given | {"JOB_COMPLETION_INDEX": str(index)}
        subprocess.run([*container["command"], *container["args"]], env=environment, check=True)


@pytest.mark.parametrize("scheduler", ["slurm", "ssh", "kubernetes"])
def test_a_scheduler_runs_the_shards(
    scheduler: str, pictures: Path, tmp_path: Path, tiny_encoder: Path, calls: Path
) -> None:
    folder = pictures.rename(tmp_path / "it's my folder")
    out, single = tmp_path / "out of it", tmp_path / "single"
    if scheduler == "slurm":
        subprocess.run([EXAMPLES / "slurm.sh", folder, out, "3"], check=True)
    elif scheduler == "ssh":
        subprocess.run([EXAMPLES / "ssh.sh", folder, out, "one", "two", "three"], check=True)
    else:
        kubernetes("kubernetes-embed.yaml", folder, out)
        kubernetes("kubernetes-cluster.yaml", folder, out)
    lines = recorded(calls)
    assert [line[0] for line in lines] == ["embed"] * (len(lines) - 1) + ["cluster"]
    assert len({line[-1] for line in lines}) == len(lines) >= 4
    for line in [*lines, ["embed", str(folder), "-w", str(single)], ["cluster", "-w", str(single)]]:
        words = ["--encoder", str(tiny_encoder), "--device", "cpu", "--workers", "1"] if line[0] == "embed" else []
        result = CliRunner().invoke(app, [*line, *words])
        assert result.exit_code == 0, result.output
    assert (out / "assignments.csv").read_bytes() == (single / "assignments.csv").read_bytes()


def test_every_example_is_described() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    assert files == set(re.findall(r"`([\w.-]+\.(?:sh|yaml))`", text))
