"""A server that answers with any bytes at all, on any address of this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = bytes | Callable[[socket.socket], None]
"""What is sent, or a function that sends it."""


@dataclass
class RawServer:
    """Answers every connection with `answer`, and remembers the first line of each request."""

    address: str
    port: int
    answer: Answer = b""
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"


@contextmanager
def raw_server(address: str = "127.0.0.1") -> Iterator[RawServer]:
    listening = socket.create_server((address, 0))
    server = RawServer(address, listening.getsockname()[1])
    ended = threading.Event()

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(20)
            request = b""
            while b"\r\n\r\n" not in request and (more := connection.recv(65536)):
                request += more
            server.asked.append(request.partition(b"\r\n")[0].decode("latin-1"))
            if callable(server.answer):
                server.answer(connection)
            else:
                connection.sendall(server.answer)
            connection.shutdown(socket.SHUT_WR)

    def accept() -> None:
        while not ended.is_set():
            with suppress(OSError):
                connection, _ = listening.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def page(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """An answer with these headers, and the body's length where no other is given."""
    told = {"Content_Length": str(len(body)), "Connection": "close", **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in told.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def redirect(to: str) -> bytes:
    return page(status="302 Found", Location=to)
