"""What visionkit writes of names from strangers: tables, pages, cards, plots and lines on a terminal."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import FAST, Cli, noise
from hostile.hammering import assert_ended_well, hammer, many
from hostile.mutating import NASTY_TEXTS
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from inference.stored import stored_bundle, stored_run
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from PIL import Image
from rich.markup import escape
from rich.table import Table

import visionkit
from visionkit.checks.page import render_page
from visionkit.checks.report import check_folder
from visionkit.cli.console import SafeConsole
from visionkit.csv_rows import csv_row, csv_text
from visionkit.evaluation.class_report import Row, read_report, report_csv
from visionkit.evaluation.masks import MaskExample, MaskPredictions
from visionkit.evaluation.predictions import Predictions
from visionkit.inference.bundle import write_description
from visionkit.inference.bundle_files import read_description
from visionkit.inference.card import card_text
from visionkit.inference.overlay import mask_overlay
from visionkit.inference.results import MaskPrediction
from visionkit.progress import PlainProgress, Silence
from visionkit.reporting import balance, classification, segmentation
from visionkit.reporting.style import DPI, new_figure, plot_style, save_figure
from visionkit.visible import visible_lines

NAMES = [
    "$\\frac{",
    "$x$",
    "$",
    "a$b$c",
    "\\$",
    "_hidden",
    "__",
    "two\nlines",
    "\r",
    "a\rb",
    "tab\there",
    "\x1b[31mred\x1b[0m",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'",
    "&amp;",
    "x" * 1000,
    "word " * 300,
    "\u05e9\u05dc\u05d5\u05dd",
    "\u0645\u0631\u062d\u0628\u0627",
    "\U0001f600\U0001f469\u200d\U0001f4bb",
    "\u202egpj",
    "\ufffe",
    "\x00",
    " ",
    "\u4e2d\u6587",
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "a,b",
    'a"b',
    "[red]x[/red]",
    "{{7*7}}",
    "{% raw %}",
    "%s",
    "-->",
    "]]>",
    "nan",
    "Void",
    "\ud7ff",
    "\\",
]
TEXTS = st.one_of(st.sampled_from(NAMES + NASTY_TEXTS), st.text(max_size=30))


class Parsed(HTMLParser):
    """All tags, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data

    def assert_harmless(self) -> None:
        assert not {"script", "iframe", "object", "embed", "form", "base", "svg"} & set(self.tags)
        for name, value in self.attributes:
            assert not name.startswith("on") and "javascript:" not in (value or ""), (name, value)
            if name in ("src", "href"):
                assert (value or "").startswith("data:image/"), value


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=4), max_size=5))
def test_tables_read_back_as_they_were_written(rows: list[list[str]]) -> None:
    """Also cells that a spreadsheet would compute: they stay exact, as the README says."""
    text = csv_text(rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == rows
    assert csv_row(["\udcff", "=1"]) == "\\udcff,=1\n"


@given(st.lists(TEXTS, min_size=1, max_size=5))
@settings(deadline=None)
def test_the_report_of_classes_reads_back(names: list[str]) -> None:
    import tempfile

    rows = [Row(name, 0.5, 0.25, 0.125, 3) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "report.csv").write_bytes(report_csv(rows).encode())
        assert read_report(Path(folder)) == rows


def labelled(vocab: Sequence[str], photo: Path, tags: bool = False) -> Predictions:
    random = np.random.default_rng(0)
    count = len(vocab)
    probabilities = random.random((12, count)).astype(np.float32)
    targets = random.integers(0, 2, (12, count)) if tags else random.integers(0, count, 12)
    return Predictions("name $\\frac{", [photo] * 12, list(vocab), probabilities, targets, random.random(12))


def plots(vocab: Sequence[str], photo: Path) -> list[Callable[[], Figure]]:
    """Every plot that shows names of classes, tags or codes."""
    labels, tags = labelled(vocab, photo), labelled(vocab, photo, tags=True)
    codes = np.arange(16 * 16).reshape(16, 16) % len(vocab)
    example = MaskExample("mask $\\frac{", np.zeros((16, 16, 3)), codes, codes[::-1], 0.5)
    counts = np.random.default_rng(0).integers(0, 9, (len(vocab), len(vocab)))
    masks = MaskPredictions("name", list(vocab), counts, [example], [example])
    data: Any = SimpleNamespace(
        train=[0], valid=[1], class_counts=lambda _: Counter(vocab),
        recipe=SimpleNamespace(name="$\\frac{", task="single-label"),
    )  # fmt: skip
    return [
        lambda: classification.confusion(labels),
        lambda: classification.per_class(labels),
        lambda: classification.label_examples(labels, worst=True),
        lambda: classification.per_tag(tags, 0.5),
        lambda: classification.tag_examples(tags, 0.5, worst=False),
        lambda: segmentation.per_class(masks),
        lambda: segmentation.mask_examples(masks, worst=False),
        lambda: balance.label_balance(data),
    ]


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("photo") / "a $\\frac{.png"
    Image.fromarray(noise(1, 30, 20)).save(file)
    return file


@many(8, 150)
def test_plots_of_hostile_names(count: int, photo: Path, tmp_path: Path) -> None:
    """No crash, no formula, no warning, and pictures of a size that can be looked at."""
    pool = list(dict.fromkeys([*NAMES, *NASTY_TEXTS]))

    def case(random: Random) -> None:
        vocab = random.sample(pool, random.choice([2, 6]))
        vocab += [chr(random.randrange(1, 0xD800)) * 3]
        save_figure(random.choice(plots(vocab, photo))(), tmp_path / "plot.png", synthetic=True)
        with Image.open(tmp_path / "plot.png") as picture:
            assert max(picture.size) < 65_536 and picture.width * picture.height < 60_000_000

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hammer("plots", count, case)


@pytest.mark.parametrize("count", [2, 300, pytest.param(3000, marks=pytest.mark.slow)])
def test_plots_of_any_number_of_names(count: int, photo: Path, tmp_path: Path) -> None:
    for draw in plots([f"name {number}" for number in range(count)], photo):
        figure = draw()
        width, height = figure.get_size_inches()
        assert width * height * DPI**2 < 60_000_000


def test_names_in_plots_are_texts_and_axes_keep_their_powers_of_ten() -> None:
    with plot_style():
        figure = new_figure(6, 4)
        axes = figure.add_subplot()
        axes.plot([1e-6, 1], [1, 2], label="$x$")
        axes.set(xscale="log", title="$y$")
        axes.legend()
        figure.canvas.draw()
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_parse_math() for text in legend.get_texts()] == [
        False
    ] and not axes.title.get_parse_math()
    assert any(label.get_parse_math() and "10" in label.get_text() for label in axes.get_xticklabels())


