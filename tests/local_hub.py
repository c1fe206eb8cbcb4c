"""A server on this machine that speaks the protocol of the Hugging Face hub, with the failures that occur there.

Small files have git's hash as ETag; files of the suffixes in `LFS` have their SHA-256 in ``X-Linked-Etag`` and redirect
to another origin, as to the storage behind the hub.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LFS = (".onnx", ".onnx_data", ".bin")


@dataclass
class Repo:
    """A repository: the files of its newest commit, and how its answers fail."""

    files: dict[str, bytes]
    license: str = "apache-2.0"
    gated: bool = False
    token: str = ""
    revisions: dict[str, str] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for name, content in sorted(self.files.items()):
            digest.update(name.encode() + content)
        return digest.hexdigest()


class LocalHub:
    """The server.

    Attributes:
        repos: The repositories by ``OWNER/REPO``.
        requests: What was requested: method, path and range.
        failures: The failures to come: a part of ``METHOD /path``, and the status that is answered once.
        truncate: The number of bytes after which the body of a file ends, by its path.
        after_truncation: The failures that follow a truncated body.
        replace: Other content than the hashes say, by the path of the file.
        ranges: Whether ranges are served.
        api: Whether the API is served, or only the files.
        commits: Whether answers about files name the commit.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.failures: list[tuple[str, int]] = []
        self.truncate: dict[str, int] = {}
        self.after_truncation: list[tuple[str, int]] = []
        self.replace: dict[str, bytes] = {}
        self.ranges = True
        self.api = True
        self.commits = True
        self.endpoint = ""
        self.storage = ""

    def asked(self, method: str, part: str = "") -> list[tuple[str, str, str]]:
        """Return the requests of a method whose path contains `part`: method, path, range."""
        return [request for request in self.requests if request[0] == method and part in request[1]]


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LocalHub

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        for failure in self.hub.failures:
            if failure[0] in f"{self.command} {path}":
                self.hub.failures.remove(failure)
                self._send(failure[1], b"a failure")
                return
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/(.+?)/((?:onnx/)?[^/]+(?:/[^/]+)?)", path)
        blob = re.fullmatch(r"/storage/([^/]+/[^/]+)/(.+)", path)
        if api and self.hub.api:
            self._model_info(api[1], api[2])
        elif resolve:
            self._resolve(resolve[1], resolve[2], resolve[3])
        elif blob:
            # The storage is another origin, which must not get the token.
            assert "Authorization" not in self.headers
            name = blob[2]
            self._body(name, self.hub.replace.get(name, self.hub.repos[blob[1]].files[name]), {})
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _allowed(self, name: str, revision: str | None) -> Repo | None:
        repo = self.hub.repos.get(name)
        if repo is None:
            # The hub does not tell whether a repository is missing or private.
            self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
            return None
        if repo.gated and self.headers.get("Authorization") != f"Bearer {repo.token}":
            self._send(401, b"", {"X-Error-Code": "GatedRepo"})
            return None
        if revision not in (None, "main", repo.commit) and revision not in repo.revisions:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return None
        return repo

    def _model_info(self, name: str, revision: str | None) -> None:
        repo = self._allowed(name, revision)
        if repo is None:
            return
        info = {
            "id": name,
            "modelId": name,
            "sha": repo.commit,
            "gated": "auto" if repo.gated else False,
            "siblings": [{"rfilename": file} for file in sorted(repo.files)],
            "cardData": {"license": repo.license} if repo.license else {},
        }
        self._send(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        repo = self._allowed(name, revision)
        if repo is None:
            return
        headers = {"X-Repo-Commit": repo.commit} if self.hub.commits else {}
        if file not in repo.files:
            self._send(404, b"", headers | {"X-Error-Code": "EntryNotFound"})
            return
        content = repo.files[file]
        if file.endswith(LFS):
            headers |= {
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{self.hub.storage}/storage/{name}/{file}",
            }
            self._send(302, b"", headers)
        else:
            self._body(file, self.hub.replace.get(file, content), headers | {"ETag": f'"{git_hash(content)}"'})

    def _body(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        status = 200
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and self.hub.ranges:
            start = int(match[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status, content = (206, content[start:]) if start < len(content) else (416, b"")
        limit = self.hub.truncate.get(name)
        if limit is not None and self.command == "GET" and len(content) > limit:
            # The connection ends before the announced length.
            self._head(status, len(content), headers)
            self.wfile.write(content[:limit])
            self.hub.failures += self.hub.after_truncation
            self.close_connection = True
            return
        self._send(status, content, headers)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(content), headers or {})
        if self.command != "HEAD":
            self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients close connections as they like."""


@contextmanager
def serve() -> Iterator[LocalHub]:
    """Run the server and its storage, which are two origins, in threads."""
    hub = LocalHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    servers = [_Server(("127.0.0.1", 0), handler) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    hub.endpoint, hub.storage = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
