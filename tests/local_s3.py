"""An S3 server on 127.0.0.1 that holds objects in memory and fails as told; nothing here is a test."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class Bucket:
    """One bucket, and how its server fails.

    Attributes:
        objects: The content of each key.
        times: The time of the last change of each key.
        page: The most keys of one answer to a listing.
        fail: Called with method, key and the number of earlier calls for both; returns a status to fail with, or 0.
        truncate: The keys whose content ends early.
        seconds: How long the server waits before it answers a key.
        requests: Method and key of all requests.
        parts: The parts of uploads that are not complete, by their key.
        ticks: The seconds that have passed: one for each object that was written.
        others: More buckets of the server, by name.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    page: int = 1000
    fail: Callable[[str, str, int], int] = lambda method, key, count: 0
    truncate: set[str] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    endpoint: str = ""
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    ticks: int = 0
    others: dict[str, Bucket] = field(default_factory=dict)

    def time(self, key: str) -> str:
        return self.times.get(key, "2026-01-02T03:04:05")


ERRORS = {403: "ExpiredToken", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown"}


def _listing(bucket: Bucket, query: dict[str, list[str]]) -> str:
    prefix = query.get("prefix", [""])[0]
    start = query.get("continuation-token", [""])[0]
    names = {}
    for key in sorted(bucket.objects):
        if key.startswith(prefix):
            inner, slash, _ = (
                key[len(prefix) :].partition("/") if "delimiter" in query else (key[len(prefix) :], "", "")
            )
            names[prefix + inner + slash] = bool(slash)
    entries = [name for name in names if name > start]
    shown = entries[: min(bucket.page, int(query.get("max-keys", ["1000"])[0]))]
    parts = []
    for name in shown:
        if names[name]:
            parts.append(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>")
        else:
            size = len(bucket.objects[name])
            parts.append(
                f"<Contents><Key>{escape(name)}</Key><LastModified>{bucket.time(name)}.000Z</LastModified>"
                f"<Size>{size}</Size></Contents>"
            )
    more = len(shown) < len(entries)
    token = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
    return (
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{str(more).lower()}</IsTruncated><KeyCount>{len(shown)}</KeyCount>{token}{''.join(parts)}"
        "</ListBucketResult>"
    )


def _dechunk(stream: BinaryIO) -> bytes:
    """Return the content of chunks, each after a line with its size; lines after the last one are passed over."""
    parts = []
    while size := int(stream.readline().split(b";")[0], 16):
        parts.append(stream.read(size))
        stream.readline()
    while stream.readline().strip():
        pass
    return b"".join(parts)


def _handler(first: Bucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer(self._body())

        def do_DELETE(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer(self._body())

        def _body(self) -> bytes:
            chunked = self.headers.get("Transfer-Encoding") == "chunked"
            data = _dechunk(self.rfile) if chunked else self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return _dechunk(BytesIO(data)) if "aws-chunked" in self.headers.get("Content-Encoding", "") else data

        def _store(self, bucket: Bucket, key: str, query: dict[str, list[str]], body: bytes) -> None:
            """Take an object, or one step of an upload in parts."""
            text = ""
            if "uploads" in query:
                bucket.parts[key] = {}
                text = f"<InitiateMultipartUploadResult><UploadId>{key}</UploadId></InitiateMultipartUploadResult>"
            elif "partNumber" in query:
                bucket.parts[key][int(query["partNumber"][0])] = body
            elif "uploadId" in query:
                parts = bucket.parts.pop(key)
                bucket.objects[key] = b"".join(parts[number] for number in sorted(parts))
                text = f"<CompleteMultipartUploadResult><Key>{key}</Key></CompleteMultipartUploadResult>"
            elif source := self.headers.get("x-amz-copy-source"):
                name, _, original = unquote(source).lstrip("/").partition("/")
                bucket.objects[key] = (first if name == "bucket" else first.others[name]).objects[original]
                text = "<CopyObjectResult><ETag>1</ETag></CopyObjectResult>"
            else:
                bucket.objects[key] = body
            if key in bucket.objects and "uploads" not in query and "partNumber" not in query:
                bucket.ticks += 1
                now = datetime(2026, 1, 2, 4, tzinfo=timezone.utc) + timedelta(seconds=bucket.ticks)
                bucket.times[key] = f"{now:%Y-%m-%dT%H:%M:%S}"
            self._send(200, text.encode(), {"ETag": '"1"', "Content-Type": "application/xml"})

        def _answer(self, body: bytes = b"") -> None:
            url = urlsplit(self.path)
            name, _, key = unquote(url.path).lstrip("/").partition("/")
            bucket = first if name == "bucket" else first.others.get(name)
            if bucket is None:
                self._send(404, b"<Error><Code>NoSuchBucket</Code></Error>", {"Content-Type": "application/xml"})
                return
            query = parse_qs(url.query, keep_blank_values=True)
            name = key or f"listing of {query.get('prefix', [''])[0]}"
            method = self.command or ""
            count = bucket.requests[method, name]
            bucket.requests[method, name] += 1
            time.sleep(bucket.seconds.get(name, 0))
            status = bucket.fail(method, name, count)
            stores = method in ("PUT", "POST")
            if not status and key and key not in bucket.objects and not stores:
                status = 404
            if status:
                text = f"<Error><Code>{ERRORS[status]}</Code><Message>as told</Message></Error>"
                self._send(status, text.encode(), {"Content-Type": "application/xml"})
            elif stores:
                self._store(bucket, key, query, body)
            elif method == "DELETE":
                del bucket.objects[key]
                self._send(204, b"", {})
            elif not key:
                self._send(200, _listing(bucket, query).encode(), {"Content-Type": "application/xml"})
            else:
                data = bucket.objects[key]
                headers = {"ETag": f'"{hashlib.md5(data).hexdigest()}"'}
                changed = datetime.fromisoformat(bucket.time(key)).replace(tzinfo=timezone.utc)
                headers["Last-Modified"] = format_datetime(changed, usegmt=True)
                self._send(200, data, headers, cut=key in bucket.truncate)

        def _send(self, status: int, data: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
            first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            if first and status == 200:
                status, headers = 206, headers | {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
                data = data[int(first) : int(last or len(data)) + 1]
            self.send_response(status)
            for key, value in (headers | {"Content-Length": str(len(data))}).items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[: len(data) // 2] if cut else data)
            self.close_connection = cut

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serve() -> Iterator[Bucket]:
    """Yield the bucket of a running server."""
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bucket))
    server.daemon_threads = True
    bucket.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
