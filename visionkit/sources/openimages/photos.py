"""Photos from many hosts, fetched politely: few at once from each, slowly, and never twice."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

import requests
import urllib3
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_when_event_set,
)

from visionkit.errors import VisionkitError
from visionkit.progress import Progress, quantity
from visionkit.sources.downloads import attempts
from visionkit.sources.downloads.addresses import Guard, GuardedAdapter
from visionkit.sources.downloads.answers import Session, reason_of, retry_after
from visionkit.sources.downloads.attempts import LONGEST_WAIT, Again
from visionkit.sources.downloads.downloading import TIMEOUTS, is_web_address
from visionkit.sources.openimages.journal import Journal

Outcome = Literal["fetched", "gone", "changed", "too large", "failed"]
SETTLED = ("gone", "changed", "too large")
"""Outcomes that another call would not mend."""

JOURNAL = "journal.jsonl"
PER_HOST = 4
"""Connections to one host at most."""
ATTEMPTS = 5
LARGEST = 100 * 10**6
"""Bytes that a photo may have."""
FAILURES_IN_A_ROW = 20
"""After so many it is the connection, not the photos."""
FAILED_SHARE = 0.05
"""More failed photos than this are not passed over."""
_BLOCK = 1 << 16


class Photo(NamedTuple):
    """Where a photo is, and the MD5 that it had, in hex digits; empty where nobody knows."""

    id: str
    url: str
    md5: str = ""


def md5_of(text: str) -> str:
    """The hex digits of an MD5 in base64, as in the column OriginalMD5; empty where it is none."""
    try:
        digest = b64decode(text, validate=True)
    except ValueError:
        return ""
    return digest.hex() if len(digest) == 16 else ""


def photo_file(folder: Path, photo: str) -> Path:
    """Where the photo is kept: in 256 sub-folders, since there may be a million of them."""
    return folder / photo[:2] / f"{photo}.jpg"


def fetch_photos(
    photos: Sequence[Photo], folder: Path, progress: Progress, parallel: int = 16, pause: float = 0.1
) -> dict[str, Outcome]:
    """Fetch what is not in `folder` yet; returns what became of each photo, by its id.

    A later call asks only for photos that are neither there nor settled: dead links, photos that changed
    and pictures that a host shows in place of deleted ones are remembered in `folder/journal.jsonl`.

    Args:
        photos: what to fetch.
        folder: made where it is not there.
        progress: hears of each photo.
        parallel: how many at once, at most four of them from one host.
        pause: seconds at least from one request to a host to the next one.

    Raises:
        VisionkitError: too many photos in a row, or in all, could not be fetched; another call goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*/.*.part"):  # of a call that was killed; no other one is under way
        left_over.unlink(missing_ok=True)
    journal = Journal(folder / JOURNAL)
    outcomes: dict[str, Outcome] = {}
    missing = []
    for photo in photos:
        known = journal.outcome(photo.id, photo.url)
        if photo_file(folder, photo.id).is_file():
            outcomes[photo.id] = "fetched"
        elif known in SETTLED:
            outcomes[photo.id] = cast(Outcome, known)
        else:
            missing.append(photo)
    if missing:
        with progress.track("photos", len(photos), "images") as advance:
            advance(len(outcomes))
            outcomes |= _Fetch(folder, journal, pause).run(missing, parallel, advance)
    counts: Counter[str] = Counter(outcomes.values())
    progress.note(f"photos     {summary(counts)}")
    if counts["failed"] > FAILED_SHARE * len(photos):
        raise _broken(counts["failed"], len(photos))
    return outcomes


def summary(counts: Mapping[str, int]) -> str:
    """Such as "1,200 photos: 1,100 fetched, 60 gone, 40 changed"."""
    order = ("fetched", *SETTLED, "failed")
    parts = [f"{counts[name]:,} {name}" for name in order if name == "fetched" or counts.get(name)]
    total = sum(counts.values())
    return f"{total:,} photo{'' if total == 1 else 's'}: {', '.join(parts)}"


def _broken(failed: int, total: int, why: str = "") -> VisionkitError:
    return VisionkitError(
        f"{failed:,} of {quantity(total, 'images')} could not be fetched{why and f' ({why})'}. Check the "
        "connection and call again: it goes on where it stopped."
    )


def rest(stop: threading.Event, seconds: float) -> None:
    """Wait, but not longer than until `stop`. Tests put something quicker here."""
    stop.wait(seconds)


def clock() -> float:
    """Seconds. Tests put a clock of their own here."""
    return time.monotonic()


@dataclass
class Turns:
    """When each host may be asked again."""

    pause: float
    stop: threading.Event

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def take(self, host: str) -> None:
        """Wait until it is this caller's turn with `host`."""
        with self._lock:
            now = clock()
            at = max(now, self._next.get(host, now))
            self._next[host] = at + self.pause
        if at > now:
            rest(self.stop, at - now)

    def hold(self, host: str, seconds: float) -> None:
        """Ask `host` for nothing until `seconds` are over."""
        with self._lock:
            self._next[host] = max(self._next.get(host, 0.0), clock() + seconds)


