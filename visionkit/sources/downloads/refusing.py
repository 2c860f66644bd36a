"""Answers of web servers that are not the file, and what is said of them."""

from __future__ import annotations

import requests

from visionkit.errors import VisionkitError
from visionkit.sources.archives.kinds import ARCHIVE_ENDINGS
from visionkit.sources.downloads.answers import filename_of, public_url, retry_after
from visionkit.sources.downloads.attempts import Again

OTHERWISE = "Or name a folder that you have with --data."
"""The way that is always left."""

_MEANINGS = {
    401: "the server asks for a login. Fetch the file in a browser and name its folder with --data",
    403: "the server does not give it out. Fetch it in a browser, where there may be terms to accept, and "
    "name its folder with --data",
    404: "there is no such file. Look for its new address, or name a folder that you have with --data",
    410: "the file is gone for good. Look for its new address, or name a folder that you have with --data",
}


def refuse(response: requests.Response, url: str) -> None:
    """Raise for an answer that is not the file at `url`.

    Raises:
        Again: it may be another time.
        VisionkitError: it will not be.
    """
    shown, status = public_url(url), response.status_code
    if status in (408, 425, 429) or status >= 500:
        raise Again(f"the server answered {status} {response.reason or ''}".rstrip(), retry_after(response))
    if status not in (200, 206):
        meaning = _MEANINGS.get(status, "name a folder that you have with --data")
        raise VisionkitError(f"{shown}: cannot be fetched (the server answered {status}): {meaning}.")
    kind = response.headers.get("Content-Type", "").lower()
    if kind.startswith("text/html") and filename_of(url).lower().endswith(ARCHIVE_ENDINGS):
        raise failed(
            shown,
            "the server sent a web page in place of the archive. Open the address in a browser: there "
            "may be a login, terms to accept, or another address",
        )


def failed(shown: str, reason: str) -> VisionkitError:
    """A download that trying again does not help; `shown` is the address without secrets."""
    return VisionkitError(f"{shown}: cannot be fetched ({reason}). {OTHERWISE}")


def other_file(shown: str, found: str, expected: str) -> VisionkitError:
    """A file that is whole and not the expected one."""
    return VisionkitError(
        f"{shown}: what the server sends is not the expected file: found {found}, expected "
        f"{expected}. It was damaged on the way or replaced by another version; call again. {OTHERWISE}"
    )
