"""Photographs that one camera took within seconds."""

from __future__ import annotations

import time

import pytest

from imgcluster.copies.bursts import successive_pairs
from imgcluster.images.types import Exif


def pairs(*captured: str) -> list[list[int]]:
    found: list[list[int]] = successive_pairs([Exif(captured=one, camera="A") for one in captured]).tolist()
    return found


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland"])
def test_only_the_clock_of_the_camera_counts(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    if hasattr(time, "tzset"):
        time.tzset()
    # The end of daylight saving time in New York.
    assert pairs("2024-11-03T01:59:59", "2024-11-03T02:00:01", "2024-11-03T03:00:00") == [[0, 1]]
    assert pairs("0001-01-01T00:00:00", "9999-12-31T23:59:59", "0001-01-01T00:00:02", "") == [[0, 2]]
    assert pairs("2024-05-31T10:00:00+02:00", "2024-05-31T10:00:01+01:00", "no time") == [[0, 1]]
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()
