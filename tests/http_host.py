"""A web server on 127.0.0.1 that serves bytes, well or badly."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file, and how the server behaves when it is asked for.

    Args:
        content: the file.
        cuts: how many bytes of its body each of the next answers sends before the connection is cut.
        failures: the next answers: a status, and headers.
        ranges: whether Range is heeded.
        if_range: whether If-Range is heeded; otherwise the range is sent whatever the file is now.
        etag: "strong", "weak" or "".
        modified: the Last-Modified header.
        length: "right", "none" (the connection's end is the body's end), "chunked", or another number.
        kind: the Content-Type.
        headers: sent besides.
        redirect: where every request is sent instead.
        coding: answer in gzip, whatever was asked.
        trickle: seconds to sleep after each thousand bytes.
    """

    content: bytes
    cuts: list[int] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    ranges: bool = True
    if_range: bool = True
    etag: str = "strong"
    modified: str = ""
    length: str = "right"
    kind: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    redirect: str = ""
    coding: bool = False
    trickle: float = 0.0

    def tag(self) -> str:
        mark = f'"{sha256(self.content).hexdigest()[:16]}"'
        return {"strong": mark, "weak": f"W/{mark}", "": ""}[self.etag]


@dataclass
class Asked:
    """One request, and how many bytes of a body were sent for it."""

    path: str
    headers: dict[str, str]
    sent: int = 0


@dataclass
class Host:
    """The server: `files` by path, and what it was asked."""

    url: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def serve(self, path: str, content: bytes, **behaviour: object) -> str:
        """Put a file there; its address."""
        self.files[path] = Served(content, **behaviour)  # type: ignore[arg-type]
        return self.url + path

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.asked]

    @property
    def ranges(self) -> list[str | None]:
        return [request.headers.get("Range") for request in self.asked]


@contextmanager
def http_host() -> Iterator[Host]:
    """A server that runs while the block does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = Asked(self.path, dict(self.headers.items()))
            host.asked.append(asked)
            file = host.files.get(self.path.partition("?")[0])
            self.close_connection = True
            if file is None:
                self.answer(404, {"Content-Length": "0"})
            elif file.redirect:
                self.answer(302, {"Location": file.redirect, "Content-Length": "0"})
            elif file.failures:
                status, headers = file.failures.pop(0)
                self.answer(status, {"Content-Length": "0", **headers})
            else:
                self.send_file(file, asked)

        def answer(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()

        def send_file(self, file: Served, asked: Asked) -> None:
            headers = {"Content-Type": file.kind, **file.headers}
            headers |= {"ETag": file.tag()} if file.etag else {}
            headers |= {"Last-Modified": file.modified} if file.modified else {}
            body, status = file.content, 200
            start = self.start_of(file)
            if start is not None and start >= len(file.content):
                self.answer(416, {"Content-Range": f"bytes */{len(file.content)}", "Content-Length": "0"})
                return
            if start is not None:
                body, status = file.content[start:], 206
                headers["Content-Range"] = f"bytes {start}-{len(file.content) - 1}/{len(file.content)}"
            if file.coding:
                body = gzip.compress(body)
                headers["Content-Encoding"] = "gzip"
            if file.length == "chunked":
                headers["Transfer-Encoding"] = "chunked"
            elif file.length != "none":
                headers["Content-Length"] = str(len(body)) if file.length == "right" else file.length
            self.answer(status, headers)
            self.send_body(file, body, asked)

        def start_of(self, file: Served) -> int | None:
            """Where the range that was asked for starts, if it is to be heeded."""
            wanted = self.headers.get("Range")
            condition = self.headers.get("If-Range")
            current = (file.tag(), file.modified) if file.etag == "strong" else (file.modified,)
            if not wanted or not file.ranges or (file.if_range and condition and condition not in current):
                return None
            return int(wanted.removeprefix("bytes=").removesuffix("-"))

        def send_body(self, file: Served, body: bytes, asked: Asked) -> None:
            cut = file.cuts.pop(0) if file.cuts else None
            sent = body if cut is None else body[:cut]
            step = 1000 if file.trickle or file.length == "chunked" else max(1, len(sent))
            try:
                for start in range(0, len(sent), step):
                    piece = sent[start : start + step]
                    chunk = b"%x\r\n%s\r\n" % (len(piece), piece) if file.length == "chunked" else piece
                    self.wfile.write(chunk)
                    asked.sent += len(piece)
                    time.sleep(file.trickle)
                if file.length == "chunked" and cut is None:
                    self.wfile.write(b"0\r\n\r\n")
                self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                return

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host = Host(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def dead_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
