"""Model cards: valid front matter, the figures of evaluations, and words that stay words."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, train_fast
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from inference.stored import stored_run
from markdown_it import MarkdownIt

from visionkit.inference.bundle import write_description
from visionkit.inference.bundle_files import read_description
from visionkit.inference.card import card_text, is_untouched, write_card
from visionkit.inference.card_text import markdown
from visionkit.runs import Run

pytestmark = pytest.mark.usefixtures("unpainted")

PIPELINES = {
    "single-label": "image-classification",
    "multi-label": "image-classification",
    "segmentation": "image-segmentation",
    "keypoints": "keypoint-detection",
}
HTML = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def real(run: Run) -> Run:
    """The run, as if it had been trained on real images."""
    folder = run.path / "model"
    write_description(folder, read_description(folder).replaced(synthetic=False))
    return run


@pytest.mark.parametrize("task", PIPELINES)
def test_every_task_has_a_card(cli: Cli, task: str) -> None:
    run = real(stored_run(Path("run"), task, Path("/nowhere")))
    result = cli("card", "run")
    assert result.exit_code == 0 and result.output.strip() == "run/model/README.md", result.output
    card = ModelCard((run.path / "model" / "README.md").read_text())
    front = card.data.to_dict()
    assert front["pipeline_tag"] == PIPELINES[task] and front["library_name"] == "visionkit"
    assert task in front["tags"] and "drawn-images" not in front["tags"]
    description = read_description(run.path / "model")
    told = {each.metric_type: each.metric_value for each in card.data.eval_results or []}
    assert told == {name: round(value or 0.0, 6) for name, value in description.metrics.items()}
    assert "No intervals were computed" in card.text and "visionkit evaluate" in card.text
    for name in description.vocab:
        assert markdown(name) in card.text
    assert "Drawn images" not in card.text
    assert HTML.render(card.text).count("<h2>") == 7


def test_drawn_images_are_told_loudly(cli: Cli) -> None:
    stored_run(Path("run"), "single-label", Path("/nowhere"))
    assert cli("card", "run", "--out", "card.md").exit_code == 0
    card = ModelCard(Path("card.md").read_text())
    assert "drawn-images" in card.data.tags and card.data.eval_results is None and card.data.license is None
    assert "**Drawn images.**" in card.text and "do not use it on real ones" in card.text
    assert not Path("run/model/README.md").exists()


def test_the_terms_of_the_data_are_told_and_are_not_the_licence_of_the_weights(tmp_path: Path) -> None:
    for task, terms in (("single-label", "CC BY-SA 4.0"), ("multi-label", "competition rules")):
        run = real(stored_run(tmp_path / task, task, tmp_path))
        card = ModelCard(card_text(run.path / "model"))
        assert card.data.license is None and f"Terms of the data: {terms}." in card.text


def test_the_figures_of_an_evaluation(cli: Cli, pets: Path) -> None:
    assert train_fast(cli, "pets", pets, "--out", "run").exit_code == 0
    assert cli("evaluate", "run").exit_code == 0
    assert cli("card", "run").exit_code == 0
    told = json.loads(Path("run/evaluation/valid/metrics.json").read_text())
    card = ModelCard(Path("run/model/README.md").read_text())
    for name, figure in told["figures"].items():
        if figure["value"] is not None and figure["low"] is not None:
            row = f"| {name} | {figure['value']:.4f} | {figure['low']:.4f} to {figure['high']:.4f} |"
            assert row in card.text
    assert "No intervals" not in card.text
    assert f"On {told['images']} validation images, with 95 % intervals" in card.text
    finite = {name for name, figure in told["figures"].items() if figure["value"] is not None}
    assert {each.metric_type for each in card.data.eval_results} == finite
    results = {each.metric_type: each for each in card.data.eval_results}
    assert results["accuracy"].metric_value == pytest.approx(told["figures"]["accuracy"]["value"], abs=1e-6)
    assert results["accuracy"].dataset_split == "validation"
    for row in told["per_class"]:
        assert f"| {row['class']} | {row['images']:,} |" in card.text
    counts = json.loads(Path("run/run.json").read_text())["data"]["classes"]
    for name, count in counts.items():
        assert f"| {name} | {count:,} |" in card.text


def evaluated(run: Run, name: str, figures: dict[str, Any], **more: Any) -> None:
    """Leave an evaluation as `visionkit evaluate` does."""
    described = read_description(run.path / "model")
    deciding = described.model_dump(include={"thresholds", "decision", "temperature"}, mode="json")
    (run.path / "evaluation" / name).mkdir(parents=True)
    told = {
        "on": name,
        "own_data": True,
        "images": 1234,
        "figures": figures,
        "per_class": [],
        **deciding,
        **more,
    }
    (run.path / "evaluation" / name / "metrics.json").write_text(json.dumps(told))
    run.update(evaluations={**run.info.get("evaluations", {}), name: {"on": name}})


def test_only_figures_that_hold_now(tmp_path: Path) -> None:
    """Those with other thresholds are left out, and said to be; test images come first."""
    run = real(stored_run(tmp_path / "run", "multi-label", tmp_path))
    evaluated(run, "valid", {"f2": {"value": 0.9, "low": 0.88, "high": 0.92}})
    rows = [{"tag": f"t{n}", "images": n, "f2": n / 30, "f2_low": 0.0, "f2_high": 1.0} for n in range(30)]
    evaluated(run, "test", {"f2": {"value": 0.8, "low": None, "high": None}}, per_class=rows)
    text = card_text(run.path / "model")
    assert text.index("| f2 | 0.8000 |  |") < text.index("| f2 | 0.9000 | 0.8800 to 0.9200 |")
    assert "On 1,234 test images" in text and "The 20 of 30 with the lowest f2" in text
    assert "| t19 |" in text and "| t20 |" not in text
    evaluated(run, "train", {"f2": {"value": 0.99, "low": 0.98, "high": 1.0}})
    evaluated(run, "elsewhere", {"f2": {"value": 0.5, "low": 0.4, "high": 0.6}}, own_data=False)
    text = card_text(run.path / "model")
    assert "training images, which it has learnt from" in text and "of another folder, elsewhere" in text
    splits = [each.dataset_split for each in ModelCard(text).data.eval_results]
    assert splits == ["test", "validation"]

    description = read_description(run.path / "model")
    write_description(run.path / "model", description.replaced(thresholds=0.37))
    text = card_text(run.path / "model")
    assert "0.9000" not in text and "No intervals were computed" in text
    assert "Left out: 4 evaluations are older than the thresholds" in text
    (run.path / "evaluation" / "test" / "metrics.json").write_text("damaged")
    assert "Left out: 3 evaluations are" in card_text(run.path / "model")


def test_a_card_that_was_changed_is_not_written_over(cli: Cli) -> None:
    run = stored_run(Path("run"), "keypoints", Path("/nowhere"))
    card = run.path / "model" / "README.md"
    assert cli("card", "run").exit_code == 0 and cli("card", "run").exit_code == 0
    text = card.read_text()
    for changed in (text.replace("points", "dots"), f"{text}more\n", "mine\n", ""):
        card.write_text(changed)
        assert not is_untouched(card)
        result = cli("card", "run")
        assert result.exit_code == 2 and "--force" in result.output and card.read_text() == changed
    assert cli("card", "run", "--force").exit_code == 0 and card.read_text() == text
    unwritable = cli("card", "run", "--out", "run/run.json/card.md")
    assert unwritable.exit_code == 1 and "cannot be written" in unwritable.output
    assert cli("card", "nowhere").exit_code == 2


def test_a_folder_without_a_run(cli: Cli) -> None:
    stored_run(Path("run"), "segmentation", Path("/nowhere"))
    Path("run/model").rename("bundle")
    assert cli("card", "bundle").exit_code == 0
    assert "Nothing is known of it here" in Path("bundle/README.md").read_text()


HOSTILE = [
    "<script>alert(1)</script>",
    "a|b",
    "[x](http://x)",
    "{{ 7 * 7 }}",
    "--- \n key: value",
    "*_`~#",
    "é—猫",
]


def test_names_are_only_names(tmp_path: Path) -> None:
    run = real(stored_run(tmp_path / "run", "multi-label", tmp_path))
    description = read_description(run.path / "model")
    names = (HOSTILE + description.vocab)[: len(description.vocab)]
    write_description(run.path / "model", description.replaced(vocab=names, dataset="\n".join(HOSTILE)))
    run.update(data=run.info["data"] | {"classes": dict.fromkeys(names, 3)})
    card = ModelCard(write_card(run.path / "model").read_text())
    assert card.data.pipeline_tag == "image-classification"
    page = HTML.render(card.text)
    assert "<script" not in page and "<a " not in page and "<em>" not in page and page.count("<h1>") == 1
    cells = {html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", page)}
    assert {" ".join(name.split()) for name in HOSTILE} <= cells


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.text(st.sampled_from('-+*_=>#19.)|`~[](){}<&;!\\ :/a\n\t"'), max_size=12)
)
def test_markdown_shows_the_text_itself(text: str) -> None:
    """Whatever is in it, a Markdown reader shows the same characters, in a paragraph of its own."""
    escaped = markdown(text)
    assert "\n" not in escaped
    shown = re.fullmatch(r"(?:<p>(.*)</p>\n)?", HTML.render(escaped), re.DOTALL)
    assert shown is not None, HTML.render(escaped)
    plain = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in " ".join(text.split())
    )
    assert html.unescape(shown[1] or "").strip() == plain.strip()
