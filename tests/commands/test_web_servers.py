"""Web servers that answer wrongly, and addresses that are none: each costs one image."""

from __future__ import annotations

import contextlib
import csv
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import imgcluster
from imgcluster import EmbedSummary

Embed = Callable[..., EmbedSummary]


class Server:
    """Answers each path with bytes: a complete answer with its headers, to HEAD without the content or with `heads`.

    Those in `endless` go on with zeros until the connection is closed.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.heads: dict[str, bytes] = {}
        self.endless: set[str] = set()
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(f"{self.command} {self.path}")
                answer = server.answers[self.path]
                head = server.heads.get(self.path, answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
                self.wfile.write(head if self.command == "HEAD" else answer)
                with contextlib.suppress(OSError):
                    while self.command == "GET" and self.path in server.endless:
                        self.wfile.write(bytes(1 << 16))
                self.close_connection = True

            do_HEAD = do_GET  # noqa: N815 - the name is that of http.server

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"

    def put(self, path: str, content: bytes, *headers: str) -> str:
        """Answer a path with content and headers, and return its address."""
        lines = "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *headers))
        self.answers[path] = lines.encode() + b"\r\n" + content
        return self.address + path


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.http.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def embed(tiny_encoder: Path, tmp_path: Path) -> Embed:
    def run(*listed: str, **options: object) -> EmbedSummary:
        return imgcluster.embed(files=listed, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu", **options)  # type: ignore[arg-type]

    return run


def reasons(out: Path) -> dict[str, str]:
    with (out / "skipped.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"].rpartition("/")[2]: row["reason"] for row in csv.DictReader(file)}


def images(pictures: Path, color: str) -> bytes:
    return (pictures / color / "00.png").read_bytes()


def test_each_wrong_answer_costs_one_image(server: Server, pictures: Path, tmp_path: Path, embed: Embed) -> None:
    red = images(pictures, "red")
    good = [
        server.put("/date.png", red, "Last-Modified: yesterday"),
        server.put("/year.png", red, "Last-Modified: Fri, 31 Dec 9999 23:59:59 GMT"),
        server.put("/length.png", red, "Content-Length: many"),
        server.put("/chunks.png", b"%x\r\n%s\r\n0\r\n\r\n" % (len(red), red), "Transfer-Encoding: chunked"),
    ]
    server.answers["/status.png"] = b"garbage\r\n\r\n"
    bad = [
        server.put("/cut.png", b"%x\r\n%s" % (len(red), red[:9]), "Transfer-Encoding: chunked"),
        server.put("/headers.png", red, *(f"X-{number}: 1" for number in range(200))),
        f"{server.address}/status.png",
        f"{server.address}/a space.png?signature=the-secret",
        f"{server.address}/ü.png",
        "http://127.0.0.1:port/port.png",
        "http://[::1/bracket.png",
        f"http://{'a' * 70}.example/label.png",
    ]
    summary = embed(*good, *bad)
    assert (summary.found, summary.embedded, summary.skipped) == (12, 4, 8)
    found = reasons(tmp_path / "out")
    assert sorted(found) == sorted(url.partition("?")[0].rpartition("/")[2] for url in bad)
    assert "connection" in found["cut.png"]
    assert all("address" in found[name] for name in ("a space.png", "ü.png", "port.png", "label.png"))
    assert not any("the-secret" in reason for reason in found.values())
    assert embed(*good).unchanged == 4


def test_an_answer_without_an_end_is_given_up(server: Server, pictures: Path, tmp_path: Path, embed: Embed) -> None:
    red = images(pictures, "red")
    good, bad = server.put("/good.png", red), server.put("/endless.png", red)
    server.heads["/endless.png"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(red)
    server.endless.add("/endless.png")
    summary = embed(good, bad, read_timeout=60)
    assert (summary.embedded, summary.skipped) == (1, 1)
    assert str(len(red)) in reasons(tmp_path / "out")["endless.png"]


def test_what_is_too_large_is_not_downloaded(server: Server, pictures: Path, tmp_path: Path, embed: Embed) -> None:
    red = images(pictures, "red")
    good, bad = server.put("/good.png", red), server.put("/huge.png", red)
    server.heads["/huge.png"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 10**15
    summary = embed(good, bad)
    assert (summary.embedded, summary.skipped) == (1, 1)
    assert "too large" in reasons(tmp_path / "out")["huge.png"]
    assert "GET /huge.png" not in server.requests


def test_files_of_unknown_age_are_compared_by_content(server: Server, pictures: Path, embed: Embed) -> None:
    red, blue = images(pictures, "red"), images(pictures, "blue")
    length = f"Content-Length: {len(red)}"
    listed = [server.put("/a.png", red), server.put("/b.png", red, length), server.put("/c.png", red, "ETag: 1")]
    assert embed(*listed).embedded == 3
    server.requests.clear()
    assert embed(*listed).unchanged == 3
    assert sorted(request for request in server.requests if "GET" in request) == ["GET /a.png", "GET /b.png"]
    server.put("/a.png", blue)
    server.put("/b.png", blue.ljust(len(red), b"\0")[: len(red)], length)
    again = embed(*listed)
    assert (again.changed, again.unchanged, again.embedded) == (2, 1, 3)


@pytest.mark.parametrize("status", ["403 Forbidden", "405 Method Not Allowed", "501 Not Implemented"])
def test_addresses_that_may_only_be_read(
    server: Server, pictures: Path, tmp_path: Path, embed: Embed, status: str
) -> None:
    listed = [server.put("/a.png", images(pictures, "red")), server.put("/b.png", b"")]
    server.heads |= dict.fromkeys(("/a.png", "/b.png"), f"HTTP/1.1 {status}\r\n\r\n".encode())
    server.answers["/b.png"] = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    summary = embed(*listed)
    assert (summary.embedded, summary.skipped) == (1, 1)
    assert "403" in reasons(tmp_path / "out")["b.png"]
    assert embed(*listed).unchanged == 1


@pytest.mark.parametrize("path", ["/", "/a/", "/a//", "/?b=/c/"])
def test_addresses_that_end_with_a_slash(
    server: Server, pictures: Path, tmp_path: Path, embed: Embed, path: str
) -> None:
    red, blue = images(pictures, "red"), images(pictures, "blue")
    listed = [server.put("/b.png", blue), server.put(path, red)]
    server.answers[path] = b"HTTP/1.1 404 Not Found\r\n\r\n"
    assert embed(*listed).skipped == 1
    server.put(path, red)
    again = embed(*listed)
    assert (again.new, again.unchanged, again.skipped) == (1, 1, 0)
    assert sorted(imgcluster.load(tmp_path / "out").files) == sorted(listed)
