"""Downloads that go on where they stopped, try again, and end in a whole file or in one message."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3

from visionkit.errors import UsageError, VisionkitError
from visionkit.progress import Advance, Progress
from visionkit.sources.downloads.addresses import Watch
from visionkit.sources.downloads.answers import (
    Session,
    content_range,
    filename_told,
    is_coded,
    is_of,
    is_undone,
    length_of,
    public_url,
    reason_of,
    root_of,
    validator,
)
from visionkit.sources.downloads.attempts import ATTEMPTS, Again, Attempts
from visionkit.sources.downloads.checksums import digits_of, parse_checksum
from visionkit.sources.downloads.partial import Origin, Partial
from visionkit.sources.downloads.refusing import OTHERWISE, failed, other_file, refuse
from visionkit.sources.downloads.space import endless, has_room, require_space, unwritable

TIMEOUTS = (10.0, 60.0)
"""Seconds to connect, and to wait for the next bytes."""

_BLOCK = 1 << 16
_BETWEEN_LOOKS = 1 << 24


class Arrival(NamedTuple):
    """A file that has arrived, and the name that the server gives it: empty where it gives none."""

    path: Path
    filename: str


def download(
    url: str,
    target: Path,
    *,
    progress: Progress,
    size: int | None = None,
    checksum: str | None = None,
    label: str | None = None,
    seconds: float | None = None,
) -> Path:
    """Fetch `url` to the file `target`, which appears once it is whole; one that is there is replaced.

    The bytes so far lie in `.NAME.part` beside it. A broken connection, a kill or a later call goes on
    behind them, where the server says that the file is still the same. There must be one download to a
    `target` at a time.

    Args:
        url: http or https; a user's name and password in it are used and shown nowhere.
        target: its folder is made where it is not there.
        progress: hears how many bytes have arrived, those of an earlier call among them.
        size: how many bytes the file must have.
        checksum: "sha256:HEX" or "md5:HEX", which the file must have.
        label: what `progress` calls it; the target's name where it is None.
        seconds: that it may take in all; None is any time, as long as bytes arrive.

    Raises:
        UsageError: the address or the checksum is malformed.
        VisionkitError: the file cannot be fetched, or is not the expected one; the message says what to do.
    """
    return transfer(
        url, target, progress=progress, size=size, checksum=checksum, label=label, seconds=seconds
    ).path


def transfer(
    url: str,
    target: Path,
    *,
    progress: Progress,
    size: int | None = None,
    checksum: str | None = None,
    label: str | None = None,
    seconds: float | None = None,
) -> Arrival:
    """As `download`, and tells the name that the server gives the file."""
    if not is_web_address(url):
        raise UsageError(f"{public_url(url)}: not an address that begins with http:// or https://.")
    expected = parse_checksum(checksum) if checksum is not None else None
    with ExitStack() as stack:
        run = _Transfer(url, Partial(target), progress, size, expected, label or target.name, stack, seconds)
        try:
            return run.run()
        except OSError as error:
            raise unwritable(error, target) from error


def is_web_address(url: str) -> bool:
    """Whether `url` is of http or https, and names a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


