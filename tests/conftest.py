"""What all tests share: pictures to cluster, a tiny encoder, and the folder of real data."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from imgcluster.images import readers
from samples import paint
from tiny_models import mean_colour

DATA = Path(os.environ.get("IMGCLUSTER_TEST_DATA") or Path(__file__).parents[1] / "../shared/data").resolve()

# How long a test takes depends on what else the machine does.
hypothesis.settings.register_profile("imgcluster", deadline=None)
hypothesis.settings.load_profile("imgcluster")

# Collecting the tests makes objects that stay; looking for garbage among them takes a third of its time.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test: in the end all other processes would wait for it."""
    items.sort(key=lambda item: item.path.name != "test_wheel.py")


def pytest_collection_finish() -> None:
    """Leave what the tests share out of every later search for garbage."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Files of tests need not survive a loss of power; a wrong descriptor is an error as before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(scope="session", autouse=True)
def _few_files_are_read_in_this_process() -> Iterator[None]:
    """Starting a process for a few pictures takes longer than many tests; those of reading do without this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "FEW_FILES", 64)
        yield


@pytest.fixture(scope="module")
def few_fits() -> Iterator[None]:
    """Let k-means be fitted a few times instead of a hundred: on a few pictures that is most of a command's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("imgcluster.clustering.kmeans"), "_MAX_STARTS", (16, 16))
        patch.setattr(importlib.import_module("imgcluster.clustering.stability"), "_DRAWS", 2)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_ignored_signals() -> None:
    """Let signals interrupt, which shells and `nohup` make background jobs ignore."""
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def _own_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's key out of the tests; programs that they start have this one, too."""
    os.environ["IMGCLUSTER_KEY"] = str(tmp_path_factory.getbasetemp() / "journal.key")


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the encoders and settings of whoever runs the tests out of them."""
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path_factory.getbasetemp() / "no-encoders"))
    monkeypatch.setenv("IMGCLUSTER_COPIES", str(tmp_path_factory.getbasetemp() / "no-copies"))
    monkeypatch.delenv("IMGCLUSTER_WORKSPACE", raising=False)
    # No test reaches the real hub.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _log_as_in_python() -> None:
    """Undo what a command of an earlier test set: messages to standard error only."""
    logger = logging.getLogger("imgcluster")
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of ours in miniature: 4×4 px RGB bytes in, the 48 scaled values out."""
    return mean_colour(tmp_path_factory.mktemp("encoder") / "tiny.onnx")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three folders of eight pictures each, of one colour and its shades."""
    folder = tmp_path / "pictures"
    paint(folder, per_folder=8)
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; the test is skipped where it is missing."""
    if not DATA.is_dir():
        pytest.skip(f"no test data in {DATA}; name its folder in IMGCLUSTER_TEST_DATA")
    return DATA
