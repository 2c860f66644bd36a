"""The notebooks tell one story in order, run from top to bottom on drawn data, and have no outputs in git."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from sitegen.notebook_runs import executed, left_behind
from sitegen.pages import CHECKOUT, STORE

FOLDER = CHECKOUT / "nbs"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SHOWN = {
    "01_pets": ["weighted average", "report.html"],
    "02_planet": ["per_tag", "expected_f2", "64 px unfrozen epoch  4/4", "exact_match"],
    "03_camvid": ["Void", "iou_low"],
    "04_your_own_data": ["3 classes by folders", "tags.csv, columns", "2 codes by the masks", "broken.png"],
    "05_predict_and_export": ["ONNX fp32", "ONNX Runtime"],
    "06_write_a_recipe": ["--no-turn", "dominoes-"],
}
"""Words that the reader sees in outputs."""

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_the_story_is_told_in_order() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(SHOWN)
    for number, path in enumerate(NOTEBOOKS, start=1):
        first = nbformat.read(path, as_version=4).cells[0]
        assert first.cell_type == "markdown" and first.source.startswith(f"# {number}. ")


@each_notebook
def test_says_that_the_data_is_drawn(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0].source
    assert re.search(r"\*\*[^*]*(synthetic|draws|drawn)[^*]*\*\*", first)


@each_notebook
def test_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert not cell.metadata, cell.source
        if cell.cell_type == "code":
            assert not cell.outputs, cell.source
            assert cell.execution_count is None
        assert not re.search(r"/(home|root|Users|tmp|work)/", cell.source), "names no folder of a machine"


@pytest.mark.slow
@each_notebook
def test_runs(path: Path) -> None:
    """In an empty folder; the pages of the documentation are made of the same run."""
    folder = executed(path, STORE / "notebooks")
    notebook = nbformat.read(folder / path.name, as_version=4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == [], (
        "no warnings are shown"
    )
    assert any("image/png" in output.get("data", {}) for output in outputs), "pictures are shown"
    text = "\n".join(map(_text, outputs))
    assert [words for words in SHOWN[path.stem] if words not in text] == []
    trainings = [
        output.data for output in outputs if "train_loss" in _html(output) and "<pre>" in _html(output)
    ]
    assert trainings, "a training shows its table"
    for each in trainings:
        assert "<progress" not in each["text/html"], "the bars went away"
        assert "epoch" in each["text/plain"]
    assert left_behind(folder) <= {"runs", "models"}, (
        "leaves runs, and the folder in which fastai's lr_find keeps weights"
    )


def _html(output: Any) -> str:
    return output.get("data", {}).get("text/html", "")


def _text(output: Any) -> str:
    return output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
