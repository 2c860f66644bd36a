"""The notebooks as pages, with the outputs of a run from top to bottom."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import nbformat

from sitegen.program import environment
from sitegen.readme_pages import linked
from sitegen.recording import key, neutral

LOG = logging.getLogger("mkdocs.sitegen")
LIMIT = 900
"""Seconds that a notebook may take."""


class NotebookFailed(RuntimeError):
    """A notebook does not run from top to bottom."""


def title(notebook: Path) -> str:
    """The first heading of a notebook."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown" and (found := re.match(r"# (.+)", cell.source)):
            return found.group(1)
    return notebook.stem


def converted(notebook: Path, store: Path, execute: bool) -> Path:
    """A folder with the notebook as Markdown, `NAME.md`, and its pictures in `NAME_files`.

    Args:
        notebook: the file; it is left as it is.
        store: where conversions are kept, until the notebook or visionkit's code changes.
        execute: run it; else an earlier run is taken, or, where there is none, its cells are shown alone.

    Raises:
        NotebookFailed: a cell raised; the message has the traceback.
    """
    bytes_ = notebook.read_bytes()
    run = store / "run" / f"{notebook.stem}-{sha256(bytes_ + key().encode()).hexdigest()[:16]}"
    earlier = sorted(run.parent.glob(f"{notebook.stem}-*/"), key=lambda each: each.stat().st_mtime)
    if not execute and earlier:
        return run if run in earlier else earlier[-1]
    folder = run if execute else store / "plain" / f"{notebook.stem}-{sha256(bytes_).hexdigest()[:16]}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(prefix="vk") as place:
            made = _convert(notebook, Path(place).resolve(), execute)
            for old in folder.parent.glob(f"{notebook.stem}-*/"):
                shutil.rmtree(old)
            part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
            shutil.copytree(made, part)
            part.rename(folder)
    return folder


def _convert(notebook: Path, home: Path, execute: bool) -> Path:
    work, made = home / "work", home / "made"
    work.mkdir()
    shutil.copy(notebook, work)
    begun = time.monotonic()
    run = ["--execute", f"--ExecutePreprocessor.timeout={LIMIT}", "--ExecutePreprocessor.kernel_name=python3"]
    words = [sys.executable, "-m", "nbconvert", "--to", "markdown", "--output-dir", str(made)]
    settings = environment(home)
    del settings["MPLBACKEND"]  # notebooks have a backend of their own
    done = subprocess.run(
        [*words, *(run if execute else ()), notebook.name],
        cwd=work,
        env=settings,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise NotebookFailed(f"{notebook.name} does not run:\n{neutral(done.stderr, home)[-4000:]}")
    LOG.info("docs: %.1f s for %s", time.monotonic() - begun, notebook.name)
    page = made / f"{notebook.stem}.md"
    page.write_text(neutral(page.read_text(encoding="utf-8"), home) + "\n", encoding="utf-8")
    return made


def notebook_pages(
    notebooks: list[Path], store: Path, execute: bool, targets: dict[str, str]
) -> tuple[dict[str, str], dict[str, Path]]:
    """The pages below `tutorials/` by their file names, and the files of their pictures.

    Args:
        notebooks: the files, in their order.
        store: see `converted`.
        execute: see `converted`.
        targets: the page of every heading of the README, by its anchor.
    """
    pages: dict[str, str] = {}
    pictures: dict[str, Path] = {}
    rows: list[str] = []
    for notebook in notebooks:
        folder = converted(notebook, store, execute)
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
