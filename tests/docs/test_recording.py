"""Examples are run, and one that ends otherwise than the documentation says stops the build."""

from __future__ import annotations

from pathlib import Path

import pytest
from sitegen.examples import examples
from sitegen.markdown import fenced, slug, table
from sitegen.program import help_text
from sitegen.recording import StepFailed, neutral, record
from sitegen.steps import Step


def test_output_and_exit_code_are_recorded(tmp_path: Path) -> None:
    steps = (
        Step("new", "new beetles", "A recipe.", file="beetles.py", lines=2),
        Step("runs", "runs no-such-option", codes=(2,)),
    )
    made, wrong = record(steps, tmp_path)
    assert made.command == "visionkit new beetles"
    assert made.text.splitlines()[0].startswith('"""')
    assert made.text.splitlines()[-1].endswith("lines in all")
    assert wrong.code == 2
    assert "no-such-option" in wrong.output


@pytest.mark.slow
def test_another_exit_code_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="exit code 2 in place of 0") as caught:
        record((Step("runs", "report no-such-run"),), tmp_path)
    assert "no-such-run" in str(caught.value)


def test_paths_of_the_machine_are_not_shown(tmp_path: Path) -> None:
    text = neutral(f"{tmp_path}/here/runs  \n{Path(__file__).resolve().parents[2]}/recipes", tmp_path)
    assert text == "~/here/runs\nvisionkit/recipes"


def test_an_example_is_shown_with_its_command(tmp_path: Path) -> None:
    (made,) = record((Step("settings", "settings", "All of them.", lines=3),), tmp_path)
    text = examples("settings", [made])
    assert "$ visionkit settings\n# visionkit's settings." in text
    assert "All of them." in text
    assert "left out" in examples("runs", [made])
    assert "left out" in examples("settings", None)


def test_help_texts_are_as_printed(tmp_path: Path) -> None:
    text = help_text(tmp_path, "predict")
    assert text.lstrip().startswith("Usage: visionkit predict")
    assert max(map(len, text.splitlines())) <= 100
    with pytest.raises(RuntimeError, match="dance"):
        help_text(tmp_path, "dance")


def test_pieces_of_markdown_hold_whatever_they_are_given() -> None:
    assert table(("a", "b"), [["x|y", "two\nlines"]]).splitlines()[-1] == r"| x\|y | two lines |"
    assert fenced("~~~\ncode\n~~~").startswith("~~~~{")
    assert slug("settings.ini") == "settingsini"
    assert slug("A recipe of your own") == "a-recipe-of-your-own"
