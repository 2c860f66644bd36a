"""Kaggle's competitions and data sets, through Kaggle's own client."""

from __future__ import annotations

from visionkit.sources.kaggle.competition import KaggleCompetition, kaggle_page
from visionkit.sources.kaggle.dataset import KaggleDataset
from visionkit.sources.kaggle.mirror import KaggleMirror

__all__ = ["KaggleCompetition", "KaggleDataset", "KaggleMirror", "kaggle_page"]
