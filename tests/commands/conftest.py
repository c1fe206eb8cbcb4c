"""What the tests of commands share: few fits of k-means, and a bucket of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_s3 import Bucket, serve


@pytest.fixture(scope="module", autouse=True)
def _few_fits(few_fits: None) -> None:
    """How often k-means is fitted is tested where it is."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, pictures: Path, tmp_path: Path) -> Iterator[Bucket]:
    """A bucket with the pictures below ``in``."""
    with serve() as bucket:
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("IMGCLUSTER_COPIES", str(tmp_path / "copies"))
        for path in pictures.rglob("*.png"):
            bucket.objects[f"in/{path.relative_to(pictures).as_posix()}"] = path.read_bytes()
        yield bucket
