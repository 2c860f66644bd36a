"""Plots as SVG files: text is text, the same each time, harmless whatever names say, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from defusedxml import ElementTree
from matplotlib.figure import Figure

from visionkit.evaluation.predictions import Predictions
from visionkit.reporting.classification import confusion, per_class
from visionkit.reporting.sheets import Tile, sheet
from visionkit.reporting.style import save_figure

SVG = "{http://www.w3.org/2000/svg}"
NAMES = [
    "<script>alert(1)</script>", "]]>", "-->", "a & b", '"', "'", "$x$", "\x00\x1b[31m", "two\nlines",
    "\ufffe", "中文", "&#0;", "<!--", "<![CDATA[", "\u202egpj", "\ud800",
]  # fmt: skip


def drawn(names: list[str]) -> Figure:
    truth = np.arange(len(names))
    probabilities = np.eye(len(names))[(truth + 1) % len(names)]
    return confusion(Predictions("some", [], names, probabilities, truth, np.zeros(len(names))))


def texts(file: Path) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.parse(file).iter(f"{SVG}text")]


def test_text_stays_text_and_files_are_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        save_figure(drawn(["Abyssinian", "Sphynx"]), tmp_path / name, synthetic=True)
    one, two = ((tmp_path / name).read_bytes() for name in ("one.svg", "two.svg"))
    assert one == two and b"dc:date" not in one
    shown = texts(tmp_path / "one.svg")
    assert {"Abyssinian", "Sphynx", "truth", "predicted", "(synthetic sample data)"} <= set(shown)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_text(name: str, tmp_path: Path) -> None:
    for number, draw in enumerate((drawn, _sheet, _bars)):
        file = tmp_path / f"{number}.svg"
        save_figure(draw([name, "plain"]), file)
        found = "".join(texts(file))
        assert "plain" in found
        tags = {element.tag.removeprefix(SVG) for element in ElementTree.parse(file).iter()}
        assert not {"script", "a", "foreignObject"} & tags
        if name.isprintable():
            assert "".join(name.split()) in "".join(found.split())


def _sheet(names: list[str]) -> Figure:
    tiles = [Tile(np.zeros((4, 4, 3)), name) for name in names]
    return sheet(tiles, " ".join(names), legend=[(name, "#123456") for name in names])


def _bars(names: list[str]) -> Figure:
    truth = np.arange(len(names))
    return per_class(Predictions(names[0], [], names, np.eye(len(names)), truth, np.zeros(len(names))))


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_what_fails_leaves_the_old_file(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / f"plot.{ending}"
    save_figure(drawn(["a", "b"]), file)
    before = file.read_bytes()
    figure = drawn(["c", "d"])

    def fail(out: object, **_: object) -> None:
        out.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="No space"):
        save_figure(figure, file)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]
