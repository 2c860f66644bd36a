"""Boxes cut out of the photos of Open Images, as folders of classes."""

from __future__ import annotations

from visionkit.sources.openimages.source import OpenImages

__all__ = ["OpenImages"]
