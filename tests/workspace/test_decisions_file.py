"""Decisions and known clusters: they read back, follow renamed files, and strangers' files are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcluster import WorkspaceError
from imgcluster.workspace.decisions import DecidedImage, Decisions, read_decisions, write_decisions
from imgcluster.workspace.known_clusters import NOTHING_KNOWN, find_rows, read_known_clusters, write_known_clusters

A, B, C, D = (bytes([letter]) * 16 for letter in b"abcd")
IMAGES = {(A, "/photos/ä.jpg"): DecidedImage(8, "corrected"), (B, "/photos/b.jpg"): DecidedImage(-1, "unsorted")}
SOME = Decisions({3: "Strände"}, {5: 2}, frozenset({8}), IMAGES)
IMAGE = {"digest": A.hex(), "path": "/a", "cluster": 1, "decision": "pinned"}
VALID: dict[str, Any] = {"imgcluster_decisions": 1, "names": {}, "merges": [], "made": [], "images": []}


class TestDecisions:
    def test_they_read_back(self, tmp_path: Path) -> None:
        path = tmp_path / "decisions.json"
        assert read_decisions(path) == Decisions()
        write_decisions(path, SOME)
        assert read_decisions(path) == SOME
        assert SOME.shaped == {2, 8}
        write_decisions(path, Decisions())
        assert not path.exists()

    def test_images_are_found_by_content_and_by_path(self) -> None:
        decisions = Decisions(
            images=dict.fromkeys([(A, "/a"), (B, "/b"), (B, "/b2"), (C, "/gone")], DecidedImage(1, "pinned"))
        )
        # One copy of B has its path, the other was renamed; /a was edited.
        rows = decisions.rows([D, B, B], ["/a", "/b2", "/z"], known={})
        assert rows == {0: (A, "/a"), 1: (B, "/b2"), 2: (B, "/b")}
        # An image that was known before is no other one, but it may be renamed itself.
        known = {(B, "/z"): 2}
        assert decisions.rows([D, B, B], ["/a", "/b2", "/z"], known=known) == {0: (A, "/a"), 1: (B, "/b2")}
        known = {(B, "/b2"): 1, (B, "/b"): 0}
        assert decisions.rows([B, B], ["/c", "/d"], known=known) == {0: (B, "/b"), 1: (B, "/b2")}

    @pytest.mark.parametrize(
        "change",
        [
            {"imgcluster_decisions": 2},
            {"names": {"x": "sea"}},
            {"names": {"1": ""}},
            {"names": {"1": "a\nb"}},
            {"names": {"1": "x" * 81}},
            {"names": []},
            {"merges": [{"from": 1}]},
            {"merges": [{"from": -1, "into": 2}]},
            {"made": [True]},
            {"made": [1 << 40]},
            {"images": [IMAGE | {"digest": "zz"}]},
            {"images": [IMAGE | {"digest": "00"}]},
            {"images": [IMAGE | {"path": 5}]},
            {"images": [IMAGE | {"cluster": "1"}]},
            {"images": [IMAGE | {"cluster": -2}]},
            {"images": [IMAGE | {"decision": "mine"}]},
            {"images": [{"digest": A.hex(), "path": "/a", "cluster": 1}]},
        ],
    )
    def test_invalid_files_are_refused_in_one_line(self, tmp_path: Path, change: dict[str, Any]) -> None:
        path = tmp_path / "decisions.json"
        path.write_text(json.dumps(VALID), encoding="utf-8")
        assert read_decisions(path) == Decisions()
        path.write_text(json.dumps(VALID | change), encoding="utf-8")
        with pytest.raises(WorkspaceError, match=r"decisions\.json is damaged") as caught:
            read_decisions(path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"5", b"[" * 100_000])
    def test_files_of_other_kinds(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "decisions.json").write_bytes(data)
        with pytest.raises(WorkspaceError, match=r"decisions\.json"):
            read_decisions(tmp_path / "decisions.json")


class TestKnownClusters:
    def test_earlier_clusters_are_remembered_until_their_number_comes_back(self, tmp_path: Path) -> None:
        path = tmp_path / "known_clusters.parquet"
        assert read_known_clusters(path).highest == -1
        known = NOTHING_KNOWN.after(np.array([0, 0, 1]), [A, B, C], ["/a", "/b", "/c"], keep=())
        known = known.after(np.array([2, 2, -1]), [A, B, C], ["/a", "/b", "/c"], keep=())
        write_known_clusters(path, known)
        known = read_known_clusters(path)
        assert known.highest == 2
        assert known.clusters.tolist() == [2, 2, -1, 0, 0, 1]
        assert known.current.tolist() == [True] * 3 + [False] * 3
        known = known.after(np.array([0, 0, 0]), [A, B, C], ["/a", "/b", "/c"], keep=())
        assert (known.clusters.tolist(), known.highest) == ([0, 0, 0, 2, 2, 1], 2)

    def test_the_oldest_clusters_are_forgotten_but_not_those_to_keep(self) -> None:
        known = NOTHING_KNOWN
        for number in range(30):
            known = known.after(np.array([number]), [A], ["/a"], keep={3})
        assert known.clusters.tolist() == [29, *range(28, 18, -1), 3]
        assert known.highest == 29

    def test_renamed_images_and_copies(self) -> None:
        present, paths = [A, A, B, C], ["/1", "/2", "/3", "/4"]
        assert find_rows([B, A], ["/old", "/2"], present, paths).tolist() == [2, 1]
        assert find_rows([A, A, A], ["/2", "/x", "/y"], present, paths).tolist() == [1, 0, -1]
        assert find_rows([b"?" * 16], ["/1"], present, paths).tolist() == [-1]

    @pytest.mark.parametrize("data", [b"", b"PAR1", b"\x00" * 50])
    def test_a_damaged_file_is_refused(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "known_clusters.parquet").write_bytes(data)
        with pytest.raises(WorkspaceError, match=r"known_clusters\.parquet is damaged"):
            read_known_clusters(tmp_path / "known_clusters.parquet")