@dataclass
class _Transfer:
    """One call of `download`: as many attempts as it takes."""

    url: str
    partial: Partial
    progress: Progress
    size: int | None
    checksum: tuple[str, str] | None
    label: str
    stack: ExitStack
    seconds: float | None = None

    def __post_init__(self) -> None:
        self.shown = public_url(self.url)
        self.origin = self.partial.origin()
        if self.origin and self.origin.url != self.shown:
            self.origin = None
        self.advance: Advance | None = None

    def run(self) -> Arrival:
        begun = self.partial.size() if self.origin else 0
        attempts = Attempts(self.partial.size, self.progress.note, begun)
        try:
            with Session() as session, session.guard.within(self.seconds) as watch:
                attempts.run(lambda: self._timely(session, watch))
        except Again as error:
            raise VisionkitError(
                f"{self.shown}: cannot be fetched ({error}; {ATTEMPTS} attempts). Check the connection and "
                f"call again: it goes on where it stopped. {OTHERWISE}"
            ) from error
        self._verify()
        self.partial.finish()
        return Arrival(self.partial.target, self.origin.filename if self.origin else "")

    def _timely(self, session: Session, watch: Watch) -> None:
        """One request, if there is time for it."""
        try:
            if not watch.over:
                self._request(session)
        except Again:
            if not watch.over:
                raise
        if watch.over and self.seconds is not None:
            raise failed(self.shown, f"it takes longer than {self.seconds:g} s")

    def _request(self, session: Session) -> None:
        """One request, from where the bytes so far end to where the answer ends."""
        have = self.partial.size() if self.origin else 0
        headers = {}
        if self.origin and self.origin.validator and have:
            headers = {"Range": f"bytes={have}-", "If-Range": self.origin.validator}
        with self._answer(session, headers) as response:
            if response.status_code == 416 and headers:
                if self._is_all(response, have):
                    self._track(have)
                    return
                raise self._anew("the server refused to go on where the download stopped")
            refuse(response, self.url)
            if response.status_code == 206:
                if not headers or not self._goes_on(response, have):
                    raise self._anew("the file changed on the server meanwhile")
                if self.origin and self.origin.total is not None:
                    require_space(self.partial.target, self.origin.total - have)
                self._track(have)
            else:
                self._begin(response)
            self._receive(response)

    def _answer(self, session: Session, headers: dict[str, str]) -> requests.Response:
        watch: Watch | None = None
        try:
            with session.guard.within(sum(TIMEOUTS)) as watch:
                response = session.get(self.url, headers=headers, stream=True, timeout=TIMEOUTS)
        except requests.exceptions.TooManyRedirects:
            raise failed(self.shown, "it redirects again and again") from None
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            if watch is not None and watch.over:
                raise self._late() from error
            if isinstance(root_of(error), ssl.SSLCertVerificationError):
                raise failed(
                    self.shown, f"the server's certificate is not valid: {reason_of(error)}"
                ) from error
            raise Again(reason_of(error)) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError):
            # Not chained: these quote the address, and with it a password.
            raise failed(self.shown, "the address is malformed, or one that it redirects to") from None
        if watch.over:  # headers that were cut off read like whole ones
            response.close()
            raise self._late()
        return response

    def _late(self) -> VisionkitError:
        return failed(self.shown, f"the server did not answer within {sum(TIMEOUTS):.0f} s")

    def _is_all(self, response: requests.Response, have: int) -> bool:
        """Whether the answer 416 means that every byte had arrived before."""
        origin = self.origin
        return origin is not None and content_range(response) == (None, have) and origin.total in (None, have)

    def _goes_on(self, response: requests.Response, have: int) -> bool:
        """Whether the answer is the rest of the same file, whatever the server makes of If-Range."""
        first, total = content_range(response)
        origin = self.origin
        if not origin or first != have or is_coded(response) or not is_of(response, origin.validator):
            return False
        if origin.total is None and total is not None:
            self.origin = replace(origin, total=total)
            return True
        return origin.total is not None and total in (None, origin.total)

    def _begin(self, response: requests.Response) -> None:
        """Start the file anew with this answer."""
        coded = is_coded(response)
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        length = length_of(response)
        total = None if chunked or coded else length
        verifiable = self.size is not None or self.checksum is not None
        if coded and not is_undone(response):
            raise failed(self.shown, "the server sends it compressed in a way that was not asked for")
        if not (chunked or length is not None or verifiable):
            raise failed(
                self.shown,
                "the server does not say how long the file is, so a whole one cannot be told from a cut one",
            )
        if total is not None and self.size is not None and total != self.size:
            raise other_file(self.shown, f"{total:,} bytes", f"{self.size:,} bytes")
        told = "" if coded else validator(response)
        self.origin = Origin(self.shown, told, total, filename_told(response))
        self.partial.target.parent.mkdir(parents=True, exist_ok=True)
        require_space(self.partial.target, total, self.partial.size())
        self.partial.begin(self.origin)
        self._track(0, anew=True)

    def _require_end(self, have: int) -> None:
        """Raise where a body without a length, which may have no end, is about to fill the disk."""
        if not has_room(self.partial.target):
            self.partial.discard()
            raise endless(self.shown, have)

    def _track(self, have: int, anew: bool = False) -> None:
        """Show the progress; after a start anew, from the beginning."""
        if self.advance is not None and not anew:
            return
        self.stack.close()
        total = (self.origin.total if self.origin else None) or self.size
        self.advance = self.stack.enter_context(self.progress.track(self.label, total, "bytes"))
        if have:
            self.advance(have)

    def _receive(self, response: requests.Response) -> None:
        """Append the answer's body."""
        have = self.partial.size()
        known = self.size if self.size is not None else self.origin.total if self.origin else None
        looked_at = have
        with self.partial.appending() as file:
            for block in _blocks(response):
                file.write(block)
                have += len(block)
                if known is not None and have > known:
                    break  # the rest does not belong to it; what has arrived is refused for its size
                if known is None and have - looked_at > _BETWEEN_LOOKS:
                    looked_at = have
                    self._require_end(have)
                if self.advance:
                    self.advance(len(block))
        if known is not None and have > known:
            return
        length = length_of(response)
        if length is not None and response.raw.tell() < length:  # compressed: its length is another
            raise Again("the connection broke off")
        have = self.partial.size()
        total = (self.origin.total if self.origin else None) or self.size
        if total is not None and have < total:
            raise Again(f"the connection broke off after {have:,} of {total:,} bytes")

    def _verify(self) -> None:
        """Raise where the file is not the expected one, and forget it."""
        have = self.partial.size()
        for expected in (self.size, self.origin.total if self.origin else None):
            if expected is not None and have != expected:
                self.partial.discard()
                found = f"more than {expected:,} bytes" if have > expected else f"{have:,} bytes"
                raise other_file(self.shown, found, f"{expected:,} bytes")
        if self.checksum:
            kind, digits = self.checksum
            told = digits_of(self.partial.file, kind)
            if told != digits:
                self.partial.discard()
                raise other_file(self.shown, f"{kind} {told}", digits)

    def _anew(self, reason: str) -> Again:
        self.partial.discard()
        self.origin = None
        return Again(reason)


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes; a connection that breaks is told from a disk that fails."""
    raw, coded = response.raw, is_coded(response)
    try:
        if coded or "Transfer-Encoding" in response.headers or not hasattr(raw, "read1"):
            yield from raw.stream(_BLOCK, decode_content=coded)
            return
        while block := raw.read1(_BLOCK, decode_content=False):  # what is there: a break loses none of it
            yield block
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Again(f"the connection broke off: {reason_of(error)}") from error
