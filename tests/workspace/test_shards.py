"""Shards: exact round trip, the newest row is current, and damaged shards are named."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import math
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.digests import DIGEST_BYTES
from imgcluster.types import TOP_CLASSES, ClassScores
from imgcluster.workspace import shards
from imgcluster.workspace.index import Index
from imgcluster.workspace.shard_file import Row, read_keys, read_rows, rows_of
from imgcluster.workspace.shard_writer import ShardWriter, remove_shards
from imgcluster.workspace.shards import all_shards, list_shards, load, summarize_shards

ENCODER = "photos 1 0123456789abcdef"

NAMES = ["plain.jpg", "日本/写真.jpg", "e\u0301.png", "\u00e9.png", r"bytes\xff.jpg", "a,b 'c' \"d\"\n.gif", "<b>.jpg"]


def make_row(path: str, *, content: int = 0, root: str = "/photos", size: int = 4) -> Row:
    """Return the row of an image; everything but its path follows from `content`."""
    generator = np.random.default_rng(content)
    return Row(
        path=path,
        root=root,
        size=1000 + content,
        mtime_ns=1_700_000_000_000_000_000 + content,
        digest=generator.bytes(DIGEST_BYTES),
        width=640 + content,
        height=480 + content,
        embedding=generator.normal(size=size).astype(np.float32),
        brightness=float(np.float32(content % 10 / 10)),
        color=float(np.float32(content % 7 / 7)),
        contrast=float(np.float32(content % 5 / 5)),
        sharpness=float(np.float32(content % 3 / 3)),
    )


def remove_statistics(shard: Path) -> None:
    """Rewrite a shard as by a version that measured no statistics."""
    import pyarrow.parquet as pq

    table = pq.read_table(shard, partitioning=None)
    pq.write_table(table.drop_columns(["brightness", "colour", "contrast", "sharpness"]), shard, compression="zstd")


def write(folder: Path, rows: list[Row], *, identity: str = ENCODER, rows_per_shard: int = 100) -> None:
    writer = ShardWriter(folder, identity, rows_per_shard=rows_per_shard)
    writer.add(rows)
    writer.flush()


def test_archived_shards_are_not_replaced_and_their_names_not_used_again(tmp_path: Path) -> None:
    """After a kill of `embed --fresh` the archive may have all shards."""
    folder, archive = tmp_path / "embeddings", tmp_path / "archive"
    folder.mkdir()
    write(folder, [make_row("a.jpg", content=1)])
    (old,) = all_shards(folder)
    content = old.read_bytes()
    remove_shards([old], archive)
    writer = ShardWriter(folder, ENCODER, archive=archive)
    writer.add([make_row("a.jpg", content=2)])
    writer.flush()
    assert [shard.name for shard in all_shards(folder)] == ["shard-000001.parquet"]
    # An earlier version used the name again.
    all_shards(folder)[0].rename(folder / old.name)
    remove_shards(all_shards(folder), archive)
    assert (all_shards(folder), (archive / old.name).read_bytes()) == ([], content)


class TestRoundTrip:
    @pytest.mark.parametrize("rows_per_shard", [1, 3, 100])
    def test_everything_is_read_back_sorted_by_path(self, tmp_path: Path, rows_per_shard: int) -> None:
        rows = [make_row(name, content=number) for number, name in enumerate(NAMES)]
        write(tmp_path, rows, rows_per_shard=rows_per_shard)
        answer = load(tmp_path, ENCODER)
        expected = sorted(rows, key=lambda row: f"/photos/{row.path}")
        assert answer.locations == [f"/photos/{row.path}" for row in expected]
        assert answer.vectors.dtype == np.float32
        assert answer.vectors.tobytes() == np.stack([row.embedding for row in expected]).tobytes()
        assert answer.sizes.dtype == np.int32
        assert answer.sizes.tolist() == [[row.width, row.height] for row in expected]
        assert answer.statistics.dtype == np.float32
        assert answer.statistics.tolist() == [
            [row.brightness, row.color, row.contrast, row.sharpness] for row in expected
        ]
        assert answer.roots == ("/photos",)

    def test_extreme_numbers_are_read_back_exactly(self, tmp_path: Path) -> None:
        odd = np.array([-0.0, np.finfo(np.float32).tiny / 4, np.finfo(np.float32).max, 1 / 3], np.float32)
        row = Row("a", "/r", 2**40, -1, bytes(range(16)), 2**31 - 1, 1, odd)
        write(tmp_path, [row])
        (back,) = rows_of(read_rows(all_shards(tmp_path)[0]))
        assert back.embedding.tobytes() == odd.tobytes()
        assert (back.path, back.root, back.size, back.mtime_ns, back.digest, back.width, back.height) == (
            ("a", "/r", 2**40, -1, bytes(range(16)), 2**31 - 1, 1)
        )

    def test_keys_exclude_the_vectors(self, tmp_path: Path) -> None:
        row = make_row(NAMES[1], content=3)
        write(tmp_path, [row])
        table = read_keys(all_shards(tmp_path)[0])
        assert table.to_pylist() == [
            {
                "path": row.path,
                "root": "/photos",
                "size": row.size,
                "mtime_ns": row.mtime_ns,
                "digest": row.digest,
            }
        ]

    def test_columns_and_types(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        write(tmp_path, [make_row("a")])
        schema = pq.read_schema(all_shards(tmp_path)[0])
        facts = ["path", "root", "size", "mtime_ns", "digest", "width", "height"]
        statistics = ["brightness", "colour", "contrast", "sharpness"]
        optional = ["captured", "camera", "orientation", "thumbnail", "companion"]
        assert schema.names == [*facts, *statistics, "source", *optional, "embedding"]
        assert [field.name for field in schema if field.nullable] == optional
        assert {schema.field(name).type for name in statistics} == {pa.float32()}
        assert schema.field("embedding").type == pa.list_(pa.float32(), 4)
        assert schema.field("digest").type == pa.binary(16)

    def test_shards_are_written_as_they_fill(self, tmp_path: Path) -> None:
        writer = ShardWriter(tmp_path, ENCODER, rows_per_shard=3)
        writer.add([make_row("a"), make_row("b")])
        assert all_shards(tmp_path) == []
        writer.add([make_row(str(number)) for number in range(6)])
        assert [path.name for path in all_shards(tmp_path)] == ["shard-000000.parquet", "shard-000001.parquet"]
        assert len(load(tmp_path, ENCODER).locations) == 6
        writer.flush()
        writer.flush()
        assert [len(read_keys(path)) for path in all_shards(tmp_path)] == [3, 3, 2]
        assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name for path in all_shards(tmp_path)]

    def test_a_later_writer_continues_the_numbers(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a")])
        write(tmp_path, [make_row("b")])
        remove_shards(all_shards(tmp_path)[:1])
        write(tmp_path, [make_row("c")])
        assert [path.name for path in all_shards(tmp_path)] == ["shard-000001.parquet", "shard-000002.parquet"]

    def test_shards_are_ordered_by_number_beyond_a_million(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a", content=1)])
        (tmp_path / "shard-000000.parquet").rename(tmp_path / "shard-999999.parquet")
        write(tmp_path, [make_row("a", content=2)])
        assert [path.name for path in all_shards(tmp_path)] == ["shard-999999.parquet", "shard-1000000.parquet"]
        assert load(tmp_path, ENCODER).sizes.tolist() == [[642, 482]]

    def test_other_files_are_ignored(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a")])
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / ".imgcluster-1-0.tmp").write_bytes(b"half a shard")
        assert load(tmp_path, ENCODER).locations == ["/photos/a"]
        assert len(all_shards(tmp_path)) == 1

    def test_an_empty_or_missing_folder(self, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "missing"):
            answer = load(folder, ENCODER)
            assert answer.locations == []
            assert answer.roots == ()
            assert answer.vectors.shape == (0, 0)
            assert answer.sizes.shape == (0, 2)
            assert summarize_shards(folder, ENCODER).images == 0
            assert summarize_shards(folder, ENCODER).fingerprint == answer.fingerprint


class TestNewestCounts:
    def test_the_higher_shard_wins(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a", content=1), make_row("b", content=2)])
        write(tmp_path, [make_row("a", content=3)])
        answer = load(tmp_path, ENCODER)
        assert answer.locations == ["/photos/a", "/photos/b"]
        assert np.array_equal(answer.vectors[0], make_row("a", content=3).embedding)
        assert np.array_equal(answer.vectors[1], make_row("b", content=2).embedding)
        assert answer.sizes.tolist() == [[643, 483], [642, 482]]

    def test_the_later_row_of_one_shard_wins(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a", content=1), make_row("a", content=2)])
        assert load(tmp_path, ENCODER).sizes.tolist() == [[642, 482]]

    def test_one_file_under_two_roots_is_one_image(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("sub/a", content=1), make_row("a", content=2, root="/photos/sub")])
        answer = load(tmp_path, ENCODER)
        assert answer.locations == ["/photos/sub/a"]
        assert answer.roots == ("/photos/sub",)
        assert answer.sizes.tolist() == [[642, 482]]

    @settings(max_examples=8, derandomize=True)
    @given(st.data())
    def test_the_order_of_adding_does_not_matter(self, data: st.DataObject) -> None:
        rows = [make_row(name, content=number) for number, name in enumerate(NAMES)]
        shuffled = data.draw(st.permutations(rows))
        size, other_size = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            write(Path(first), rows, rows_per_shard=size)
            write(Path(second), shuffled, rows_per_shard=other_size)
            one, other = load(Path(first), ENCODER), load(Path(second), ENCODER)
            assert summarize_shards(Path(second), ENCODER).fingerprint == one.fingerprint
        assert one.locations == other.locations
        assert one.vectors.tobytes() == other.vectors.tobytes()
        assert one.sizes.tobytes() == other.sizes.tobytes()
        assert one.roots == other.roots
        assert one.fingerprint == other.fingerprint


class TestFingerprint:
    def of(self, folder: Path, rows: list[Row], identity: str = ENCODER) -> str:
        write(folder, rows, identity=identity)
        answer = load(folder, identity)
        holdings = summarize_shards(folder, identity)
        assert (holdings.images, holdings.roots, holdings.fingerprint) == (
            len(answer.locations),
            answer.roots,
            answer.fingerprint,
        )
        return answer.fingerprint

    def test_it_changes_with_the_images_and_the_encoder(self, tmp_path: Path) -> None:
        a, b = make_row("a", content=1), make_row("b", content=2)
        swapped = [make_row("a", content=2), make_row("b", content=1)]
        seen = [
            self.of(tmp_path / "both", [a, b]),
            self.of(tmp_path / "one", [a]),
            self.of(tmp_path / "swapped", swapped),
            self.of(tmp_path / "content", [a, make_row("b", content=3)]),
            self.of(tmp_path / "name", [a, make_row("c", content=2)]),
            self.of(tmp_path / "root", [a, make_row("b", content=2, root="/other")]),
            self.of(tmp_path / "encoder", [a, b], identity="another"),
        ]
        assert len(set(seen)) == len(seen)

    def test_a_superseded_row_does_not_count(self, tmp_path: Path) -> None:
        a, b = make_row("a", content=1), make_row("b", content=2)
        write(tmp_path / "long", [make_row("a", content=7), b])
        assert self.of(tmp_path / "long", [a]) == self.of(tmp_path / "short", [a, b])


class TestOtherEncoders:
    def test_their_shards_are_ignored(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a", content=1, size=4)])
        write(tmp_path, [make_row("a", content=2, size=9), make_row("b", size=9)], identity="another")
        assert load(tmp_path, ENCODER).vectors.shape == (1, 4)
        assert load(tmp_path, "another").vectors.shape == (2, 9)
        assert summarize_shards(tmp_path, ENCODER).images == 1
        assert [path.name for path in list_shards(tmp_path, "another")] == ["shard-000001.parquet"]
        assert len(all_shards(tmp_path)) == 2
        assert load(tmp_path, "a third").locations == []

    def test_parquet_files_of_other_programs_are_ignored(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"x": [1]}), tmp_path / "shard-000000.parquet")
        assert load(tmp_path, ENCODER).locations == []


class TestOlderShards:
    def test_missing_statistics_are_nan(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a", content=1), make_row("c", content=3)])
        remove_statistics(all_shards(tmp_path)[0])
        write(tmp_path, [make_row("b", content=2)])
        answer = load(tmp_path, ENCODER)
        assert answer.locations == ["/photos/a", "/photos/b", "/photos/c"]
        assert np.isnan(answer.statistics[[0, 2]]).all()
        assert answer.statistics[1].tolist() == pytest.approx([0.2, 2 / 7, 0.4, 2 / 3])
        assert answer.sizes.tolist() == [[641, 481], [642, 482], [643, 483]]
        assert np.isfinite(answer.vectors).all()

    def test_the_fingerprint_is_the_same(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a", content=1)])
        before = load(tmp_path, ENCODER).fingerprint
        remove_statistics(all_shards(tmp_path)[0])
        assert load(tmp_path, ENCODER).fingerprint == summarize_shards(tmp_path, ENCODER).fingerprint == before

    def test_rows_of_both_kinds_are_written_together(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a", content=1)])
        remove_statistics(all_shards(tmp_path)[0])
        write(tmp_path, [make_row("b", content=2)])
        rows = [row for shard in all_shards(tmp_path) for row in rows_of(read_rows(shard))]
        assert math.isnan(rows[0].brightness)
        assert math.isnan(rows[0].color)
        write(tmp_path / "new", rows)
        answer = load(tmp_path / "new", ENCODER)
        assert np.isnan(answer.statistics[0]).all()
        assert answer.statistics[1].tolist() == pytest.approx([0.2, 2 / 7, 0.4, 2 / 3])

    def test_statistics_that_are_missing_alone_are_nan(self, tmp_path: Path) -> None:
        import pyarrow.parquet as pq

        write(tmp_path, [make_row("a", content=1)])
        (shard,) = all_shards(tmp_path)
        pq.write_table(pq.read_table(shard, partitioning=None).drop_columns(["contrast", "sharpness"]), shard)
        (row,) = load(tmp_path, ENCODER).statistics
        assert row[:2].tolist() == pytest.approx([0.1, 1 / 7])
        assert np.isnan(row[2:]).all()


READERS: list[Callable[[Path], object]] = [
    lambda folder: load(folder, ENCODER),
    lambda folder: summarize_shards(folder, ENCODER),
    lambda folder: Index(folder, ENCODER),
]


class TestDamage:
    @pytest.mark.parametrize("reader", READERS, ids=["load", "contents", "index"])
    @pytest.mark.parametrize("keep", [0, 3, 0.5, 0.99], ids=["empty", "magic only", "half", "without its end"])
    def test_a_truncated_shard_is_named_with_the_remedy(
        self, tmp_path: Path, keep: float, reader: Callable[[Path], object]
    ) -> None:
        write(tmp_path, [make_row(name) for name in NAMES], rows_per_shard=4)
        shard = all_shards(tmp_path)[1]
        data = shard.read_bytes()
        shard.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
        with pytest.raises(WorkspaceError, match=r"damaged .*delete that file") as caught:
            reader(tmp_path)
        assert str(caught.value).startswith(str(shard))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("streamed_from", [0, 1 << 30])
    def test_vectors_of_another_size(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed_from: int) -> None:
        monkeypatch.setattr(shards, "_STREAMED_FROM", streamed_from)
        write(tmp_path, [make_row("a"), make_row("b", size=2)], rows_per_shard=1)
        with pytest.raises(WorkspaceError, match=r"shard-000001\.parquet is damaged \(its vectors have 2 values"):
            np.array(load(tmp_path, ENCODER).vectors[np.arange(2)])

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "shard-000000.parquet").mkdir()
        with pytest.raises(WorkspaceError, match=r"shard-000000\.parquet"):
            load(tmp_path, ENCODER)

    def test_deleting_the_damaged_shard_helps(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row(name) for name in "abcd"], rows_per_shard=2)
        all_shards(tmp_path)[0].write_bytes(b"garbage")
        with pytest.raises(WorkspaceError, match=r"shard-000000\.parquet"):
            load(tmp_path, ENCODER)
        all_shards(tmp_path)[0].unlink()
        assert load(tmp_path, ENCODER).locations == ["/photos/c", "/photos/d"]

    @pytest.mark.slow
    def test_a_wrong_bit_anywhere_is_never_a_traceback(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row(f"é{number}.jpg", content=number) for number in range(5)])
        (shard,) = all_shards(tmp_path)
        # As earlier versions wrote it, without checksums.
        pq.write_table(pq.read_table(shard), shard)
        good = shard.read_bytes()
        generator = random.Random(0)
        unexpected = []
        for position in range(0, len(good), 5):
            data = bytearray(good)
            data[position] ^= generator.randrange(1, 256)
            shard.write_bytes(data)
            for reader in READERS:
                try:
                    reader(tmp_path)
                except WorkspaceError:
                    pass
                except Exception as error:
                    unexpected.append(f"byte {position} of {len(good)}: {type(error).__name__}: {error}")
        assert unexpected == []

    def test_a_wrong_bit_in_what_is_stored_is_reported(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row(f"é{number}.jpg", content=number) for number in range(5)])
        (shard,) = all_shards(tmp_path)
        good, rows = shard.read_bytes(), read_rows(shard)
        unnoticed = []
        for position in range(4, len(good), 2):
            data = bytearray(good)
            data[position] ^= 1 << position // 2 % 8
            shard.write_bytes(data)
            with contextlib.suppress(WorkspaceError):
                unnoticed += [] if read_rows(shard).equals(rows) else [position]
        assert unnoticed == []


class TestClassScores:
    @staticmethod
    def row(path: str, content: int) -> Row:
        scores = ClassScores(
            np.arange(content, content + TOP_CLASSES, dtype=np.int16),
            np.linspace(0.5, 0, TOP_CLASSES, dtype=np.float32),
        )
        return dataclasses.replace(make_row(path, content=content), scores=scores)

    def test_they_are_read_back(self, tmp_path: Path) -> None:
        write(tmp_path, [self.row("b", 2), self.row("a", 1)])
        scores = load(tmp_path, ENCODER).scores
        assert scores is not None
        assert scores.classes[:, 0].tolist() == [1, 2]
        np.testing.assert_array_equal(scores.probabilities[1], np.linspace(0.5, 0, TOP_CLASSES, dtype=np.float32))

    def test_images_without_them_have_the_probability_0(self, tmp_path: Path) -> None:
        write(tmp_path, [make_row("a", content=1)])
        assert load(tmp_path, ENCODER).scores is None
        write(tmp_path, [self.row("b", 2), make_row("c", content=3)])
        rows = [row for shard in all_shards(tmp_path) for row in rows_of(read_rows(shard))]
        assert rows[0].scores is None
        write(tmp_path / "new", rows)
        for folder in (tmp_path, tmp_path / "new"):
            scores = load(folder, ENCODER).scores
            assert scores is not None
            assert scores.probabilities.any(axis=1).tolist() == [False, True, False]
            assert scores.classes[1].tolist() == list(range(2, 2 + TOP_CLASSES))

    @pytest.mark.parametrize("fault", ["size", "type", "null"])
    def test_a_damaged_column_is_reported(self, tmp_path: Path, fault: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        write(tmp_path, [self.row("a", 1)])
        (shard,) = all_shards(tmp_path)
        table = pq.read_table(shard, partitioning=None)
        kind = pa.list_(pa.float64() if fault == "type" else pa.int16(), 2 if fault == "size" else TOP_CLASSES)
        values = None if fault == "null" else [1] * kind.list_size
        column = table.column_names.index("classes")
        pq.write_table(table.set_column(column, "classes", pa.array([values], type=kind)), shard)
        with pytest.raises(WorkspaceError, match="classes"):
            load(tmp_path, ENCODER)


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all_shards(tmp_path / "missing") == []

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(PermissionError):
        all_shards(tmp_path)
