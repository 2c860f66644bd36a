"""The notebooks as pages, with the outputs of a run from top to bottom."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat

from sitegen.notebook_runs import executed, shown
from sitegen.readme_pages import linked


def title(notebook: Path) -> str:
    """The first heading of a notebook."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown" and (found := re.match(r"# (.+)", cell.source)):
            return found.group(1)
    return notebook.stem


def notebook_pages(
    notebooks: list[Path], store: Path, execute: bool, targets: dict[str, str]
) -> tuple[dict[str, str], dict[str, Path]]:
    """The pages below `tutorials/` by their file names, and the files of their pictures.

    Args:
        notebooks: the files, in their order.
        store: where runs are kept; see `executed`.
        execute: run them, two at a time; else earlier runs are taken.
        targets: the page of every heading of the README, by its anchor.

    Raises:
        NotebookFailed: a cell raised; the message has the traceback.
    """
    pages: dict[str, str] = {}
    pictures: dict[str, Path] = {}
    rows: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda each: (executed if execute else shown)(each, store), notebooks))
    for notebook, folder in zip(notebooks, folders):
        text = (folder / f"{notebook.stem}.md").read_text(encoding="utf-8")
        page = f"tutorials/{notebook.stem}.md"
        pages[page] = linked(_tidy(text), page, targets, "nbs")
        for picture in sorted((folder / f"{notebook.stem}_files").glob("*")):
            pictures[f"tutorials/{notebook.stem}_files/{picture.name}"] = picture
        rows.append(f"{len(rows) + 1}. [{title(notebook)}]({notebook.stem}.md)")
    pages["tutorials/index.md"] = (
        "# Tutorials\n\nNotebooks, to read in this order; they lie in `nbs/` of the checkout. These pages "
        "are made by running them from top to bottom, on drawn samples: their figures say nothing about real "
        "images.\n\n" + "\n".join(rows)
    )
    return pages, pictures


def _tidy(text: str) -> str:
    """Pictures with a text in place of their kind, and outputs told from code."""
    text = text.replace("![png](", "![output of the cell above](").replace(
        "![jpeg](", "![output of the cell above]("
    )
    runs = r"""<a [^>]*href=["']runs/[^"']*["'][^>]*>(.*?)</a>"""  # files of the run that made the page
    text = re.sub(runs, r"\1", text, flags=re.DOTALL)
    return re.sub(r"<style scoped>.*?</style>\s*", "", text, flags=re.DOTALL)
