"""The index: lookup, removal of outdated rows, and that a kill between any two steps loses nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.workspace import shard_writer
from imgcluster.workspace.index import Index, StoredImage
from imgcluster.workspace.shard_file import Row, read_keys, read_rows, rows_of
from imgcluster.workspace.shard_writer import ShardWriter
from imgcluster.workspace.shards import all_shards, load

ENCODER = "photos 1"


@dataclass(frozen=True)
class File:
    """A found file: `content` stands for its bytes."""

    content: int
    mtime_ns: int = 0

    @property
    def digest(self) -> bytes:
        return self.content.to_bytes(16, "big")


def row(path: str, file: File, root: str = "/photos") -> Row:
    vector = np.array([file.content, -file.content, 0.5], np.float32)
    return Row(path, root, 100, file.mtime_ns, file.digest, file.content + 1, 7, vector)


def write(folder: Path, rows: list[Row], *, identity: str = ENCODER, rows_per_shard: int = 100) -> None:
    writer = ShardWriter(folder, identity, rows_per_shard=rows_per_shard)
    writer.add(rows)
    writer.flush()


def stored(folder: Path) -> list[Row]:
    return [row for shard in all_shards(folder) for row in rows_of(read_rows(shard))]


def times(folder: Path) -> dict[str, int]:
    return {row.path: row.mtime_ns for row in stored(folder)}


def known(index: Index, location: str) -> StoredImage:
    found = index.find(location)
    assert found is not None
    return found


class Killed(BaseException):
    pass


class TestFind:
    def test_a_stored_image_is_found_with_size_time_and_digest(self, tmp_path: Path) -> None:
        write(tmp_path, [row(f"{number}.jpg", File(number, 10 + number)) for number in range(5)], rows_per_shard=2)
        index = Index(tmp_path, ENCODER)
        assert len(index) == 5
        for number in range(5):
            found = index.find(f"/photos/{number}.jpg")
            assert found is not None
            assert (found.size, found.mtime_ns, found.digest) == (100, 10 + number, File(number).digest)
        assert index.find("/photos/5.jpg") is None
        assert index.find("0.jpg") is None
        assert not index.has_outdated_rows

    @pytest.mark.parametrize("location", ["/photos/日本.jpg", r"/photos/bytes\xff.jpg", "/photos/e\u0301", "/photos/é"])
    def test_any_name(self, tmp_path: Path, location: str) -> None:
        write(tmp_path, [row(location.removeprefix("/photos/"), File(1))])
        index = Index(tmp_path, ENCODER)
        assert index.find(location) is not None
        assert index.find(location + "x") is None

    def test_the_location_counts_and_not_the_root(self, tmp_path: Path) -> None:
        write(tmp_path, [row("sub/a.jpg", File(1))])
        write(tmp_path, [row("a.jpg", File(2), root="/photos/sub")])
        index = Index(tmp_path, ENCODER)
        assert len(index) == 1
        found = index.find("/photos/sub/a.jpg")
        assert found is not None
        assert found.digest == File(2).digest

    def test_the_newest_row_is_found(self, tmp_path: Path) -> None:
        write(tmp_path, [row("a", File(1)), row("b", File(1))])
        write(tmp_path, [row("a", File(2)), row("a", File(3))])
        index = Index(tmp_path, ENCODER)
        assert len(index) == 2
        assert index.has_outdated_rows
        found = index.find("/photos/a")
        assert found is not None
        assert found.digest == File(3).digest

    def test_an_empty_or_missing_folder(self, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "missing"):
            index = Index(folder, ENCODER)
            assert len(index) == 0
            assert index.find("/photos/a") is None
            assert not index.has_outdated_rows
            assert len(index.drop_unseen({"/photos/a"})) == 0
            index.compact(ShardWriter(folder, ENCODER))
            assert all_shards(folder) == []

    def test_an_outdated_image_is_not_found(self, tmp_path: Path) -> None:
        write(tmp_path, [row("a", File(1)), row("b", File(1))])
        index = Index(tmp_path, ENCODER)
        index.mark_outdated(known(index, "/photos/a"))
        assert index.find("/photos/a") is None
        assert index.find("/photos/b") is not None
        assert len(index) == 1

    def test_a_fresh_index_is_empty(self, tmp_path: Path) -> None:
        write(tmp_path, [row("a", File(1))])
        index = Index(tmp_path, ENCODER, fresh=True)
        assert index.find("/photos/a") is None
        assert index.has_outdated_rows
        writer = ShardWriter(tmp_path, ENCODER)
        writer.add([row("b", File(2))])
        index.compact(writer)
        assert load(tmp_path, ENCODER).locations == ["/photos/b"]
        assert len(all_shards(tmp_path)) == 1


class TestDropUnseen:
    def test_images_that_were_not_marked_are_dropped(self, tmp_path: Path) -> None:
        write(tmp_path, [row(name, File(1)) for name in "abcd"], rows_per_shard=3)
        index = Index(tmp_path, ENCODER)
        index.mark_unchanged(known(index, "/photos/a"), 0)
        index.mark_outdated(known(index, "/photos/b"))
        # b is outdated, which is not counted.
        assert len(index.drop_unseen({f"/photos/{name}" for name in "abcd"})) == 2
        index.compact(ShardWriter(tmp_path, ENCODER))
        assert load(tmp_path, ENCODER).locations == ["/photos/a"]

    def test_images_outside_the_scope_are_kept(self, tmp_path: Path) -> None:
        class Below:
            def __contains__(self, location: object) -> bool:
                return str(location).startswith("/photos/x/")

        write(tmp_path, [row("x/a", File(1)), row("y/a", File(1))])
        index = Index(tmp_path, ENCODER)
        assert len(index.drop_unseen(Below())) == 1
        index.compact(ShardWriter(tmp_path, ENCODER))
        assert load(tmp_path, ENCODER).locations == ["/photos/y/a"]

    def test_a_shard_without_images_is_removed(self, tmp_path: Path) -> None:
        write(tmp_path, [row("a", File(1))])
        index = Index(tmp_path, ENCODER)
        assert len(index.drop_unseen({"/photos/a"})) == 1
        index.compact(ShardWriter(tmp_path, ENCODER))
        assert all_shards(tmp_path) == []


class TestCompact:
    def test_shards_in_order_are_not_written_again(self, tmp_path: Path) -> None:
        write(tmp_path, [row(name, File(1)) for name in "abcdef"], rows_per_shard=2)
        before = {path.name: path.stat().st_mtime_ns for path in all_shards(tmp_path)}
        index = Index(tmp_path, ENCODER)
        for name in "abdef":
            index.mark_unchanged(known(index, f"/photos/{name}"), 0)
        index.drop_unseen({f"/photos/{name}" for name in "abcdef"})
        index.compact(ShardWriter(tmp_path, ENCODER))
        after = {path.name: path.stat().st_mtime_ns for path in all_shards(tmp_path)}
        assert sorted(after) == ["shard-000000.parquet", "shard-000002.parquet", "shard-000003.parquet"]
        assert all(after[name] == before[name] for name in after if name in before)

    def test_new_modification_times_are_stored(self, tmp_path: Path) -> None:
        write(tmp_path, [row(name, File(1, 5)) for name in "abcdef"], rows_per_shard=3)
        index = Index(tmp_path, ENCODER)
        for name, mtime in zip("abcdef", [5, 5, 5, 5, 99, 5], strict=True):
            index.mark_unchanged(known(index, f"/photos/{name}"), mtime)
        index.compact(ShardWriter(tmp_path, ENCODER))
        assert times(tmp_path) == {"a": 5, "b": 5, "c": 5, "d": 5, "e": 99, "f": 5}
        assert [path.name for path in all_shards(tmp_path)] == ["shard-000000.parquet", "shard-000002.parquet"]
        again = Index(tmp_path, ENCODER).find("/photos/e")
        assert again is not None
        assert again.mtime_ns == 99

    @pytest.mark.parametrize(("runs", "left"), [(7, 7), (8, 1), (20, 1)])
    def test_many_small_shards_become_one(self, tmp_path: Path, runs: int, left: int) -> None:
        for number in range(runs):
            write(tmp_path, [row(str(number), File(number, number))])
        before = load(tmp_path, ENCODER)
        index = Index(tmp_path, ENCODER)
        for number in range(runs):
            index.mark_unchanged(known(index, f"/photos/{number}"), number)
        index.compact(ShardWriter(tmp_path, ENCODER))
        assert len(all_shards(tmp_path)) == left
        after = load(tmp_path, ENCODER)
        assert after.locations == before.locations
        assert after.vectors.tobytes() == before.vectors.tobytes()
        assert after.fingerprint == before.fingerprint
        assert times(tmp_path) == {str(number): number for number in range(runs)}

    def test_shards_of_another_encoder_are_removed(self, tmp_path: Path) -> None:
        write(tmp_path, [row("a", File(1))], identity="another")
        write(tmp_path, [row("b", File(1))])
        index = Index(tmp_path, ENCODER)
        assert index.has_outdated_rows
        index.compact(ShardWriter(tmp_path, ENCODER))
        assert load(tmp_path, "another").locations == []
        assert load(tmp_path, ENCODER).locations == ["/photos/b"]

    def test_duplicates_after_a_kill_before_removing_are_resolved(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path, [row("a", File(1)), row("b", File(2)), row("c", File(3, 5))])
        index = Index(tmp_path, ENCODER)
        index.mark_outdated(known(index, "/photos/a"))
        index.mark_unchanged(known(index, "/photos/c"), 77)
        writer = ShardWriter(tmp_path, ENCODER)
        writer.add([row("a", File(9))])
        writer.flush()

        def kill(*_: object) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(shard_writer, "remove_shards", kill)
            with pytest.raises(Killed):
                index.compact(writer)
        assert len(stored(tmp_path)) > 3

        answer = load(tmp_path, ENCODER)
        assert answer.locations == ["/photos/a", "/photos/b", "/photos/c"]
        assert answer.vectors[:, 0].tolist() == [9, 2, 3]
        again = Index(tmp_path, ENCODER)
        assert len(again) == 3
        assert again.has_outdated_rows
        touched = again.find("/photos/c")
        assert touched is not None
        assert touched.mtime_ns == 77
        again.compact(ShardWriter(tmp_path, ENCODER))
        assert sorted(row.path for row in stored(tmp_path)) == ["a", "b", "c"]
        assert load(tmp_path, ENCODER).fingerprint == answer.fingerprint


@dataclass
class Store:
    """Embeddings that are updated as `embed` does, and the expected files."""

    folder: Path
    expected: dict[str, File] = field(default_factory=dict)

    def run(self, found: dict[str, File], roots: set[str], *, stop: str, rows_per_shard: int) -> None:
        """Update the store to the files `found` in `roots`; `stop` names the step before which a kill interrupts it."""
        index = Index(self.folder, ENCODER)
        writer = ShardWriter(self.folder, ENCODER, rows_per_shard=rows_per_shard)
        for number, (location, file) in enumerate(sorted(found.items())):
            if stop == "reading" and number == len(found) // 2:
                return
            before = index.find(location)
            if before is not None and (before.digest == file.digest):
                index.mark_unchanged(before, file.mtime_ns)
                continue
            if before is not None:
                index.mark_outdated(before)
            root, _, path = location.rpartition("/")
            writer.add([row(path, file, root)])
        in_scope = {location for location in self.expected if location.rpartition("/")[0] in roots}
        vanished = len(index.drop_unseen(in_scope))
        assert vanished == len(in_scope - set(found)) or stop != "never"
        if stop == "before flushing":
            return
        writer.flush()
        if stop == "before compacting":
            return
        remove: Callable[..., None] = shard_writer.remove_shards
        if stop == "before removing":
            shard_writer.remove_shards = lambda shards, archive: None
        elif stop == "while removing":
            shard_writer.remove_shards = lambda shards, archive: remove(shards[: len(shards) // 2])
        try:
            index.compact(writer)
        finally:
            shard_writer.remove_shards = remove

    def check(self, allowed: dict[str, set[File]]) -> None:
        answer = load(self.folder, ENCODER)
        assert len(set(answer.locations)) == len(answer.locations)
        for location, vector in zip(answer.locations, answer.vectors, strict=True):
            assert int(vector[0]) in {file.content for file in allowed[location]}


STOPS = ["never", "reading", "before flushing", "before compacting", "before removing", "while removing"]
locations = st.sampled_from([f"/photos/{folder}/{name}" for folder in ("x", "y") for name in "abc"])
files = st.builds(File, st.integers(0, 3), st.integers(0, 2))
walks = st.tuples(
    st.dictionaries(locations, files, max_size=6),
    st.sampled_from([("/photos/x",), ("/photos/x", "/photos/y")]),
    st.sampled_from(STOPS),
)


@settings(max_examples=20, derandomize=True)
@given(st.lists(walks, min_size=1, max_size=5), st.integers(1, 4))
def test_a_complete_run_is_right_after_any_changes_and_interruptions(
    runs: list[tuple[dict[str, File], tuple[str, ...], str]], rows_per_shard: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        # Flushing takes most of the time and has no visible effect here.
        patch.setattr("os.fsync", lambda descriptor: None)
        store = Store(Path(folder))
        allowed: dict[str, set[File]] = {}
        for walk, roots, stop in runs:
            found = {location: file for location, file in walk.items() if location.rpartition("/")[0] in roots}
            for location, file in found.items():
                allowed.setdefault(location, set()).add(file)
            store.run(found, set(roots), stop=stop, rows_per_shard=rows_per_shard)
            store.check(allowed)
            if stop == "never":
                outside = {k: v for k, v in store.expected.items() if k.rpartition("/")[0] not in roots}
                store.expected = outside | found
            else:
                # A complete run, so that the expected files are known.
                found = store.expected | found
                store.expected = dict.fromkeys([*store.expected, *load(store.folder, ENCODER).locations], File(0))
                store.run(found, {"/photos/x", "/photos/y"}, stop="never", rows_per_shard=rows_per_shard)
                for location, file in found.items():
                    allowed.setdefault(location, set()).add(file)
                store.expected = found

            answer = load(store.folder, ENCODER)
            assert answer.locations == sorted(store.expected)
            expected = [float(store.expected[location].content) for location in answer.locations]
            assert answer.vectors.reshape(-1, 3)[:, 0].tolist() == expected if expected else answer.vectors.size == 0
            index = Index(store.folder, ENCODER)
            assert not index.has_outdated_rows
            assert len(index) == len(store.expected) == sum(len(read_keys(shard)) for shard in all_shards(store.folder))
            for location, file in store.expected.items():
                found_again = index.find(location)
                assert found_again is not None
                assert (found_again.digest, found_again.mtime_ns) == (file.digest, file.mtime_ns)
