"""Hugging Face's client: quiet, never waiting for ever, and with one message for whatever goes wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from visionkit.errors import VisionkitError

TIMEOUT = 60.0
"""Seconds to connect in, and to wait for the next bytes."""
LOG_IN = "Log in with: hf auth login, or put a token into $HF_TOKEN (https://huggingface.co/settings/tokens)."

for _variable in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_UPDATE_CHECK"):
    os.environ.setdefault(_variable, "1")  # read when the client is imported, which the functions below do


def page_of(name: str) -> str:
    """The address of a model's page."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{name}"


@contextmanager
def hub(what: str, page: str) -> Iterator[None]:
    """Meanwhile the client prints nothing and has a time-out; what it raises becomes one message.

    Args:
        what: what is fetched or pushed, in words.
        page: its address.

    Raises:
        VisionkitError: for every fault of the Hub's, of the connection or of the disk.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        with _quiet():
            yield
    except GatedRepoError as error:
        raise VisionkitError(
            f"{what}: its owner asks to accept terms first: open {page}, logged in."
        ) from error
    except RepositoryNotFoundError as error:
        raise VisionkitError(_unknown(what, page, error)) from error
    except RevisionNotFoundError as error:
        raise VisionkitError(
            f"{what}: there is no such branch, tag or commit. See {page}/tree/main for those that there are."
        ) from error
    except HfHubHTTPError as error:
        raise VisionkitError(_refused(what, page, error)) from error
    except LocalTokenNotFoundError as error:
        raise VisionkitError(f"{what}: there is no token of the Hugging Face Hub. {LOG_IN}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise VisionkitError(_offline(what, error)) from error
    except HFValidationError as error:
        raise VisionkitError(f"{what}: {_line(error)}") from error
    except (VisionkitError, ImportError):
        raise
    except Exception as error:
        # Of httpx, of the disk, of an answer of another shape: the client lets them through as they are.
        if type(error).__module__.split(".")[0].startswith(("httpx", "requests", "hf_xet")):
            raise VisionkitError(_offline(what, error)) from error
        if isinstance(error, ValueError) and "README.md" in str(error):
            raise VisionkitError(f"{what}: the Hub does not take the card ({_line(error)}).") from error
        if isinstance(error, OSError):
            raise VisionkitError(f"{what}: {_line(error)}.") from error
        if isinstance(error, RuntimeError | ValueError | LookupError | TypeError | AttributeError):
            cause = error.__cause__ if isinstance(error.__cause__, HfHubHTTPError) else None
            if cause is not None:
                raise VisionkitError(_refused(what, page, cause)) from error
            raise VisionkitError(
                f"{what}: the Hugging Face Hub gave an answer that its client does not understand "
                f"({type(error).__name__}: {_line(error)}). Try a newer one: "
                "pip install --upgrade huggingface-hub"
            ) from error
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        get_session,
        logging,
    )

    with ExitStack() as afterwards:
        afterwards.callback(logging.set_verbosity, logging.get_verbosity())
        logging.set_verbosity_error()
        if not are_progress_bars_disabled():
            afterwards.callback(enable_progress_bars)
            disable_progress_bars()
        session: Any = get_session()
        afterwards.callback(setattr, session, "timeout", getattr(session, "timeout", None))
        session.timeout = TIMEOUT
        yield


def _unknown(what: str, page: str, error: Exception) -> str:
    return (
        f"{what}: the Hugging Face Hub has no such model, or it is private and {_whose_token()} does not see "
        f"it. Check the name at {page}. {'' if _has_token() else LOG_IN}"
    ).strip()


def _refused(what: str, page: str, error: Any) -> str:
    status = error.response.status_code
    said = _said(error)
    if status == 401:
        who = f"{_whose_token()} is not valid" if _has_token() else "this needs a token, and there is none"
        return f"{what}: {who}{said}. {LOG_IN}"
    if status == 403:
        return (
            f"{what}: {_whose_token()} may not do this{said}. It needs the right to: see {page} and "
            "https://huggingface.co/settings/tokens."
        )
    if status == 404:
        return f"{what}: the Hugging Face Hub does not have it{said}. See {page}."
    if status == 429 or status >= 500:
        return f"{what}: the Hugging Face Hub answered {status}{said}. Call again later."
    return f"{what}: the Hugging Face Hub answered {status}{said}. See {page}."


def _offline(what: str, error: BaseException) -> str:
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    cause = error.__cause__ or error
    cached = ", and is not in the cache" if isinstance(error, LocalEntryNotFoundError) else ""
    if isinstance(cause, OfflineModeIsEnabled):
        return f"{what}: $HF_HUB_OFFLINE keeps the client from the Hugging Face Hub{cached}. Unset it."
    if isinstance(cause, HfHubHTTPError):
        return (
            f"{what}: the Hugging Face Hub answered {cause.response.status_code}{_said(cause)}{cached}. "
            "Call again later."
        )
    return (
        f"{what}: the Hugging Face Hub cannot be reached ({_line(cause)}){cached}. Check the connection and "
        "call again."
    )


def _said(error: Any) -> str:
    said = getattr(error, "server_message", None)
    return f" ({_line(said)})" if said else ""


def _has_token() -> bool:
    from huggingface_hub import get_token

    return bool(get_token())


def _whose_token() -> str:
    if not _has_token():
        return "without a token one"
    return "the token in $HF_TOKEN" if os.environ.get("HF_TOKEN") else "the token of hf auth login"


def _line(text: object) -> str:
    return " ".join(str(text).split())[:300].rstrip(".") or type(text).__name__
