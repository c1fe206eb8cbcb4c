"""Encoders by name: the bundled ones, the user's own, and cards."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from imgcluster import Encoder, encoder_info, encoder_list
from imgcluster.cli.encoders import show_encoders
from imgcluster.encoders.registry import (
    bundled_folder,
    find_encoder,
    list_encoders,
    shadowed_encoders,
)
from tiny_models import mean_colour


def test_photos_is_bundled_and_has_a_card() -> None:
    entry = encoder_info("photos")
    assert entry.bundled
    assert entry.info is not None
    assert (entry.info.embedding_size, entry.info.metric, entry.info.license) == (2688, "cosine", "Apache-2.0")
    assert "EfficientNet-Lite2" in entry.card


def test_own_encoders_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path))
    mean_colour(tmp_path / "mine.onnx")
    mean_colour(tmp_path / "mine.decoder.onnx")
    assert find_encoder("mine") == tmp_path / "mine.onnx"
    assert "mine.decoder" not in list_encoders()
    assert shadowed_encoders() == {}


def test_a_bundled_name_always_means_the_bundled_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path))
    own = mean_colour(tmp_path / "mnist.onnx")
    bundled = bundled_folder() / "mnist.onnx"
    assert find_encoder("mnist") == bundled
    assert find_encoder(own) == own
    entries = [entry for entry in encoder_list() if entry.name == "mnist"]
    assert [(entry.file, entry.bundled, entry.shadowed) for entry in entries] == [
        (str(bundled), True, False),
        (str(own), False, True),
    ]
    assert encoder_info(str(own)).shadowed
    assert not encoder_info("mnist").shadowed
    (note,) = Encoder("mnist", device="cpu").notes
    assert str(own) in note
    assert Encoder(own, device="cpu").notes == ()


def test_a_link_whose_file_is_not_there_spoils_no_other_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path))
    for name in ("mine", "mnist"):
        try:
            (tmp_path / f"{name}.onnx").symlink_to(tmp_path / "not mounted" / "model.onnx")
        except OSError:
            pytest.skip("links are not allowed here")
    assert encoder_info("mnist").bundled
    assert Encoder("mnist", device="cpu").info.name == "mnist"
    entries = {(entry.name, entry.shadowed): entry for entry in encoder_list()}
    assert entries["mnist", False].problem == ""
    for key in (("mine", False), ("mnist", True)):
        assert (entries[key].size, entries[key].info) == (0, None)
        assert entries[key].problem


def test_the_bundled_folder_shadows_nothing_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(bundled_folder()))
    assert shadowed_encoders() == {}


def test_the_list_has_one_line_for_each_encoder_at_100_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    entries = encoder_list()
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal)
    show_encoders(entries)
    table, _, absent = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).partition("On the Hugging Face hub")
    header, *lines = table.splitlines()
    assert header.split() == ["name", "values", "input", "size", "license", "score", "trained", "on"]
    assert [line.split()[0] for line in lines] == [entry.name for entry in entries if entry.installed]
    assert all(f"{entry.name} (" in absent for entry in entries if not entry.installed)
    assert max(map(len, lines)) <= 100
    photos = next(line for line in lines if line.startswith("photos"))
    assert re.match(r"photos +2,688 +260×260×3 +19 MB +Apache-2\.0 +77\.6 % top-1.* +ImageNet-1k$", photos.rstrip())
    mnist = next(line for line in lines if line.startswith("mnist "))
    assert re.match(r"mnist +32 +28×28×1 +\d+ kB +Apache-2\.0 +accuracy 0\.98\d +MNIST$", mnist.rstrip())


def test_a_broken_encoder_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path))
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    entries = {entry.name: entry for entry in encoder_list()}
    assert entries["broken"].info is None
    assert "not a readable ONNX model" in entries["broken"].problem
    assert entries["photos"].info is not None
