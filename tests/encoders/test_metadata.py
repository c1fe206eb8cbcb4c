"""What an encoder's metadata holds, and what it does with metadata that is not whole."""

from __future__ import annotations

import dataclasses

import pytest

from imgcluster import EncoderError, EncoderInfo
from tiny_models import TINY


def test_metadata_round_trip() -> None:
    info = dataclasses.replace(TINY, crop_fraction=0.875, score="0.9 of something", decoder="tiny.decoder.onnx")
    assert EncoderInfo.from_metadata(info.to_metadata()) == info


def test_foreign_metadata_is_not_ours() -> None:
    assert EncoderInfo.from_metadata({"author": "somebody", "name": "resnet"}) is None


def test_an_older_file_without_newer_fields_is_read() -> None:
    metadata = TINY.to_metadata()
    del metadata["imgcluster.decoder"]
    assert EncoderInfo.from_metadata(metadata) == TINY


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("width", None, "lacks 'imgcluster.width'"),
        ("width", "wide", "width = 'wide'"),
        ("metric", "manhattan", "metric 'manhattan' is unknown; choose cosine or euclidean"),
        ("channels", "4", "4 .*channels"),
        ("resize", "squash", "resize rule 'squash' is unknown"),
    ],
)
def test_broken_metadata_is_named(field: str, value: str | None, message: str) -> None:
    metadata = TINY.to_metadata()
    if value is None:
        del metadata[f"imgcluster.{field}"]
    else:
        metadata[f"imgcluster.{field}"] = value
    with pytest.raises(EncoderError, match=message):
        EncoderInfo.from_metadata(metadata)
