"""Encoders by name: the bundled ones, the user's own, and cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgcluster import encoder_info, encoder_list
from imgcluster.encoders.registry import find_encoder, list_encoders
from tiny_models import mean_colour


def test_photos_is_bundled_and_has_a_card() -> None:
    entry = encoder_info("photos")
    assert entry.bundled
    assert entry.info is not None
    assert (entry.info.embedding_size, entry.info.metric, entry.info.licence) == (1280, "cosine", "Apache-2.0")
    assert "EfficientNet-Lite0" in entry.card


def test_own_encoders_are_found_by_name_and_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path))
    mean_colour(tmp_path / "mine.onnx")
    mean_colour(tmp_path / "photos.onnx")
    mean_colour(tmp_path / "mine.decoder.onnx")
    assert find_encoder("mine") == tmp_path / "mine.onnx"
    assert find_encoder("photos") == tmp_path / "photos.onnx"
    assert "mine.decoder" not in list_encoders()


def test_a_broken_encoder_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path))
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    entries = {entry.name: entry for entry in encoder_list()}
    assert entries["broken"].info is None
    assert "no ONNX model" in entries["broken"].problem
    assert entries["photos"].info is not None
