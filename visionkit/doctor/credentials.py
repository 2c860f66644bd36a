"""Which credentials there are: their places and whether others can read them, and never their values."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from visionkit.doctor.findings import Topic
from visionkit.sources.kaggle.credentials import find_credentials

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def credentials(topic: Topic) -> None:
    """Kaggle's and the Hugging Face Hub's."""
    _kaggle(topic)
    _hub(topic)
    for file in _files():
        _closed(topic, file)


def _kaggle(topic: Topic) -> None:
    found = find_credentials()
    usable = [each for each in found if not each.fault]
    places = ", ".join(each.place for each in usable)
    topic.add("Kaggle", f"in {places}" if usable else "none", bool(usable))
    for each in found:
        if each.fault:
            # In words of its own: what is wrong may be told by quoting what was found.
            topic.wrong(f"Kaggle: what is in {each.place} cannot be used", each.remedy)


def _hub(topic: Topic) -> None:
    variables = [name for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if os.environ.get(name, "").strip()]
    places = [f"${name}" for name in variables]
    file = _hub_folder() / "token" if "HF_TOKEN_PATH" not in os.environ else Path(os.environ["HF_TOKEN_PATH"])
    if file.expanduser().is_file():
        places.append(str(file))
    topic.add("Hugging Face", f"in {', '.join(places)}" if places else "none", bool(places))


def _hub_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or Path(cache) / "huggingface").expanduser()


def _files() -> list[Path]:
    """Every file that may hold credentials."""
    kaggle = [Path.home() / ".kaggle", Path.home() / ".config" / "kaggle"]
    if config := os.environ.get("XDG_CONFIG_HOME"):
        kaggle.append(Path(config) / "kaggle")
    if own := os.environ.get("KAGGLE_CONFIG_DIR"):
        kaggle.append(Path(own))
    names = ("access_token", "access_token.txt", "kaggle.json", "credentials.json")
    found = [folder / name for folder in kaggle for name in names]
    found += [_hub_folder() / name for name in ("token", "stored_tokens")]
    if named := os.environ.get("HF_TOKEN_PATH"):
        found.append(Path(named).expanduser())
    return [file for file in dict.fromkeys(found) if file.is_file()]


def _closed(topic: Topic, file: Path) -> None:
    """Say so where others than its owner may read or write the file."""
    if os.name == "posix" and file.stat().st_mode & OTHERS:
        topic.wrong(f"{file}: others on this machine may read or change it", f"chmod 600 {file}")
