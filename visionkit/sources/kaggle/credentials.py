"""Which Kaggle credentials there are, in the order of the client, and what is wrong with each."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TOKEN_PAGE = "https://www.kaggle.com/settings/api"
INSTEAD = "Or name a folder that you have with --data, or try the drawn one with --sample."

Kind = Literal["token", "key", "oauth"]


@dataclass(frozen=True)
class Credentials:
    """One place where credentials are.

    Args:
        kind: an access token, the legacy pair of username and key, or the log-in of `kaggle auth login`.
        place: the variable or the file.
        fault: what is wrong with it; empty where only Kaggle can tell.
    """

    kind: Kind
    place: str
    fault: str = ""

    @property
    def remedy(self) -> str:
        """What the user is to do where it does not work."""
        if self.kind == "oauth":
            return "log in again with: kaggle auth login"
        if self.kind == "key":
            return f"make a new API token at {TOKEN_PAGE} and put its username and key there"
        return f"make a new API token at {TOKEN_PAGE} and put it there"


def find_credentials() -> list[Credentials]:
    """What there is, broken or not. Call it before the client: that deletes a log-in which has run out."""
    return [*_tokens(), *_keys(), *_log_ins()]


def nothing_works(found: list[Credentials], page: str, instead: str = INSTEAD) -> str:
    """The message where the client finds nothing to log in with.

    Args:
        found: the credentials that there were.
        page: of what is wanted.
        instead: what else the user can do.
    """
    if not found:
        return (
            f"there are no Kaggle credentials. Make an API token at {TOKEN_PAGE} and put it into "
            "$KAGGLE_API_TOKEN or ~/.kaggle/access_token, or log in with: kaggle auth login (the older "
            f"kaggle.json serves too). The page is {page}. {instead}"
        )
    faults = (f"{one.place} {one.fault or _REFUSED[one.kind]}: {one.remedy}" for one in found)
    return f"no Kaggle credentials that work. {'. '.join(faults)}."


_REFUSED = {
    "token": "holds an access token that Kaggle does not know, or that is out of date",
    "key": "holds a username and key that were not used",
    "oauth": "holds a log-in that has run out",
}


def _tokens() -> list[Credentials]:
    said = os.environ.get("KAGGLE_API_TOKEN")
    if said:
        try:
            empty = Path(said).is_file() and not Path(said).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            empty = False
        fault = f"names the file {said}, which is empty" if empty else ""
        return [Credentials("token", "$KAGGLE_API_TOKEN", fault)]
    files = (Path.home() / ".kaggle" / name for name in ("access_token", "access_token.txt"))
    return [Credentials("token", str(file)) for file in files if _text(file)][:1]


def _keys() -> list[Credentials]:
    variables = ("KAGGLE_USERNAME", "KAGGLE_KEY")
    here = [name for name in variables if name in os.environ]
    if len(here) == 2:
        return [Credentials("key", "$KAGGLE_USERNAME and $KAGGLE_KEY")]
    folder, *others = _folders()
    file = folder / "kaggle.json"
    if file.is_file():
        given = {name.removeprefix("KAGGLE_").lower() for name in here}
        return [Credentials("key", str(file), _key_fault(file, given))]
    found = []
    if here:
        (lacking,) = set(variables) - set(here)
        found.append(Credentials("key", f"${here[0]}", f"is set, and ${lacking} is not"))
    found += [
        Credentials(
            "key", str(other / "kaggle.json"), f"is not read, because {folder} is there: move it there"
        )
        for other in others
        if (other / "kaggle.json").is_file()
    ]
    return found


def _key_fault(file: Path, given: set[str]) -> str:
    """What is wrong with a kaggle.json, which the client passes over in silence."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError:
        return "is not JSON"
    if not isinstance(content, dict):
        return "is not a JSON object with username and key"
    lacking = [name for name in ("username", "key") if not content.get(name) and name not in given]
    return f"has no {' and no '.join(lacking)}" if lacking else ""


def _folders() -> list[Path]:
    """Where kaggle.json may be; the client reads the first."""
    said = os.environ.get("KAGGLE_CONFIG_DIR")
    own = Path.home() / ".kaggle"
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    places = [own, Path(base) / "kaggle"]
    if sys.platform.startswith("linux") and not own.exists():
        places.reverse()
    return list(dict.fromkeys(([Path(said)] if said else []) + places))


def _log_ins() -> list[Credentials]:
    file = Path.home() / ".kaggle" / "credentials.json"
    if not file.is_file():
        return []
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        fault = "" if content["refresh_token"] else "holds no log-in"
    except (OSError, ValueError, KeyError, TypeError):
        fault = "is damaged"
    return [Credentials("oauth", str(file), fault)]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