def test_masks_with_hostile_names_have_overlays() -> None:
    codes = np.arange(40 * 40, dtype=np.int16).reshape(40, 40) % len(NAMES)
    shares = np.full(len(NAMES), 1 / len(NAMES))
    prediction = MaskPrediction(codes, shares, tuple(NAMES))
    picture = mask_overlay(Image.fromarray(noise(2, 40, 40)), prediction, np.zeros((len(NAMES), 3)))
    assert picture.width >= 40 and picture.height > 40


@given(names=st.lists(TEXTS, min_size=8, max_size=8, unique=True), other=TEXTS)
@settings(max_examples=25, deadline=None)
def test_cards_of_hostile_names(names: list[str], other: str) -> None:
    """Markdown in which nothing of theirs is markup, and front matter that reads back."""
    import tempfile

    with tempfile.TemporaryDirectory() as root:
        run = stored_run(Path(root) / "run", "single-label", Path("/nowhere"))
        folder = run.path / "model"
        said = read_description(folder)
        vocab = [name[:2000] or "x" for name in names]
        metrics = {other: 0.5, "accuracy": 0.25}
        write_description(
            folder,
            said.replaced(
                vocab=vocab, dataset=other[:2000], synthetic=False, metrics=metrics, caveat=other[:2000]
            ),
        )
        run.update(
            data={"train": 1, "valid": 2, "classes": dict.fromkeys(vocab, 3)}, device=other, precision=other
        )
        text = card_text(folder)
    card = ModelCard(text)
    assert card.data.library_name == "visionkit"
    page = Parsed(MarkdownIt("commonmark").enable(["table"]).render(card.text))
    page.assert_harmless()
    assert (
        page.tags.count("h1") == 1
        and page.tags.count("h2") == 7
        and "a" not in page.tags
        and "img" not in page.tags
    )


