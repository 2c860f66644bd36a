"""Where shards are: paths, patterns with braces and stars, and addresses of object stores."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from visionkit.errors import DataError, UsageError, VisionkitError, listing
from visionkit.shards.patterns import has_stars, without_braces
from visionkit.shards.trying import is_missing, tried

PREFIX = "shards:"
"""Says that what follows are shards, where it might be an archive that is to be unpacked."""
STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf", "memory")
"""Kinds of addresses, besides those of the web, that are taken for object stores."""
AT_ONCE = 16
"""Addresses that are asked about at the same time."""
CONNECT, SILENCE = 30.0, 60.0
"""Seconds that a web server may take to be reached, and between two parts of what it sends."""
_PROTOCOL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
WEB = ("http://", "https://")
_systems: dict[int, Any] = {}
"""File systems of this process, and of those that it was forked from. A forked process that let go of one
would close its connections, which takes them out of the parent's event loop too, as both share the kernel's
part of it: the parent would wait for its answers for ever.
"""
_TAGS = (
    *("ETag", "etag", "md5Hash", "md5", "content_md5", "Content-MD5", "Digest"),
    *("LastModified", "Last-Modified", "last_modified", "mtime", "updated", "created"),
)
"""What file systems call the mark that changes with a file's content."""


@dataclass(frozen=True)
class Shard:
    """One tar file.

    Args:
        address: a path, or an address such as s3://bucket/train-000000.tar.
        name: what it is called in names of images: its path from the folder that all shards have in common.
        size: in bytes.
        tag: changes where the content does, such as an ETag; "" where the server has none.
        digest: of its content as it was indexed; "" where that is not known.
    """

    address: str
    name: str
    size: int
    tag: str = ""
    digest: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is read where it lies."""
        return not is_remote(self.address)

    @property
    def key(self) -> str:
        """Tells this shard, with this content, from all others: 32 hexadecimal digits."""
        return blake2b(f"{self.address}\0{self.size}\0{self.tag}".encode(), digest_size=16).hexdigest()


def is_shard_name(text: str) -> bool:
    """Whether `text` means shards: it begins with `shards:`, or names tar files here or in an object store.

    One https:// address without braces is none: it may be an archive that is to be unpacked.
    """
    low = text.lower()
    if low.startswith(PREFIX):
        return True
    if _is_web(text):
        return "{" in low and ".tar" in low
    if is_remote(text):
        return low.partition("://")[0] in STORES and ".tar" in low
    return low.endswith(".tar")


def is_remote(address: str) -> bool:
    """Whether it is an address rather than a path."""
    return _PROTOCOL.match(address) is not None


def shown(address: str) -> str:
    """`address` as people may see it, without the password or the signature that it may hold."""
    if "://" not in address:
        return address
    prefix = address[: len(PREFIX)] if address.lower().startswith(PREFIX) else ""
    address = address[len(prefix) :]
    kind = address.partition("://")[0].lower()
    if kind in STORES and "=" not in address.partition("?")[2]:  # where a question mark is of a pattern
        return prefix + re.sub(r"//[^/]*@", "//", address)
    from visionkit.sources.downloads.answers import hidden_url  # requests, which paths do not need

    return prefix + hidden_url(address)


def expand(text: str) -> list[str]:
    """The addresses that `text` means, braces and stars resolved, in order.

    Raises:
        UsageError: it means none, far too many, or one twice.
        VisionkitError: the store cannot be asked.
    """
    written = text[len(PREFIX) :] if text.lower().startswith(PREFIX) else text
    here = os.path.expanduser(written)
    if not is_remote(written) and os.path.lexists(here):  # whatever braces and stars its name has
        return [here]
    found: list[str] = []
    for each in _alternatives(written, text):
        # On the web a question mark begins a query, and nothing can be listed.
        found += _matches(each) if not _is_web(each) and has_stars(each) else [os.path.expanduser(each)]
    if not found:
        raise UsageError(f"{shown(text)}: no shard matches.")
    if len(set(found)) < len(found):
        twice = sorted({shown(each) for each in found if found.count(each) > 1}) if len(found) < 1000 else []
        raise UsageError(f"{shown(text)}: a shard is named twice. {listing(twice)}")
    return found


def shards_at(addresses: Sequence[str]) -> list[Shard]:
    """What is at these addresses, in their order; nothing is read but sizes and tags.

    Raises:
        DataError: one is not there, or its size is not told.
        VisionkitError: it cannot be reached.
    """
    names = _names(addresses)
    if all(not is_remote(address) for address in addresses):
        return [_local(address, name) for address, name in zip(addresses, names)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(_asked, addresses, names))


def file_system(address: str) -> tuple[Any, str]:
    """Fsspec's file system for `address`, and the path in it. Not kept: they do not survive a fork.

    Raises:
        UsageError: an unknown kind of address.
        VisionkitError: its package is not installed.
    """
    from fsspec.core import url_to_fs

    kind = address.partition("://")[0]
    try:
        system, path = url_to_fs(address, **_patience(address))
    except ImportError as error:
        packages = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp"}
        packages |= {"https": "aiohttp", "az": "adlfs", "abfs": "adlfs"}
        package = packages.get(kind.lower())
        hint = f"Install it: pip install {package}" if package else f"({reason(error)})"
        raise VisionkitError(
            f"{shown(address)}: {kind}:// needs a package that is not here. {hint}"
        ) from error
    except ValueError as error:
        raise UsageError(f"{shown(address)}: {reason(error)}") from error
    if id(system) not in _systems:
        _systems[id(system)] = system, getattr(system, "_loop", None)
    return system, path


def _patience(address: str) -> dict[str, Any]:
    """Options with which a fetch may take as long as it likes, while something comes."""
    if not _is_web(address):
        return {}
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)
    return {"client_kwargs": {"timeout": timeout}}


@contextmanager
def reaching(address: str) -> Iterator[None]:
    """One message for whatever keeps a process from `address`: libraries of stores raise nearly anything."""
    try:
        yield
    except VisionkitError:
        raise
    except Exception as error:
        if is_missing(error):
            raise DataError(f"{shown(address)}: there is no such file.") from error
        raise VisionkitError(
            f"{shown(address)}: cannot be reached ({reason(error)}). Check the address, the network and the "
            "store's credentials."
        ) from error


def reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    told = re.sub(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>()]+", lambda found: shown(found[0]), str(error))
    return " ".join(told.split())[:300] or type(error).__name__


def _alternatives(written: str, text: str) -> list[str]:
    try:
        return without_braces(written)
    except ImportError as error:
        raise VisionkitError(
            f"{shown(text)}: braces need a package. Install it: pip install 'visionkit[shards]'"
        ) from error
    except ValueError as error:
        raise UsageError(f"{shown(text)}: {error}.") from error


def _is_web(address: str) -> bool:
    return address.lower().startswith(WEB)


def _matches(pattern: str) -> list[str]:
    if not is_remote(pattern):
        return sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
    with reaching(pattern):
        system, path = file_system(pattern)
        return sorted(system.unstrip_protocol(each) for each in tried(lambda: system.glob(path)))


def _names(addresses: Sequence[str]) -> list[str]:
    """Names below the folder that all have in common; safe as parts of a path, and each once."""
    paths = [
        _PROTOCOL.sub("/", re.split(r"[?#]", shown(address))[0] if is_remote(address) else address)
        for address in addresses
    ]
    paths = [
        os.path.normpath(path if is_remote(address) else os.path.abspath(path))
        for path, address in zip(paths, addresses)
    ]
    top = os.path.commonpath([os.path.dirname(path) for path in paths])
    names = [re.sub(r"[^\w./+=@-]", "_", os.path.relpath(path, top)) for path in paths]
    if len(set(names)) < len(names):  # told apart by what is not part of the path
        names = [f"{number:06d}/{name}" for number, name in enumerate(names)]
    return names


def _local(address: str, name: str) -> Shard:
    path = Path(os.path.abspath(address))
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{address}: the shard cannot be read ({error.strerror}).") from error
    if not path.is_file():
        raise DataError(f"{address}: this is no file.")
    return Shard(str(path), name, status.st_size, str(status.st_mtime_ns))


def _asked(address: str, name: str) -> Shard:
    if not is_remote(address):
        return _local(address, name)
    with reaching(address):
        system, path = file_system(address)
        about = tried(lambda: system.info(path))
    size = about.get("size")
    if not isinstance(size, int):
        raise DataError(f"{shown(address)}: the server does not tell its size, which is needed.")
    return Shard(address, name, size, next((str(about[tag]) for tag in _TAGS if about.get(tag)), ""))
