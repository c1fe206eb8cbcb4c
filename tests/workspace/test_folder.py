"""The workspace folder: when a folder is accepted, its lock and its manifest."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import imgcluster
from imgcluster.errors import WorkspaceError, WorkspaceInUseError
from imgcluster.workspace.folder import FORMAT, Workspace, is_workspace

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(imgcluster.__file__).parents[1])}

HOLD_THE_LOCK = """
import sys
from imgcluster.workspace.folder import Workspace
with Workspace(sys.argv[1]).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the lock of a workspace."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(folder)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_folder_without_images_is_not_removed_from_under_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, unlink, begun = tmp_path / "out", Path.unlink, []

    def beginning_another(path: Path, missing_ok: bool = False) -> None:
        if path == out / ".imgcluster":
            with contextlib.suppress(WorkspaceInUseError), Workspace(out).locked():
                begun.append(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", beginning_another)
    with Workspace(out).locked():
        pass
    assert not begun
    assert not out.exists()


class TestFolder:
    def test_the_constructor_creates_nothing(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path / "out")
        assert not workspace.path.exists()
        assert not workspace.is_initialized
        assert workspace.manifest == {}
        assert workspace.read_metrics() == {}

    def test_locking_makes_a_new_folder_a_workspace(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path / "deep" / "out")
        with workspace.locked():
            assert workspace.is_initialized
            workspace.write_manifest({})
        assert workspace.marker.read_text(encoding="utf-8").startswith("This folder is a workspace of imgcluster")
        assert Workspace(workspace.path).is_initialized

    def test_a_new_folder_that_stays_empty_is_removed(self, tmp_path: Path) -> None:
        with Workspace(tmp_path / "out").locked():
            pass
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_folder_is_accepted(self, tmp_path: Path) -> None:
        with Workspace(tmp_path).locked():
            assert (tmp_path / ".imgcluster").is_file()

    @pytest.mark.parametrize("name", ["holiday.jpg", ".hidden", "manifest.json", "embeddings"])
    def test_a_folder_with_other_files_is_refused_and_not_changed(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(b"{}")
        with pytest.raises(WorkspaceError, match="other files.* -w DIR"):
            Workspace(tmp_path)
        assert os.listdir(tmp_path) == [name]

    @pytest.mark.parametrize(
        "names", [(".imgcluster", "photo.jpg"), (".imgcluster", "manifest.json"), (".imgcluster",)]
    )
    def test_a_file_of_the_user_with_the_name_of_the_marker(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        for name in names:
            (tmp_path / name).write_text("notes on my clusters\n", encoding="utf-8")
        assert not is_workspace(tmp_path)
        with pytest.raises(WorkspaceError, match="other files.* -w DIR"):
            Workspace(tmp_path)
        assert sorted(os.listdir(tmp_path)) == sorted(names)

    def test_a_damaged_marker_beside_embeddings(self, tmp_path: Path) -> None:
        with Workspace(tmp_path).locked():
            Workspace(tmp_path).write_manifest({})
            (tmp_path / "embeddings").mkdir()
        for content in (b"", b"\0" * 90):
            (tmp_path / ".imgcluster").write_bytes(content)
            assert Workspace(tmp_path).is_initialized
        (tmp_path / "manifest.json").unlink()
        (tmp_path / ".imgcluster").write_bytes(
            b"This folder is a workspace of imgcluster, which writes and removes its own files here.\r\n"
        )
        assert Workspace(tmp_path).is_initialized

    def test_an_empty_marker_of_a_killed_shard_is_completed(self, tmp_path: Path) -> None:
        for prepare in (Workspace.initialize, lambda workspace: workspace.locked().__enter__()):
            (tmp_path / ".imgcluster").write_bytes(b"")
            assert not Workspace(tmp_path).is_initialized
            prepare(Workspace(tmp_path))
            assert Workspace(tmp_path).is_initialized

    def test_a_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "photo.jpg"
        path.touch()
        with pytest.raises(WorkspaceError, match=r"photo\.jpg .* -w DIR"):
            Workspace(path)

    def test_a_link_to_nowhere_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "link"
        path.symlink_to(tmp_path / "nowhere")
        with pytest.raises(WorkspaceError, match="link .* -w DIR"):
            Workspace(path)

    def test_a_link_to_a_workspace_is_one(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        with Workspace(tmp_path / "real").locked():
            pass
        (tmp_path / "link").symlink_to(tmp_path / "real")
        assert Workspace(tmp_path / "link").is_initialized

    def test_the_path_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        workspace = Workspace("out")
        assert workspace.path == tmp_path / "out"
        assert Workspace("a/../out").path == tmp_path / "out"

    def test_a_folder_is_accepted_after_a_kill_before_the_marker(self, tmp_path: Path) -> None:
        script = (
            "import os, sys\n"
            "from imgcluster.workspace.folder import Workspace\n"
            "os.replace = lambda *names: os._exit(9)\n"
            "with Workspace(sys.argv[1]).locked():\n"
            "    pass\n"
        )
        folder = tmp_path / "out"
        done = subprocess.run([sys.executable, "-c", script, str(folder)], env=ENVIRONMENT, timeout=60, check=False)
        assert done.returncode == 9
        assert not (folder / ".imgcluster").exists()
        with Workspace(folder).locked():
            assert (folder / ".imgcluster").is_file()

    def test_names_of_files(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path)
        named = {
            workspace.embeddings: "embeddings",
            workspace.skipped: "skipped.csv",
            workspace.assignments: "assignments.csv",
            workspace.clusters_table: "clusters.csv",
            workspace.metrics: "metrics.json",
            workspace.clusters: "clusters",
            workspace.report: "report.html",
        }
        assert all(path == tmp_path / name for path, name in named.items())


class TestLock:
    def test_a_second_process_is_kept_out(self, tmp_path: Path) -> None:
        message = f"another imgcluster .*{re.escape(str(tmp_path))}.* -w DIR"
        workspace = Workspace(tmp_path)
        with another_process(tmp_path), pytest.raises(WorkspaceError, match=message), workspace.locked():
            pytest.fail("two processes hold one lock")

    def test_a_kill_releases_it(self, tmp_path: Path) -> None:
        with another_process(tmp_path) as process:
            process.kill()
            process.wait(timeout=30)
            with Workspace(tmp_path).locked():
                pass

    def test_an_error_releases_it(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="inside"), Workspace(tmp_path).locked():
            raise RuntimeError("inside")
        with Workspace(tmp_path).locked():
            pass

    def test_it_applies_within_one_process(self, tmp_path: Path) -> None:
        first, second = Workspace(tmp_path), Workspace(tmp_path)
        with first.locked(), pytest.raises(WorkspaceError, match="another imgcluster"), second.locked():
            pytest.fail("two blocks hold one lock")

    def test_other_workspaces_are_not_locked(self, tmp_path: Path) -> None:
        with Workspace(tmp_path / "a").locked(), Workspace(tmp_path / "b").locked():
            pass


class TestManifest:
    def test_it_reads_back_with_its_format(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path / "out")
        with workspace.locked():
            workspace.write_manifest({"encoder": {"name": "photos"}, "base": "/ä/日本"})
        assert Workspace(workspace.path).manifest == {
            "format": FORMAT,
            "encoder": {"name": "photos"},
            "base": "/ä/日本",
        }

    def test_a_newer_format_is_refused(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path / "out")
        with workspace.locked():
            workspace.write_manifest({"format": FORMAT + 1})
        with (
            pytest.raises(WorkspaceError, match=f"version {FORMAT + 1}.* version {FORMAT}.*upgrade"),
            workspace.locked(),
        ):
            pass

    @pytest.mark.parametrize(
        "data", [b"", b"{", b'{"format": 1', b"\xff\xfe{}", b"[]", b"null", b'{"format": "two"}', b'{"format": null}']
    )
    def test_a_damaged_manifest_is_named_with_the_remedy(self, tmp_path: Path, data: bytes) -> None:
        with Workspace(tmp_path).locked():
            (tmp_path / "manifest.json").write_bytes(data)
        workspace = Workspace(tmp_path)
        with pytest.raises(WorkspaceError, match=r"manifest\.json .*delete that file"), workspace.locked():
            pass

    def test_damaged_metrics_are_named(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path)
        workspace.metrics.write_bytes(b"{")
        with pytest.raises(WorkspaceError, match=r"metrics\.json"):
            workspace.read_metrics()