def hostile_folder(root: Path) -> Path:
    """A folder of classes with hostile names, as far as a file system takes them, and faults in it."""
    folder = root / "data"
    for number, name in enumerate(
        ("<script>alert(1)<", '"><img src=x onerror=alert(1)>', "=1+1", "$\\frac{", "a\rb", "\x1b[2J")
    ):
        (folder / name).mkdir(parents=True)
        for count in range(4):
            Image.fromarray(noise(10 * number + count, 32, 32)).save(
                folder / name / f"{name[:20].replace('/', '')}{count}.png"
            )
        (folder / name / f"{name[:20]}broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        Image.fromarray(noise(10 * number, 32, 32)).save(folder / name / f"copy{number}.png")
    return folder


def test_the_page_of_a_check(tmp_path: Path) -> None:
    folder = hostile_folder(tmp_path)
    page = render_page(check_folder(folder, None, Silence()))
    parsed = Parsed(page)
    parsed.assert_harmless()
    assert "onerror=alert" in parsed.text and "\x1b" not in page and "Content-Security-Policy" in page


@pytest.mark.slow
def test_a_training_on_classes_with_hostile_names(cli: Cli, tmp_path: Path) -> None:
    """From the folders to plots, tables, evaluation, card and predictions."""
    folder = hostile_folder(tmp_path)
    for broken in folder.rglob("*broken.png"):
        broken.unlink()
    call = ("folder", "--data", folder, "--size", 32, *FAST, "--out", "run", "--valid-pct", "0.4")
    for command in (
        ("check", "folder", "--data", folder, "--report", "check.html"),
        call,
        ("evaluate", "run"),
        ("plot", "run"),
        ("runs",),
        ("card", "run"),
        ("predict", "run", folder, "--out", "answers.csv", "--probabilities"),
        ("predict", "run", next(folder.rglob("*.png"))),
    ):
        result = cli(*command)
        assert_ended_well(result, command)
        assert result.exit_code == 0 or command[0] == "check", result.output
    Parsed(Path("check.html").read_text()).assert_harmless()
    names = {path.name for path in folder.iterdir()}
    for file in ("run/report.csv", "run/evaluation/valid/per_class.csv"):
        with open(file, encoding="utf-8", newline="") as table:
            rows = list(csv.reader(table))
        assert names <= {row[0] for row in rows} and len({len(row) for row in rows}) == 1, file
    with open("answers.csv", encoding="utf-8", newline="") as table:
        answers = list(csv.DictReader(table))
    assert {answer["label"] for answer in answers} <= names and len(answers) == len(
        list(folder.rglob("*.png"))
    )
    assert set(answers[0]) >= {f"p_{name}" for name in names}
    assert (
        json.loads(cli("predict", "run", next(folder.rglob("*.png")), "--json").stdout)[0]["label"] in names
    )


@given(TEXTS)
def test_notes_show_control_characters(text: str) -> None:
    stream = io.StringIO()
    PlainProgress(stream).note(text)
    said = stream.getvalue()
    assert said.endswith("\n") and visible_lines(said) == said


def test_tables_and_errors_show_control_characters() -> None:
    """On a terminal, to which rich writes colours of its own."""
    evil = "\x1b]0;owned\x07[red]x[/red]"
    stream = io.StringIO()
    console = SafeConsole(file=stream, force_terminal=True, width=100, emoji=False)
    console.print("Error:", evil, style="red", markup=False)
    table = Table()
    table.add_column(escape(evil))
    table.add_row(escape(evil))
    console.print(table)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "\x1b" not in plain and plain.count("\\x1b]0;owned\\x07[red]x[/red]") == 3


def test_a_bundle_with_hostile_names_predicts(tmp_path: Path, photo: Path) -> None:
    folder = stored_bundle(tmp_path / "model", "segmentation")
    said = read_description(folder)
    write_description(
        folder, said.replaced(vocab=[f"{NAMES[n % len(NAMES)]}{n}" for n in range(len(said.vocab))])
    )
    answer = visionkit.load(folder, device="cpu").predict(photo)
    assert isinstance(answer, MaskPrediction) and answer.picture() is not None
