"""Models of the Hugging Face Hub: what `hf:OWNER/NAME` names, and its files in the Hub's own cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.hub_client import hub, page_of

PREFIX = "hf:"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REVISION = re.compile(r"[\w.][\w./-]*", re.ASCII)


@dataclass(frozen=True)
class HubModel:
    """A model on the Hub.

    Args:
        name: OWNER/NAME.
        revision: a branch, a tag or a commit; the main branch where None.
    """

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubModel:
        """The model that `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION` names; the prefix may be left out.

        Raises:
            UsageError: it is no such name.
        """
        name, at, revision = text.removeprefix(PREFIX).partition("@")
        if not is_repository(name) or (at and not is_revision(revision)):
            raise UsageError(
                f"{text}: no name of a model on the Hugging Face Hub. Write hf:OWNER/NAME, or "
                "hf:OWNER/NAME@REVISION with a branch, tag or commit."
            )
        return cls(name, revision or None)

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}{'@' + self.revision if self.revision else ''}"


def is_repository(name: str) -> bool:
    """Whether `name` is an OWNER/NAME that the Hub allows."""
    return (
        _NAME.fullmatch(name) is not None
        and all(len(part) <= 96 and part[-1] not in ".-" for part in name.split("/"))
        and not any(pair in name for pair in ("--", ".."))
        and not name.endswith(".git")
    )


def is_revision(name: str) -> bool:
    """Whether `name` may be a branch, a tag or a commit."""
    return _REVISION.fullmatch(name) is not None and ".." not in name and name[-1] not in "./"


def fetch_model(model: str) -> Path:
    """The folder with the two files of `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`.

    Only the weights and their description are fetched, both of one commit, into the Hub's own cache; what is
    there is not fetched again, and serves where there is no connection. Nothing is executed.

    Raises:
        UsageError: `model` is no such name.
        VisionkitError: there is no such model, it is none of visionkit's, the Hub refuses, or it cannot be
            reached and the model is not in the cache.
    """
    from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE

    wanted = HubModel.parse(model)
    with hub(str(wanted), page_of(wanted.name)):
        from huggingface_hub import snapshot_download

        folder = Path(
            snapshot_download(
                wanted.name, revision=wanted.revision, allow_patterns=[DESCRIPTION_FILE, WEIGHTS_FILE]
            )
        )
    lacking = [name for name in (DESCRIPTION_FILE, WEIGHTS_FILE) if not (folder / name).is_file()]
    if lacking:
        raise VisionkitError(
            f"{wanted}: has no {' and no '.join(lacking)}, so it is no model of visionkit's. See "
            f"{page_of(wanted.name)}."
        )
    return folder
