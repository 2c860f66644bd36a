"""Where data sets come from: fast.ai's archives, Kaggle, a folder that is there, or a sample drawn on
demand.
"""

from __future__ import annotations

from visionkit.sources.base import Limits, Source, Store
from visionkit.sources.fastai_archive import FastaiArchive
from visionkit.sources.kaggle import KaggleCompetition, KaggleDataset, KaggleMirror
from visionkit.sources.locate import SYNTHETIC_NOTE, Place, is_synthetic, locate

__all__ = [
    "SYNTHETIC_NOTE",
    "FastaiArchive",
    "KaggleCompetition",
    "KaggleDataset",
    "KaggleMirror",
    "Limits",
    "Place",
    "Source",
    "Store",
    "is_synthetic",
    "locate",
]
