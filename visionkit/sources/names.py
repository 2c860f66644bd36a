"""A source by what `--data` and `visionkit data` call it."""

from __future__ import annotations

from visionkit.errors import UsageError
from visionkit.shards.addresses import is_shard_name
from visionkit.sources.base import Source

FORMS = (
    "fastai:NAME, kaggle:competitions/NAME, kaggle:datasets/OWNER/NAME, torchvision:NAME, an https:// "
    "address of an archive, shards such as s3://BUCKET/train-{000000..000146}.tar, or a folder"
)
_SCHEMES = ("fastai:", "kaggle:", "torchvision:", "http://", "https://")


def is_source_name(text: str) -> bool:
    """Whether `text` names a source rather than a folder."""
    return text.lower().startswith(_SCHEMES) or "://" in text or is_shard_name(text)


def named_source(text: str) -> Source:
    """The source that `text` names.

    Raises:
        UsageError: it is of none of the forms.
    """
    from visionkit.shards.source import ShardSource
    from visionkit.sources.fastai_archive import FastaiArchive
    from visionkit.sources.kaggle import KaggleCompetition, KaggleDataset, kaggle_page
    from visionkit.sources.torchvision_dataset import TorchvisionDataset
    from visionkit.sources.web import WebArchive

    if is_shard_name(text):
        return ShardSource(text)
    kind, _, rest = text.partition(":")
    kind = kind.lower()
    parts = rest.split("/")
    if kind == "fastai" and rest:
        return FastaiArchive(rest)
    if kind == "torchvision" and rest:
        return TorchvisionDataset(rest)
    if kind in ("http", "https"):
        return kaggle_page(text) or WebArchive(text)
    if kind == "kaggle" and all(parts):
        if parts[0] == "competitions" and len(parts) == 2:
            return KaggleCompetition(parts[1])
        if parts[0] == "datasets" and len(parts) == 3:
            return KaggleDataset(f"{parts[1]}/{parts[2]}")
    raise UsageError(f"{text}: not a source. Name {FORMS}.")
