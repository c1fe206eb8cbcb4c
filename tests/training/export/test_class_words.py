"""The table of classes and categories, from a WordNet of a few nouns."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgcluster_training.export import class_words

NOUNS = """\
  1 This is the license.
00000001 03 n 01 entity 0 001 ~ 00000002 n 0000 | all
00000002 05 n 02 animal 0 creature 0 003 @ 00000001 n 0000 ~ 00000003 n 0000 ~ 00000005 n 0000 | a living thing
00000003 05 n 02 dog 0 domestic_dog 0 002 @ 00000002 n 0000 ~ 00000004 n 0000 | barks
00000004 05 n 01 toy_dog 0 001 @ 00000003 n 0000 | a small dog
00000005 05 n 01 tom 0 001 @ 00000002 n 0000 | a cat
"""


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.noun").write_text(NOUNS, encoding="ascii")
    (tmp_path / "synsets.txt").write_text("n00000005\nn00000004\n", encoding="ascii")
    monkeypatch.setattr(class_words, "CATEGORIES", "2 animal; 3 dog")
    monkeypatch.setattr(class_words, "CLASS_WORDS", {"n00000005": "tomcat"})
    class_words.main(str(tmp_path / "synsets.txt"), str(tmp_path / "data.noun"), str(tmp_path / "out.tsv"))
    lines = (tmp_path / "out.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t") for line in lines if not line.startswith("#")] == [
        ["tomcat", "n00000005", "0", "2"],
        ["toy dog", "n00000004", "0", "2 3"],
        ["animal", "n00000002", "3", ""],
        ["dog", "n00000003", "1", "2"],
    ]
    monkeypatch.setattr(class_words, "CATEGORIES", "2 animal; 9 cup")
    with pytest.raises(SystemExit, match="9"):
        class_words.class_words([4, 5], class_words.read_nouns(tmp_path / "data.noun"))