class _PoliteAdapter(GuardedAdapter):
    """Takes turns with each host, those that addresses redirect to among them, on a few connections."""

    def __init__(self, turns: Turns, guard: Guard) -> None:
        self.turns = turns
        super().__init__(guard, pool_connections=64, pool_maxsize=PER_HOST, pool_block=True)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.turns.take(urlsplit(request.url or "").hostname or "")
        return super().send(request, *args, **kwargs)


class _Fetch:
    """One call of `fetch_photos`, on several threads."""

    def __init__(self, folder: Path, journal: Journal, pause: float) -> None:
        self.folder = folder
        self.journal = journal
        self.stop = threading.Event()
        self.turns = Turns(pause, self.stop)
        self.session = Session()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _PoliteAdapter(self.turns, self.session.guard))
        self.last_failure = ""

    def run(self, photos: Sequence[Photo], parallel: int, advance: Any) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        in_a_row = 0
        pool = ThreadPoolExecutor(parallel, "photos")
        try:
            pending: dict[Future[Outcome], Photo] = {
                pool.submit(self._fetch, photo): photo for photo in photos
            }
            for done in as_completed(pending):
                outcome = outcomes[pending[done].id] = done.result()
                advance(1)
                in_a_row = in_a_row + 1 if outcome == "failed" else 0
                if in_a_row >= FAILURES_IN_A_ROW:
                    raise _broken(in_a_row, len(outcomes), self.last_failure)
        finally:
            self.stop.set()
            pool.shutdown(cancel_futures=True)
            self.session.close()
        return outcomes

    def _fetch(self, photo: Photo) -> Outcome:
        """Fetch one photo, with patience."""
        retrying = Retrying(
            retry=retry_if_exception_type(Again),
            stop=stop_after_attempt(ATTEMPTS) | stop_when_event_set(self.stop),
            wait=_wait,
            sleep=lambda seconds: rest(self.stop, seconds),
            reraise=True,
        )
        try:
            outcome: Outcome = retrying(self._ask, photo)
        except Again as error:
            self.last_failure = f"{photo.url}: {error}"
            return "failed"
        if outcome in SETTLED:
            self.journal.write(photo.id, photo.url, outcome)
        return outcome

    def _ask(self, photo: Photo) -> Outcome:
        """One request. Raises `Again` where another one may bring the photo."""
        if not is_web_address(photo.url):
            return "gone"
        try:
            with self.session.get(photo.url, stream=True, timeout=TIMEOUTS) as response:
                self._heed(response)
                return "gone" if _is_no_photo(response) else self._receive(photo, response)
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            urllib3.exceptions.HTTPError,
        ) as error:
            raise Again(reason_of(error)) from error
        except (requests.RequestException, VisionkitError, ValueError):
            return "gone"  # malformed, redirected in circles, or out of https

    def _heed(self, response: requests.Response) -> None:
        """Leave a host in peace that says it has too much to do."""
        status = response.status_code
        if status in (408, 425, 429) or status >= 500:
            after = min(retry_after(response), LONGEST_WAIT)
            if after:
                self.turns.hold(urlsplit(response.url).hostname or "", after)
            raise Again(f"the server answered {status}", after)

    def _receive(self, photo: Photo, response: requests.Response) -> Outcome:
        """Write the answer's body to the photo's file, unless it is another picture."""
        file = photo_file(self.folder, photo.id)
        file.parent.mkdir(exist_ok=True)
        beside = file.with_name(f".{file.name}.{os.getpid()}.part")
        digest = hashlib.md5(usedforsecurity=False)
        size, start = 0, b""
        try:
            with beside.open("wb") as target:
                for block in response.iter_content(_BLOCK):
                    if self.stop.is_set():
                        raise Again("it was interrupted")
                    start = start or block[:16]
                    size += len(block)
                    if size > LARGEST:
                        return "too large"
                    digest.update(block)
                    target.write(block)
            right = digest.hexdigest() == photo.md5
            if not right and _is_placeholder(photo.url, start):
                return "gone"
            if photo.md5 and not right:
                return "changed"
            beside.replace(file)
            return "fetched"
        finally:
            beside.unlink(missing_ok=True)


def _wait(state: RetryCallState) -> float:
    """Seconds until the next attempt: what the server asks for, else more and more."""
    error = state.outcome.exception() if state.outcome else None
    return (error.after if isinstance(error, Again) else 0.0) or attempts.WAIT(state)


def _is_no_photo(response: requests.Response) -> bool:
    """Whether the answer is a refusal, a page, or the address of Flickr's picture for deleted photos."""
    kind = response.headers.get("Content-Type", "").lower()
    return response.status_code != 200 or kind.startswith("text/") or "photo_unavailable" in response.url


def _is_placeholder(url: str, start: bytes) -> bool:
    """Whether a GIF, a PNG or nothing came for an address that ends otherwise: hosts of photos put such
    pictures in the place of deleted ones.
    """
    ending = urlsplit(url).path.lower().rpartition(".")[2]
    return (
        not start
        or (start.startswith(b"GIF8") and ending != "gif")
        or (start.startswith(b"\x89PNG") and ending != "png")
    )
