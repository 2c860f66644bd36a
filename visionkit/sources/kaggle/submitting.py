"""Handing in a file for a competition, through Kaggle's client."""

from __future__ import annotations

from pathlib import Path

from requests.exceptions import HTTPError, RequestException

from visionkit.errors import VisionkitError
from visionkit.sources.kaggle.answers import refused
from visionkit.sources.kaggle.client import KaggleClient
from visionkit.sources.kaggle.dataset import SITE
from visionkit.sources.kaggle.patience import patient_requests, reason, status_of

_FAILED = "Could not submit to competition"
"""What the client says of an upload that broke off; before 2.0 it has no name for that."""


def competition_page(slug: str, part: str) -> str:
    """The address of a competition's page, such as its "submissions" or "rules"."""
    return f"{SITE}/competitions/{slug}/{part}"


def submit_file(client: KaggleClient, slug: str, file: Path, message: str) -> str:
    """Upload `file` and enter it for the competition `slug`; returns what Kaggle says.

    Args:
        client: logged in.
        slug: the competition's name in its address.
        file: the submission.
        message: stands beside it in the list of submissions.

    Raises:
        VisionkitError: Kaggle does not take it, or cannot be reached; the message says whether it may count.
    """
    try:
        with patient_requests(client.progress.note) as refusals:
            answer = client.api.competition_submit(str(file), message, slug, quiet=True)
            failed = answer.message == getattr(
                client.api, "COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE", _FAILED
            )
    except HTTPError as error:
        raise _refused(client, slug, file, error) from error
    except RequestException as error:
        raise VisionkitError(
            f"Kaggle cannot be reached, or gave no answer ({reason(error)}). Before you call again, see "
            f"whether {file.name} is in {competition_page(slug, 'submissions')}: each one counts."
        ) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise VisionkitError(
            f"Kaggle's client does not understand the answer about {file} ({type(error).__name__}: "
            f"{reason(error)}). See {competition_page(slug, 'submissions')}, or try a newer client: "
            "pip install --upgrade kaggle"
        ) from error
    if failed:
        why = f" ({refusals[-1]})" if refusals else ""
        raise VisionkitError(
            f"{file}: Kaggle's storage did not take the file{why}. It was not submitted; call again."
        )
    return " ".join(str(answer.message).split()) or "taken"


def _refused(client: KaggleClient, slug: str, file: Path, error: HTTPError) -> VisionkitError:
    status, said = status_of(error), reason(error)
    if status == 401:
        return VisionkitError(refused(client.account, said))
    if status == 403:
        return VisionkitError(
            f"Kaggle does not take {file} for {slug} ({said}). Accept the competition's rules at "
            f"{competition_page(slug, 'rules')}, and see there whether it still takes submissions."
        )
    if status == 404:
        return VisionkitError(
            f"Kaggle has no competition {slug} that takes submissions ({said}). See "
            f"{competition_page(slug, 'overview')}."
        )
    if status == 429 or (status is not None and status >= 500):
        return VisionkitError(
            f"Kaggle answered {status} for {file} ({said}). Before you call again, see whether it is in "
            f"{competition_page(slug, 'submissions')}: each one counts."
        )
    return VisionkitError(
        f"Kaggle does not take {file} for {slug} ({said}). See {competition_page(slug, 'submissions')}."
    )
