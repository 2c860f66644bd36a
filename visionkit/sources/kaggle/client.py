"""Kaggle's own client, logged in, quiet, and asked for lists and files."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from requests.exceptions import HTTPError, RequestException

from visionkit.errors import VisionkitError
from visionkit.progress import Progress
from visionkit.sources.kaggle.answers import Asked, refused, unreachable
from visionkit.sources.kaggle.credentials import INSTEAD, Credentials, find_credentials, nothing_works
from visionkit.sources.kaggle.dataset import SITE
from visionkit.sources.kaggle.patience import BUSY, Transfer, patient_requests, reason, status_of

OWN_FOLDER = "Or name a folder that you have with --data."
_PARTIAL = ".kaggle-partial"
_KINDS = {"ACCESS_TOKEN": "token", "LEGACY_API_KEY": "key", "OAUTH": "oauth"}


@dataclass(frozen=True)
class KaggleClient:
    """The client, logged in.

    Args:
        api: of the package kaggle.
        account: the credentials in use, where it says which.
        progress: is told of downloads.
    """

    api: Any
    account: Credentials | None
    progress: Progress

    def competition_files(self, slug: str) -> list[str]:
        """The names of all files that a competition lists.

        Raises:
            NotServed: there is no such competition.
            VisionkitError: Kaggle refuses, or cannot be reached.
        """
        asked = self._competition(slug, f"the competition {slug}")
        names: list[str] = []
        seen: set[str] = set()
        token: str | None = None
        while token not in seen:
            seen.add(token or "")
            with asked.answered(), patient_requests(self.progress.note):
                page = self.api.competition_list_files(slug, page_token=token, page_size=100)
            names += [file.name or file.ref for file in page.files or ()]
            token = page.next_page_token or ""
        return names

    def competition_file(self, slug: str, name: str, folder: Path) -> Path:
        """Download one file of a competition into `folder`, which is for it alone, and go on with a half one.

        Raises:
            NotServed: the competition does not have it (any more).
            VisionkitError: Kaggle refuses, cannot be reached, or the download broke off.
        """
        asked = self._competition(slug, f"{name} of {slug}")
        return self._download(
            asked,
            folder,
            lambda: self.api.competition_download_file(slug, name, path=str(folder), quiet=True),
        )

    def competition(self, slug: str, folder: Path) -> Path:
        """Download all files of a competition, as one archive; as `competition_file` does."""
        asked = self._competition(slug, f"all files of {slug}")
        return self._download(
            asked, folder, lambda: self.api.competition_download_files(slug, path=str(folder), quiet=True)
        )

    def dataset(self, slug: str, folder: Path) -> Path:
        """Download the data set OWNER/NAME as one archive; as `competition_file` does."""
        page = f"{SITE}/datasets/{slug}"
        asked = Asked(
            f"the data set {slug}",
            f"It may be private, or its terms have to be accepted: open {page}, logged in. {OWN_FOLDER}",
            f"Check the name at {page}. {OWN_FOLDER}",
            self.account,
        )
        return self._download(
            asked, folder, lambda: self.api.dataset_download_files(slug, path=str(folder), quiet=True)
        )

    def dataset_licence(self, slug: str) -> str:
        """Under which terms the page of a data set offers it; empty where Kaggle does not tell."""
        owner, _, name = slug.partition("/")
        with contextlib.suppress(Exception):  # worth a line, and not worth a failure
            from kagglesdk.datasets.types.dataset_api_service import (  # type: ignore[import-untyped]
                ApiGetDatasetRequest,
            )

            question = ApiGetDatasetRequest()
            question.owner_slug, question.dataset_slug = owner, name
            with patient_requests(self.progress.note, 1), self.api.build_kaggle_client() as kaggle:
                return str(kaggle.datasets.dataset_api_client.get_dataset(question).license_name or "")
        return ""

    def _competition(self, slug: str, what: str) -> Asked:
        page = f"{SITE}/competitions/{slug}"
        return Asked(
            what,
            f"Accept the competition's rules at {page}/rules and call again; where there is no such page, "
            f"the name is wrong. {OWN_FOLDER}",
            f"Look at {page}/data: is the name right, is the file still offered? {OWN_FOLDER}",
            self.account,
        )

    def _download(self, asked: Asked, folder: Path, call: Callable[[], object]) -> Path:
        """The one file that `call` leaves in `folder`. A half file of an earlier call is gone on with."""
        with asked.answered():
            for _ in range(2):
                folder.mkdir(parents=True, exist_ok=True)
                if not hasattr(self.api, "_resume_marker_path"):  # before 2.0 the client resumed blindly
                    _empty(folder)
                try:
                    with (
                        Transfer(self.progress, asked.what) as transfer,
                        patient_requests(self.progress.note, transfer=transfer),
                    ):
                        call()
                except RequestException:
                    raise
                except ValueError:  # of another size than announced: nothing to go on with
                    _empty(folder)
                    raise
                if file := _whole(folder):
                    return file
                _empty(folder)  # the client took the half of an older version for whole
        raise VisionkitError(f"{asked.what}: the download broke off. Call again.")


def connect(page: str, progress: Progress, instead: str = INSTEAD) -> KaggleClient:
    """Kaggle's client, logged in with what its own rules find.

    Args:
        page: of what is wanted, for the message.
        progress: is told of waiting and downloads.
        instead: what the user can do without credentials, for the message.

    Raises:
        VisionkitError: there are no credentials that Kaggle knows, or the client cannot be imported.
    """
    found = find_credentials()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the client prints its advice
            api = _imported(progress)()
            with patient_requests(progress.note):
                api.authenticate()
    except ImportError as error:
        raise VisionkitError(
            f"Kaggle's client cannot be imported ({error}): pip install kaggle six"
        ) from error
    except SystemExit:
        raise VisionkitError(nothing_works(found, page, instead)) from None
    except HTTPError as error:
        said = reason(error)
        if status_of(error) in BUSY:
            raise VisionkitError(f"Kaggle's log-in failed ({said}). Call again later.") from error
        account = next((one for one in found if one.kind != "key"), None)
        raise VisionkitError(refused(account, said)) from error
    except RequestException as error:
        raise unreachable(error) from error
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        # A damaged file of credentials; the client before 2.0 answers so where it finds none.
        if found and not any(one.fault for one in found):
            raise VisionkitError(
                f"Kaggle's client cannot log in ({reason(error)}). Check {found[0].place}: {found[0].remedy}."
            ) from error
        raise VisionkitError(nothing_works(found, page, instead)) from error
    api.args = [flag for flag in getattr(api, "args", ()) if flag != "--verbose"]  # $VERBOSE: whole answers
    used = _KINDS.get(str(api.config_values.get("auth_method")), "key")
    return KaggleClient(api, next((one for one in found if one.kind == used), None), progress)


def _imported(progress: Progress) -> Any:
    """The client's class. Importing it logs in, whose failure is told by the log-in that follows."""
    with patient_requests(progress.note, attempts=1):
        from kaggle.api.kaggle_api_extended import KaggleApi
    module = sys.modules[KaggleApi.__module__]
    vars(module)["print"] = lambda *_, **__: None  # standard output is ours, while the client works too
    return KaggleApi


def _whole(folder: Path) -> Path | None:
    """The file in `folder`, if it is the only one and not marked as half.

    Since 2.2.5 the client keeps the folders that the file's name in a competition has.
    """
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(_PARTIAL)]
    if len(files) != 1:
        return None
    marker = files[0].with_name(f"{files[0].name}{_PARTIAL}")
    if marker.exists():  # left by a kill between the last byte and its removal, if the size is right
        try:
            size = json.loads(marker.read_text(encoding="utf-8")).get("size")
        except (OSError, ValueError, AttributeError):
            return None
        if size != files[0].stat().st_size:
            return None
        marker.unlink()
    return files[0]


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
