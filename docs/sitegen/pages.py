"""Writes the generated pages into the folder that MkDocs reads."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sitegen.citation import citing_page
from sitegen.command_pages import command_pages
from sitegen.notebook_pages import notebook_pages
from sitegen.readme_pages import guide_pages, introduction, linked, places
from sitegen.recipe_pages import recipe_pages
from sitegen.recording import Recorded, recordings
from sitegen.settings_page import settings_page
from visionkit.registry import get_recipe, recipe_names

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = CHECKOUT / "docs" / "pages"
STORE = CHECKOUT / "build" / "docs"
GENERATED = ("commands", "recipes", "guide", "tutorials", "images")
"""Folders below `docs/pages` that hold nothing but generated files."""


def write_pages() -> None:
    """Write all generated pages; what is there and has not changed is left as it is.

    With `VISIONKIT_DOCS=text` in the environment nothing is run: outputs are those that were recorded last.

    Raises:
        StepFailed: an example ended otherwise than expected.
        NotebookFailed: a notebook does not run.
        ValueError: a command or recipe has no example, or a link of the README points nowhere.
    """
    execute = os.environ.get("VISIONKIT_DOCS") != "text"
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    targets = places(readme)
    names = recipe_names()
    recorded = recordings(STORE / "recorded", old=not execute)
    tutorials, pictures = notebook_pages(
        sorted((CHECKOUT / "nbs").glob("*.ipynb")), STORE / "notebooks", execute, targets
    )
    pages = {
        **guide_pages(readme),
        **command_pages(recorded, targets, names),
        **recipe_pages(names, recorded),
        **tutorials,
        "settings.md": settings_page([get_recipe(name) for name in names]),
        "citing.md": citing_page(CHECKOUT / "CITATION.cff"),
        "introduction.md": linked(introduction(readme), "introduction.md", targets),
    }
    for source, page in (
        ("benchmarks/BENCHMARKS.md", "benchmarks.md"),
        ("CHANGELOG.md", "changelog.md"),
        ("SECURITY.md", "security.md"),
        ("docs/AUDIT.md", "audit.md"),
        ("docs/SCALE.md", "scale.md"),
    ):
        text = (CHECKOUT / source).read_text(encoding="utf-8")
        pages[page] = linked(text, page, targets, source.rpartition("/")[0])
    for image in sorted((CHECKOUT / "docs" / "images").glob("*.png")):
        pictures[f"images/{image.name}"] = image
    for step in recorded or ():
        if step.picture:
            pictures[f"{_folder(step, names)}/pictures/{Path(step.picture).name}"] = Path(step.picture)
    _write(pages, pictures)


def _folder(step: Recorded, recipes: list[str]) -> str:
    return "recipes" if step.page in recipes else "commands"


def _write(pages: dict[str, str], pictures: dict[str, Path]) -> None:
    for name, text in pages.items():
        _replace(PAGES / name, (re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n").encode())
    for name, source in pictures.items():
        _replace(PAGES / name, source.read_bytes())
    for folder in GENERATED:
        for file in sorted((PAGES / folder).rglob("*")):
            if file.is_file() and file.relative_to(PAGES).as_posix() not in {*pages, *pictures}:
                file.unlink()


def _replace(file: Path, content: bytes) -> None:
    if not file.is_file() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
