"""Archives: zip, tar, 7z and a tar inside a 7z, unpacked so that none can do harm."""

from __future__ import annotations

from visionkit.sources.archives.kinds import ARCHIVE_ENDINGS, archive_kind
from visionkit.sources.archives.unpacking import unpack

__all__ = ["ARCHIVE_ENDINGS", "archive_kind", "unpack"]
