"""Where a server may send us: to the internet, and not to machines that only this one can reach.

A redirect to 127.0.0.1, to a router at 192.168.0.1 or to a cloud's 169.254.169.254 would have us ask, from
within, what the server cannot ask from outside. What a user names himself is fetched from wherever it is.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Literal

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from visionkit.errors import VisionkitError

Kind = Literal["public", "private", "loopback", "link-local"]
_NAT64 = ip_network("64:ff9b::/96")


def kind_of(address: str) -> Kind:
    """Which kind an IP address is of; an IPv4 address within an IPv6 one counts as itself.

    Raises:
        ValueError: it is no IP address.
    """
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        teredo = found.teredo[1] if found.teredo else None
        inner = found.ipv4_mapped or found.sixtofour or teredo
        if inner is None and (found in _NAT64 or (int(found) >> 32 == 0 and int(found) > 1)):
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        found = inner or found
    if found.is_loopback or found.is_unspecified:
        return "loopback"
    if found.is_link_local:
        return "link-local"
    inward = found.is_multicast or found.is_reserved or getattr(found, "is_site_local", False)
    return "public" if found.is_global and not inward else "private"


class Guard:
    """Watches over the connections of a session, of which each thread makes one request at a time.

    The address that counts is the one that a connection goes to, whatever its name meant before: it is looked
    at before a connection is made, once it is made, and before each request on one that was kept open. Where
    the user has set a proxy, it is the proxy that connects, and nothing is looked at.
    """

    def __init__(self) -> None:
        self._state = _State()

    def begin(self) -> None:
        """The next request is to an address that the user named."""
        self._state.own, self._state.onward = None, False

    def redirected(self) -> None:
        """The next request is to an address that a server named."""
        self._state.onward = True

    def resolve(self, host: str, port: int) -> None:
        """Before a connection: raise as `check` where the name of a redirect means a forbidden address."""
        if self._state.onward:
            with suppress(OSError, UnicodeError):  # which connecting tells of
                for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                    self.check(host, str(address[0]))

    def check(self, host: str, address: str) -> None:
        """A redirect may lead to the internet, or to an address of the same kind as the user's own.

        Raises:
            VisionkitError: the request under way must not go to the IP address `address`.
        """
        kind, state = kind_of(address), self._state
        if not state.onward:
            state.own = kind
        elif kind not in ("public", state.own or "public"):
            raise VisionkitError(
                f"{host}: cannot be fetched (a redirect leads to {address}, which is a {kind} address: no "
                "server has a reason to send anyone there). Look for the file's own address."
            )

    def connected(self, sock: Any) -> None:
        """The request under way goes over `sock`."""
        for watch in self._state.watches:
            watch.sock = sock

    @contextmanager
    def within(self, seconds: float | None) -> Iterator[Watch]:
        """Cut this thread's connection once the block takes longer, however slowly bytes drip in; None is
        any time.
        """
        watch = Watch()
        if seconds is None:
            yield watch
            return
        timer = threading.Timer(seconds, watch.cut)
        timer.daemon = True
        self._state.watches.append(watch)
        timer.start()
        try:
            yield watch
        finally:
            timer.cancel()
            self._state.watches.remove(watch)


class Watch:
    """Of one block in `Guard.within`: `over` once its time is."""

    def __init__(self) -> None:
        self.over = False
        self.sock: Any = None

    def cut(self) -> None:
        """End the connection under the reading thread, which takes it for one that broke off."""
        self.over = True
        with suppress(OSError, ValueError, AttributeError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # not TLS's own, which waits for an answer


class _State(threading.local):
    """Of the request that a thread makes."""

    def __init__(self) -> None:
        self.own: Kind | None = None
        self.onward = False
        self.watches: list[Watch] = []


class GuardedAdapter(HTTPAdapter):
    """Has `guard` look at each connection that goes straight to a server."""

    def __init__(self, guard: Guard, **options: Any) -> None:
        self.guard = guard
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self.guard)


def _pools(guard: Guard) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, of connections that `guard` looks at."""

    class Guarded(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            guard.resolve(self._dns_host, self.port)
            sock = super()._new_conn()
            try:
                guard.check(self.host, str(sock.getpeername()[0]))
            except BaseException:
                sock.close()
                raise
            guard.connected(sock)
            return sock

        def putrequest(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is not None:  # kept open since an earlier request, or just connected for TLS
                guard.check(self.host, str(self.sock.getpeername()[0]))
                guard.connected(self.sock)
            super().putrequest(*args, **kwargs)

    class GuardedTLS(Guarded, HTTPSConnection):
        """The same, encrypted."""

    class Pool(HTTPConnectionPool):
        ConnectionCls = Guarded

    class TLSPool(HTTPSConnectionPool):
        ConnectionCls = GuardedTLS

    return {"http": Pool, "https": TLSPool}
