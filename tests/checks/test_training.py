"""Images that do not decode keep a training from starting, each of them counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from visionkit.checks.scan import scan_images
from visionkit.checks.training import refuse_undecodable
from visionkit.errors import DataError
from visionkit.progress import Silence


def test_many_faults_are_counted(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(8)]
    for path in paths:
        path.touch()
    images = scan_images(paths, None, Silence())
    with pytest.raises(DataError, match=r"8 images do not decode: .*0\.jpg .*4\.jpg .* and 3 more.*--skip"):
        refuse_undecodable(images)
    with pytest.raises(DataError, match="an image does not decode"):
        refuse_undecodable(images[:1])
