"""The requests of Kaggle's client: none waits for ever, passing faults are tried again, bytes are counted."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import Any

import requests
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    ConnectTimeout,
    HTTPError,
    RequestException,
    Timeout,
)
from requests.utils import rewind_body
from tenacity import RetryCallState, Retrying, retry_if_exception, retry_if_result, stop_after_attempt
from tenacity.wait import wait_exponential_jitter
from urllib3.util.retry import Retry

from visionkit.progress import Advance, Progress, quantity
from visionkit.sources.downloads.answers import count_in

TIMEOUT = (10.0, 60.0)
"""Seconds to connect in, and to wait for the next bytes."""

ATTEMPTS = 4
LONGEST_WAIT = 60.0
BUSY = frozenset({429, 500, 502, 503, 504})
"""Answers that say "later"."""

ENTERING = "/CreateSubmission"
"""How the address of the question ends that enters a submission."""
NOT_ENTERED = frozenset({429, 503})

_sending = threading.RLock()
_backoff = wait_exponential_jitter(initial=1, max=30, jitter=1)


class Transfer(AbstractContextManager["Transfer"]):
    """Shows one download; its bar begins with the first bytes, when the size is known.

    Args:
        progress: is shown it.
        label: what is fetched.
    """

    def __init__(self, progress: Progress, label: str) -> None:
        self.progress, self.label = progress, label
        self._bar = ExitStack()
        self._advance: Advance | None = None
        self._furthest = 0

    def reached(self, position: int, total: int | None) -> None:
        """So many bytes are there; a download that starts anew does not count them twice."""
        if self._advance is None:
            self._advance = self._bar.enter_context(self.progress.track(self.label, total, "bytes"))
        if position > self._furthest:
            self._advance(position - self._furthest)
            self._furthest = position

    def goes_on(self, position: int) -> None:
        """The server sends what is missing after so many bytes."""
        self.progress.note(f"going on   {self.label} at {quantity(position, 'bytes')}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)


@contextmanager
def patient_requests(
    note: Callable[[str], None], attempts: int = ATTEMPTS, transfer: Transfer | None = None
) -> Iterator[list[str]]:
    """Meanwhile, every request of this thread has a time-out, and questions are asked again after a fault.

    Kaggle's client gives its first request no time-out, and takes the body of a refused request for more of
    the file: such a refusal is raised as HTTPError, after which the client tries again. It has no hook for
    either, so `requests.Session.send` is replaced; downloads of other threads wait.

    An upload that is tried again is sent from its beginning. What enters a submission is asked again only
    where Kaggle has surely not entered it, since each counts.

    Yields:
        Why uploads were refused, which the client keeps to itself.

    Args:
        note: is told why and when a request is tried again.
        attempts: how often to ask before giving up.
        transfer: is told of the bytes of files.
    """
    with _sending:
        original = requests.Session.send
        refusals: list[str] = []
        owner = threading.get_ident()
        asking = False

        def send(
            session: requests.Session, request: requests.PreparedRequest, **options: Any
        ) -> requests.Response:
            nonlocal asking
            if threading.get_ident() != owner:
                return original(session, request, **options)
            options["timeout"] = TIMEOUT
            if asking or "Range" in request.headers:
                response = original(session, request, **options)
                _refuse(response)
            else:
                asking = True  # redirects are followed by further calls from within
                try:
                    retrying = _retrying(attempts, note, (request.url or "").endswith(ENTERING))
                    if request.method == "PUT":
                        response = retrying(_sent_whole, refusals, original, session, request, **options)
                    else:
                        response = retrying(original, session, request, **options)
                finally:
                    asking = False
            if transfer and response.request.method == "GET" and response.status_code in (200, 206):
                _count(response, transfer)
            return response

        requests.Session.send = send  # type: ignore[method-assign, assignment]
        try:
            yield refusals
        finally:
            requests.Session.send = original  # type: ignore[method-assign]


def status_of(error: HTTPError) -> int | None:
    """The status that an error of Kaggle's client stands for; some are only in the answer's JSON."""
    if error.response is None:
        return None
    if error.response.status_code >= 400:
        return error.response.status_code
    try:
        return int(error.response.json()["code"])
    except (ValueError, KeyError, TypeError, RuntimeError):
        return error.response.status_code


def reason(error: Exception) -> str:
    """Why a request failed, on one line and without the addresses of objects and signed links."""
    if isinstance(error, Timeout):
        return f"no answer within {TIMEOUT[0 if isinstance(error, ConnectTimeout) else 1]:.0f} s"
    text = " ".join(str(_root(error)).rsplit(">: ", 1)[-1].split())
    return re.sub(r"https?://\S+", lambda link: link[0].split("?")[0], text)[:300] or type(error).__name__


def _root(error: BaseException) -> BaseException:
    """The error that requests and urllib3 have wrapped."""
    held = (getattr(error, "reason", None), *error.args)
    inner = next((one for one in held if isinstance(one, BaseException)), None)
    return error if inner is None else _root(inner)


def _refuse(response: requests.Response) -> None:
    if response.status_code >= 400:
        raise HTTPError(f"{response.status_code} {response.reason}", response=response)


def _sent_whole(
    refusals: list[str],
    original: Callable[..., requests.Response],
    session: requests.Session,
    request: requests.PreparedRequest,
    **options: Any,
) -> requests.Response:
    """One attempt at an upload, from the beginning of its file."""
    for adapter in session.adapters.values():
        adapter.max_retries = Retry(0, read=False)  # type: ignore[attr-defined]  # ten, for minutes, in silence
    if isinstance(request._body_position, int):  # type: ignore[attr-defined]
        rewind_body(request)
    try:
        response = original(session, request, **options)
    except RequestException as error:
        refusals.append(reason(error))
        raise
    if response.status_code >= 400:
        refusals.append(f"{response.status_code} {response.reason}")
    return response


def _count(response: requests.Response, transfer: Transfer) -> None:
    """Have `transfer` hear of what is read from `response`."""
    sent = response.headers.get("Content-Length", "")
    start, total = 0, count_in(sent)
    part = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status_code == 206 and part:
        start, total = int(part[1]), None if part[2] == "*" else int(part[2])
    read = response.iter_content

    def iter_content(*arguments: Any, **options: Any) -> Iterator[Any]:
        if start:
            transfer.goes_on(start)
        position = start
        transfer.reached(position, total)
        for chunk in read(*arguments, **options):
            yield chunk
            position += len(chunk)
            transfer.reached(position, total)

    response.iter_content = iter_content  # type: ignore[method-assign]


def _retrying(attempts: int, note: Callable[[str], None], entering: bool = False) -> Retrying:
    """Tries again after passing faults; where `entering`, only after answers that nothing was entered."""
    later = NOT_ENTERED if entering else BUSY

    def say(state: RetryCallState) -> None:
        wait = state.next_action.sleep if state.next_action else 0.0
        note(f"waiting    Kaggle: {_fault(state)}; trying again in {wait:.0f} s")

    return Retrying(
        stop=stop_after_attempt(attempts),
        wait=_wait,
        retry=retry_if_exception(lambda error: not entering and _passing(error))
        | retry_if_result(lambda answer: answer.status_code in later),
        before_sleep=say,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )


def _passing(error: BaseException) -> bool:
    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code in BUSY
    return isinstance(error, ConnectionError | Timeout | ChunkedEncodingError)


def _response(state: RetryCallState) -> requests.Response | None:
    if state.outcome is None:
        return None
    error = state.outcome.exception()
    if error is None:
        return state.outcome.result()
    return error.response if isinstance(error, HTTPError) else None


def _fault(state: RetryCallState) -> str:
    response = _response(state)
    if response is not None:
        return f"{response.status_code} {response.reason}"
    error = state.outcome.exception() if state.outcome else None
    return reason(error) if isinstance(error, Exception) else "no answer"


def _wait(state: RetryCallState) -> float:
    """As long as Kaggle asks for, or longer and longer."""
    response = _response(state)
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    seconds = count_in(asked)
    return _backoff(state) if seconds is None else min(float(seconds), LONGEST_WAIT)
