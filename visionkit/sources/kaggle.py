"""Data of Kaggle's competitions, through Kaggle's own client."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.errors import VisionkitError

HELP = "https://www.kaggle.com/settings"


@dataclass(frozen=True)
class KaggleCompetition:
    """Files of one competition.

    Args:
        slug: the competition's name in its address.
        files: what to fetch, as the competition lists it: archive or table -> the name it has once it is
            unpacked.
    """

    slug: str
    files: tuple[tuple[str, str], ...]

    @property
    def url(self) -> str:
        """The competition's page with its data."""
        return f"https://www.kaggle.com/competitions/{self.slug}/data"

    def fetch(self, store: Path, note: Callable[[str], None]) -> Path:
        """The folder `kaggle/SLUG` in `store`, fetched and unpacked; what is there is not fetched again.

        Raises:
            VisionkitError: no credentials, rules not accepted, a file that Kaggle does not have, no
                connection.
        """
        folder = store / "kaggle" / self.slug
        missing = [(remote, name) for remote, name in self.files if not (folder / name).exists()]
        if not missing:
            return folder
        api = authenticated_client(self.url)
        halves = folder / ".downloads"  # the client writes half files under their final names, to go on later
        halves.mkdir(parents=True, exist_ok=True)
        for remote, name in missing:
            note(f"fetching   {remote} of {self.slug}")
            self._unpack(self._download(api, remote, halves), folder / name)
        with contextlib.suppress(OSError):  # something else is in it
            halves.rmdir()
        return folder

    def _download(self, api: Any, remote: str, folder: Path) -> Path:
        from requests.exceptions import HTTPError, RequestException

        try:
            api.competition_download_file(self.slug, remote, path=str(folder))
        except HTTPError as error:
            raise VisionkitError(self._explain(error, remote)) from error
        except RequestException as error:
            raise VisionkitError(
                f"Kaggle cannot be reached ({error}). Check the connection and call again."
            ) from error
        except (OSError, ValueError) as error:  # no space, or another size than announced
            raise VisionkitError(
                f"{remote} of {self.slug}: the download broke off ({error}). Mend that and call again."
            ) from error
        names = (Path(remote).name, f"{Path(remote).name}.zip")
        found = next((folder / name for name in names if (folder / name).is_file()), None)
        if found is None or found.with_name(f"{found.name}.kaggle-partial").exists():
            raise VisionkitError(
                f"{remote} of {self.slug}: the download broke off. Call again: it goes on where it stopped."
            )
        return found

    def _explain(self, error: Any, remote: str) -> str:
        """What to do about an answer of Kaggle's that is an error."""
        status = getattr(error.response, "status_code", None)
        if status == 403:
            return (
                f"Kaggle does not give out {self.slug} yet ({error}). Accept the competition's rules at "
                f"https://www.kaggle.com/competitions/{self.slug}/rules and call again."
            )
        if status == 401:
            return f"Kaggle refused the credentials ({error}). Make a new API token at {HELP}."
        if status == 404:
            return (
                f"Kaggle has no file {remote} in {self.slug}. Look at {self.url}; where the images are "
                "offered elsewhere, unpack them yourself and name the folder with --data."
            )
        return f"Kaggle answered {status} for {remote}: {error}. Call again later."

    def _unpack(self, file: Path, target: Path) -> None:
        """Bring one downloaded file to `target`: renamed, or unpacked and its only member lifted."""
        from visionkit.sources.archives import unpack

        if not file.name.lower().endswith((".zip", ".7z", ".tar", ".tgz", ".tar.gz")):
            file.rename(target)
            return
        unpack(file, target, lift=lambda _: True)
        file.unlink()


def authenticated_client(page: str) -> Any:
    """Kaggle's client, logged in.

    Raises:
        VisionkitError: there are no credentials that Kaggle knows, or the client cannot be imported.
    """
    from requests.exceptions import HTTPError

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):  # the client prints its advice on import
            from kaggle.api.kaggle_api_extended import KaggleApi

            api = KaggleApi()
            api.authenticate()
    except ImportError as error:
        raise VisionkitError(
            f"Kaggle's client cannot be imported ({error}): pip install kaggle six"
        ) from error
    except SystemExit:
        raise VisionkitError(_no_credentials(page)) from None
    except HTTPError as error:
        raise VisionkitError(
            f"Kaggle refused the credentials ({error}). Make a new API token at {HELP}, or call again later."
        ) from error
    except OSError as error:  # the client before 2.0 answers so where it finds no credentials
        if "kaggle.json" in str(error):
            raise VisionkitError(_no_credentials(page)) from None
        raise VisionkitError(
            f"Kaggle cannot be reached ({error}). Check the connection and call again."
        ) from error
    return api


def _no_credentials(page: str) -> str:
    return (
        f"there are no Kaggle credentials, or they are out of date. Make an API token at {HELP} and put it "
        "into $KAGGLE_API_TOKEN or ~/.kaggle/access_token (or kaggle.json with the older key). The data "
        f"set's page is {page}. Or name a folder that you have with --data, or try the drawn one with "
        "--sample."
    )
