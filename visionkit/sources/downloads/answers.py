"""What a web server's answer says of a file: whether it is the same one, its name, when to come again."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timezone
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import requests

from visionkit import __version__
from visionkit.errors import VisionkitError
from visionkit.sources.downloads.addresses import Guard, GuardedAdapter

_DIGITS = 18
"""Of a count of bytes or seconds."""
_CODINGS = ("gzip", "x-gzip", "deflate")


class Session(requests.Session):
    """Follows ten redirects at most, none from https to http, and none to where servers may not send us."""

    def __init__(self) -> None:
        super().__init__()
        self.guard = Guard()
        self.max_redirects = 10
        for scheme in ("http://", "https://"):
            self.mount(scheme, GuardedAdapter(self.guard))
        # Sizes and ranges are those of the file only where the server does not compress what it sends.
        self.headers.update({"User-Agent": f"visionkit/{__version__}", "Accept-Encoding": "identity"})

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """As requests does it; the address is one that the user named."""
        self.guard.begin()
        return super().request(*args, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where the answer redirects to.

        Raises:
            VisionkitError: out of https.
        """
        location = super().get_redirect_target(resp)
        if location:
            self.guard.redirected()
        if location and resp.url.lower().startswith("https:"):
            onward = urljoin(resp.url, location)
            if not onward.lower().startswith("https:"):
                raise VisionkitError(
                    f"{public_url(resp.url)}: cannot be fetched (it redirects from https to "
                    f"{public_url(onward)}, which is not encrypted). Look for another address, or name a "
                    "folder that you have with --data."
                )
        return location


def public_url(url: str) -> str:
    """`url` without the user's name and password that it may hold."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a malformed host
        return re.sub(r"//[^/]*@", "//", url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def hidden_url(url: str) -> str:
    """`url` as people may see it: without user and password, and with an ellipsis for each value behind `?`.

    Values there may be signatures and tokens, whatever they are called; their names stay.
    """
    url = re.sub(r"^([a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/]*@", r"\1//", url)
    address, mark, rest = re.fullmatch(r"([^?#]*)([?#]?)(.*)", url, re.DOTALL).groups()  # type: ignore[union-attr]
    return address + mark + re.sub(r"([^=&#]*=)?[^&#]+", lambda found: f"{found[1] or ''}…", rest)


def validator(response: requests.Response) -> str:
    """What tells this version of the file: a strong ETag, else Last-Modified, else nothing."""
    etag = response.headers.get("ETag", "").strip()
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "").strip()


def is_of(response: requests.Response, earlier: str) -> bool:
    """Whether the answer, a part of a file, is of the version with the validator `earlier`.

    A part must repeat the ETag; it need not repeat Last-Modified where If-Range held it.
    """
    if earlier.startswith('"'):
        return response.headers.get("ETag", "").strip() == earlier
    return response.headers.get("Last-Modified", earlier).strip() == earlier


def content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """The first byte that the answer holds, and how many the whole file has; None where it does not say."""
    told = response.headers.get("Content-Range", "").strip()
    found = re.fullmatch(r"bytes\s+(?:(\d+)-\d+|\*)/(?:(\d+)|\*)", told)
    if not found:
        return None, None
    return (count_in(found[1] or ""), count_in(found[2] or ""))


def is_coded(response: requests.Response) -> bool:
    """Whether the server compressed the file against our wish.

    Servers also say gzip of a file that is a .tar.gz by itself; that one stays as it is.
    """
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    return coding not in ("", "identity") and not urlsplit(response.url).path.lower().endswith(
        (".gz", ".tgz")
    )


def length_of(response: requests.Response) -> int | None:
    """How many bytes the answer says that it has; None where it says nothing of use."""
    return count_in(response.headers.get("Content-Length", ""))


def count_in(text: str) -> int | None:
    """The number in a header; None where it is none that a file could have."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


def is_undone(response: requests.Response) -> bool:
    """Whether the compression is one that can be undone, in bounded steps: several in a row multiply."""
    return response.headers.get("Content-Encoding", "").strip().lower() in _CODINGS


def retry_after(response: requests.Response) -> float:
    """How many seconds the server asks to wait; 0 where it does not."""
    told = response.headers.get("Retry-After", "").strip()
    if (seconds := count_in(told)) is not None:
        return float(seconds)
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(timezone.utc)).total_seconds())
    return 0.0


def filename_of(url: str) -> str:
    """The last part of an address' path, or else its host."""
    parts = urlsplit(url)
    return unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.hostname or ""


def filename_told(response: requests.Response) -> str:
    """The name that the server gives the file in Content-Disposition; empty where it gives none."""
    message = Message()
    message["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    return Path((message.get_filename() or "").replace("\\", "/")).name


def root_of(error: BaseException) -> BaseException:
    """The error that a chain of them began with."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error


def reason_of(error: BaseException) -> str:
    """What a chain of errors began with, in a few words."""
    root = root_of(error)
    reason = getattr(root, "strerror", None) or str(root) or type(root).__name__
    return " ".join(str(reason).split())
