"""File systems without locks: commands work there, with a warning, and nothing stays locked."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

import imgcluster
from imgcluster.fileio.locks import take_lock

fcntl = pytest.importorskip("fcntl")


@pytest.fixture(params=["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def _no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, request.param), os.strerror(getattr(errno, request.param)))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("_no_locks")
@pytest.mark.parametrize("was_used", [False, True])
def test_a_workspace_where_the_file_system_has_no_locks(
    pictures: Path, tmp_path: Path, tiny_encoder: Path, caplog: pytest.LogCaptureFixture, was_used: bool
) -> None:
    """The file of the lock stays after each command, so it does not say that one is running."""
    out = tmp_path / "out"
    if was_used:
        out.mkdir()
        (out / ".lock").touch()
    with caplog.at_level(logging.WARNING, logger="imgcluster"):
        for _ in range(2):
            assert imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu").embedded == 24
    assert {record.getMessage() for record in caplog.records} == {
        f"the file system of {out} has no locks: do not run imgcluster twice at once there"
    }


def test_a_lock_keeps_others_out(tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "lock")
    assert lock is not None
    with pytest.raises(Timeout):
        FileLock(tmp_path / "lock", timeout=0).acquire()
    lock.release()
    with FileLock(tmp_path / "lock", timeout=0):
        pass


def test_other_errors_are_raised(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(OSError, match="lock"):
        take_lock(tmp_path / "lock")
