"""Calls to object storage end after a time, with a reason that fits what was called."""

from __future__ import annotations

import threading

import pytest

from imgcluster.errors import SourceError
from imgcluster.fileio.object_store import call_store


def test_a_call_that_does_not_end() -> None:
    end = threading.Event()
    with pytest.raises(SourceError, match=r"^s3://b/a cannot be written \(it took longer than 0\.05 s\); "):
        call_store("s3://b/a", "written", end.wait, 0.05)
    end.set()
