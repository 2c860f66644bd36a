"""`visionkit push`: a model and its card, to the Hugging Face Hub in one commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from visionkit.errors import UsageError
from visionkit.inference.hub import PREFIX, is_repository, is_revision
from visionkit.inference.hub_client import hub, page_of


@dataclass(frozen=True)
class Pushed:
    """What lies on the Hub now.

    Args:
        name: as `visionkit.load` takes it.
        page: the model's page.
        commit: the commit's address.
    """

    name: str
    page: str
    commit: str


def push_model(
    folder: Path,
    card: Path,
    to: str,
    *,
    private: bool = False,
    message: str = "",
    revision: str | None = None,
) -> Pushed:
    """Upload a bundle and its card as one commit, so that nobody ever finds one without the other.

    The token is the one of huggingface_hub: $HF_TOKEN, or that of `hf auth login`. A repository that is not
    there is made. The bundle is read and checked first.

    Args:
        folder: with the two files of the bundle.
        card: the model card; it becomes README.md.
        to: OWNER/NAME on the Hub.
        private: whether a repository that is made is private; one that is there stays as it is.
        message: of the commit.
        revision: the branch, which is made from the main branch where it is not there; the main branch where
            None.

    Raises:
        UsageError: `to` or `revision` cannot be a name.
        VisionkitError: the bundle is damaged, there is no token that may do this, or the Hub cannot be
            reached.
    """
    from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE, read_bundle

    name = to.removeprefix(PREFIX)
    if not is_repository(name):
        raise UsageError(f"{to}: no name for a model on the Hugging Face Hub. Write OWNER/NAME.")
    if revision is not None and not is_revision(revision):
        raise UsageError(f"--revision {revision}: no name of a branch.")
    recipe = read_bundle(folder).description.recipe
    page = page_of(name)
    with hub(f"{PREFIX}{name}", page):
        from huggingface_hub import CommitOperationAdd, HfApi, get_token
        from huggingface_hub.errors import LocalTokenNotFoundError

        api = HfApi(library_name="visionkit")
        if not get_token():
            raise LocalTokenNotFoundError
        api.create_repo(name, private=private or None, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        commit = api.create_commit(
            name,
            operations=[
                CommitOperationAdd(path_in_repo=DESCRIPTION_FILE, path_or_fileobj=folder / DESCRIPTION_FILE),
                CommitOperationAdd(path_in_repo=WEIGHTS_FILE, path_or_fileobj=folder / WEIGHTS_FILE),
                CommitOperationAdd(path_in_repo="README.md", path_or_fileobj=card),
            ],
            commit_message=message or f"visionkit: {recipe}",
            revision=revision,
        )
    return Pushed(f"{PREFIX}{name}{'@' + revision if revision else ''}", page, str(commit.commit_url))
