"""Long work says how far it is: lines now and then, in units that people read."""

from __future__ import annotations

import io

import pytest
from conftest import Cli

from visionkit import progress
from visionkit.progress import PlainProgress, Unit, amount, quantity


@pytest.mark.parametrize(
    ("count", "unit", "text"),
    [
        (1, "bytes", "1 byte"),
        (999, "bytes", "999 bytes"),
        (1000, "bytes", "1.0 kB"),
        (2_345_678, "bytes", "2.3 MB"),
        (3 * 10**9, "bytes", "3.0 GB"),
        (10**12, "bytes", "1.0 TB"),
        (1, "images", "1 image"),
        (40_479, "images", "40,479 images"),
    ],
)
def test_quantities(count: int, unit: Unit, text: str) -> None:
    assert quantity(count, unit) == text


def test_amounts() -> None:
    assert amount(1_200_000, 3_000_000, "bytes") == "1.2 MB of 3.0 MB"
    assert amount(12, 1200, "images") == "12 of 1,200 images"
    assert amount(12, None, "files") == "12 files"


def test_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 4.0, 11.0, 12.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    heard = io.StringIO()
    with PlainProgress(heard).track("unpacking a.zip", 100, "files") as advance:
        for _ in range(4):
            advance(10)
    assert heard.getvalue().split("\n") == [
        "           unpacking a.zip: 20 of 100 files (20 %)",
        "           unpacking a.zip: 40 of 100 files (40 %)",
        "",
    ]


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    from rich.console import Console

    from visionkit.cli.progress import BarProgress, _bars

    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with _bars(console) as bars:
        shown = BarProgress(bars)
        shown.note("fetching   [a].zip")
        with shown.track("fetching [a].zip", 10**6, "bytes") as advance:
            advance(400_000)
            bars.refresh()
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "fetching   [a].zip" in text and "40%" in text and "400.0 kB of 1.0 MB" in text
