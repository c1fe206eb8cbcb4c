"""CSV tables: any text is read back unchanged, and invalid tables are refused."""

from __future__ import annotations

import csv
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.csv_tables import field, read_table, write_table
from imgcluster.workspace.table_columns import ASSIGNMENTS, CLUSTERS, SKIPPED

# Any character of a path as text: all but NUL and lone surrogates.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12) | st.text(
    st.sampled_from(list(",\"'\r\n\ufeff;\t \\=é")), max_size=8
)


@settings(max_examples=150, derandomize=True)
@given(st.lists(st.tuples(texts, texts), max_size=6))
@example([("\ufeffa", "b\r"), ("", ""), ("\n", '"'), ("a\r\nb", "\r"), (" a ", ",")])
def test_any_text_is_read_back(rows: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "skipped.csv"
        write_table(path, SKIPPED, rows)
        assert [(row["path"], row["reason"]) for row in read_table(path, SKIPPED)] == rows
        # Another reader of RFC 4180 agrees on the harmless texts.
        with path.open(encoding="utf-8", newline="") as file:
            assert list(csv.reader(file)) == [list(SKIPPED), *([field(text) for text in row] for row in rows)]


@settings(max_examples=50, derandomize=True)
@given(st.lists(texts, max_size=6))
def test_a_table_of_one_column_keeps_empty_fields(values: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.csv"
        write_table(path, ["path"], [[value] for value in values])
        assert [row["path"] for row in read_table(path, ["path"])] == values


def test_format_of_values(tmp_path: Path) -> None:
    path = tmp_path / "assignments.csv"
    write_table(path, ASSIGNMENTS, [("a.jpg", -1, 0.5, None, False, 0), ("b,c.jpg", 0, 1, 0.25, True, None)])
    assert path.read_bytes() == (
        b'path,cluster,confidence,distance,is_medoid,runner_up\na.jpg,-1,0.5,,false,0\n"b,c.jpg",0,1,0.25,true,\n'
    )
    columns = "cluster size share medoid mean_distance silhouette stability mean_confidence suggested_name name"
    assert columns.split() == list(CLUSTERS)


def test_a_table_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "skipped.csv"
    write_table(path, SKIPPED, [])
    assert path.read_bytes() == b"path,reason\n"
    assert list(read_table(path, SKIPPED)) == []


def test_an_error_while_writing_keeps_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "skipped.csv"
    write_table(path, SKIPPED, [("old", "why")])

    def rows():  # type: ignore[no-untyped-def]
        yield ("new", "why")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_table(path, SKIPPED, rows())
    assert [row["path"] for row in read_table(path, SKIPPED)] == ["old"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["skipped.csv"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfpath,label\r\na.jpg,cat\r\n",
        b'"label","path"\n"cat","a.jpg"',
        b"extra,path,label\n1,a.jpg,cat\n\n",
        b"note,path,label,note,,\n1,a.jpg,cat,2,,\n",
    ],
    ids=["byte order mark and CRLF", "other order, no last line end", "more columns, an empty line", "equal columns"],
)
def test_tables_of_other_programs(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(data)
    assert [(row["path"], row["label"]) for row in read_table(path, ("path", "label"))] == [("a.jpg", "cat")]


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_separators_of_all_locales(tmp_path: Path, sign: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f'\ufeff"path"{sign}label\r\n"a{sign}b.jpg"{sign}cat\r\n', encoding="utf-8", newline="")
    assert [(row["path"], row["label"]) for row in read_table(path, ("path", "label"))] == [(f"a{sign}b.jpg", "cat")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "column 'path'.* path, reason"),
        (b"path,why\na,b\n", "column 'reason'"),
        (b"path,reason,path\na,b,c\n", "several columns 'path'"),
        (b"path,reason\na\n", "line 2: "),
        (b"path,reason\na,b\nc,d,e\n", "line 3: "),
        (b'path,reason\n"a,b\n', "unexpected end of data"),
        (b'path,reason\n"a"x,b\n', "expected after"),
        ("path,reason\nä,b\n".encode("latin-1"), "utf-8"),
        ("path,reason\nä,b\n".encode("utf-16"), "utf-8"),
        (b"path,reason\n" + b"x" * 200_000 + b",b\n", "field larger"),
    ],
)
def test_invalid_tables_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "skipped.csv"
    path.write_bytes(data)
    with pytest.raises(WorkspaceError, match=message) as caught:
        list(read_table(path, SKIPPED))
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"nowhere\.csv.*No such file"):
        list(read_table(tmp_path / "nowhere.csv", SKIPPED))
    with pytest.raises(WorkspaceError, match=tmp_path.name):
        list(read_table(tmp_path, SKIPPED))


@given(st.lists(texts | st.text("'=+-@\\xu013b5c8f;\x1b\x9b\0\n", max_size=9), min_size=1, max_size=4))
def test_any_text_is_harmless_and_reads_back(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        write_table(path, ["text", "number"], [(text, -1.5) for text in texts])
        assert [row["text"] for row in read_table(path, ["text"])] == texts
        content = path.read_text(encoding="utf-8")
        assert content.count("\n") == len(texts) + 1
        assert not [sign for sign in content if sign != "\n" and (ord(sign) < 32 or 127 <= ord(sign) < 160)]
        assert not re.search(r";\s*'*[=+\-@]", content)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@sum", "'@sum"),
        ("-rf.jpg", "'-rf.jpg"),
        ("-1", "-1"),
        ("+0.5", "+0.5"),
        ("'=1", "''=1"),
        ("it's", "it's"),
        ("'a", "'a"),
        ("a\x1b[31m\nb", "a\\x1b[31m\\x0ab"),
        ("a\\xff", "a\\xff"),
        ("a\x9b31m", "a\\u009b31m"),
        ("a\\u009b", "a\\x5cu009b"),
        ("a;=1+1", "a\\x3b=1+1"),
        ("a; b", "a; b"),
        ("a\\x3b", "a\\x5cx3b"),
        ("a\\x1b", "a\\x5cx1b"),
        ("a\\x5cxff", "a\\x5cx5cxff"),
    ],
)
def test_what_is_written(text: str, written: str) -> None:
    assert field(text) == written
