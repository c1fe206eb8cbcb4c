"""Downloads come from the first mirror that gives the published bytes; without any, the error says what to do."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading

import pytest

pytest.importorskip("torch")
pytest.importorskip("pooch")

from imgcluster_training.data.downloads import CIFAR10, FASHION_MNIST, MNIST, Source, cache_folder, fetch
from imgcluster_training.errors import DatasetError

DATA = b"the published bytes"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "www"
    (folder / "good").mkdir(parents=True)
    (folder / "bad").mkdir()
    (folder / "good" / "file.gz").write_bytes(DATA)
    (folder / "bad" / "file.gz").write_bytes(b"something else")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLUSTER_DATA", str(tmp_path / "cache"))
    # A proxy of the machine's would answer in the mirrors' place.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


def source(*mirrors):
    return Source("set", mirrors, {"file.gz": "md5:" + hashlib.md5(DATA).hexdigest()})


def test_a_file_is_fetched_once_and_kept(mirror, cache):
    path = fetch(source(mirror + "good/"), "file.gz")
    assert path == cache / "set" / "file.gz"
    assert path.read_bytes() == DATA
    assert fetch(source("http://127.0.0.1:9/"), "file.gz") == path


def test_the_next_mirror_serves_where_one_is_gone_or_wrong(mirror):
    path = fetch(source(mirror + "none/", mirror + "bad/", mirror + "good/"), "file.gz")
    assert path.read_bytes() == DATA


def test_bytes_with_another_checksum_are_not_kept(mirror, cache):
    with pytest.raises(DatasetError, match="cannot be downloaded"):
        fetch(source(mirror + "bad/"), "file.gz")
    assert not (cache / "set" / "file.gz").exists()


def test_without_network_the_error_says_where_to_put_what(tmp_path, cache):
    with pytest.raises(DatasetError) as caught:
        fetch(source("http://127.0.0.1:9/"), "file.gz", tmp_path)
    text = str(caught.value)
    assert "file.gz" in text
    assert f"is not in {tmp_path}" in text
    assert "--data-dir" in text
    assert str(cache / "set") in text
    assert "\n" not in text


def test_every_known_file_has_a_published_checksum():
    for known in (MNIST, FASHION_MNIST, CIFAR10):
        assert known.mirrors
        assert all(len(value.removeprefix("md5:")) == 32 for value in known.checksums.values())


def test_the_cache_is_the_platforms_without_the_variable(monkeypatch):
    monkeypatch.delenv("IMGCLUSTER_DATA")
    assert cache_folder().parts[-2:] == ("imgcluster", "datasets")
