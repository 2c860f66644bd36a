"""What Kaggle's refusals mean, and what the user is to do on which page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from requests.exceptions import HTTPError, RequestException

from visionkit.errors import VisionkitError
from visionkit.sources.kaggle.credentials import Credentials
from visionkit.sources.kaggle.patience import reason, status_of


class NotServed(VisionkitError):
    """Kaggle does not have what was asked for."""


@dataclass(frozen=True)
class Asked:
    """What Kaggle was asked for, and what its refusals mean.

    Args:
        what: in words, such as "train_v2.csv of planet-…".
        forbidden: what to do about 403.
        unknown: what to do about 404.
        account: the credentials in use.
    """

    what: str
    forbidden: str
    unknown: str
    account: Credentials | None = None

    @contextmanager
    def answered(self) -> Iterator[None]:
        """Turn what Kaggle's client raises into the one message.

        Raises:
            NotServed: Kaggle does not have it.
            VisionkitError: everything else.
        """
        try:
            yield
        except HTTPError as error:
            raise self._refused(error) from error
        except RequestException as error:
            raise unreachable(error) from error
        except (OSError, ValueError) as error:  # no space, or another size than announced
            raise VisionkitError(
                f"{self.what}: the download broke off ({reason(error)}). Mend that and call again."
            ) from error
        except (LookupError, TypeError, AttributeError, RuntimeError) as error:  # an answer of another shape
            raise VisionkitError(
                f"Kaggle's client does not understand the answer about {self.what} ({type(error).__name__}: "
                f"{reason(error)}). Try a newer one: pip install --upgrade kaggle"
            ) from error

    def _refused(self, error: HTTPError) -> VisionkitError:
        status, said = status_of(error), reason(error)
        if status == 401:
            return VisionkitError(refused(self.account, said))
        if status == 403:
            return VisionkitError(f"Kaggle does not give out {self.what} ({said}). {self.forbidden}")
        if status == 404:
            return NotServed(f"Kaggle does not have {self.what} ({said}). {self.unknown}")
        return VisionkitError(f"Kaggle answered {status} for {self.what} ({said}). Call again later.")


def unreachable(error: Exception) -> VisionkitError:
    """The message where there is no connection."""
    return VisionkitError(
        f"Kaggle cannot be reached ({reason(error)}). Check the connection and call again: a download "
        "goes on where it stopped."
    )


def refused(account: Credentials | None, said: str) -> str:
    """The message where Kaggle does not accept the credentials.

    Args:
        account: those in use.
        said: what Kaggle said.
    """
    if account is None:
        account = Credentials("token", "where the client found them")
    fault = f", which {account.fault}," if account.fault else ""
    return f"Kaggle refused the credentials in {account.place}{fault} ({said}): {account.remedy}."
