"""Runs the notebooks from top to bottom and keeps what they show, until they or visionkit's code change."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from sitegen.program import environment
from sitegen.recording import key, neutral

LOG = logging.getLogger("mkdocs.sitegen")
LIMIT = 900
"""Seconds that a notebook may take."""
LEFT = "left.json"
"""The file that lists what a run has left in its working folder."""


class NotebookFailed(RuntimeError):
    """A notebook does not run from top to bottom."""


def executed(notebook: Path, store: Path) -> Path:
    """A folder with the notebook after a run, `NAME.ipynb`, and its page, `NAME.md` with `NAME_files`.

    The run takes place in an empty folder with a home folder of its own. One process runs it, others wait.

    Args:
        notebook: the file; it is left as it is.
        store: where runs are kept, until the notebook or visionkit's code changes.

    Raises:
        NotebookFailed: a cell raised; the message has the traceback.
    """
    mark = sha256(notebook.read_bytes() + key().encode()).hexdigest()[:16]
    return _kept(notebook, store / "run" / f"{notebook.stem}-{mark}", execute=True)


def shown(notebook: Path, store: Path) -> Path:
    """As `executed`, and nothing is run: of the last run, whatever code it is of, or else without outputs."""
    runs = sorted((store / "run").glob(f"{notebook.stem}-*/"), key=lambda each: each.stat().st_mtime)
    if runs:
        return runs[-1]
    mark = sha256(notebook.read_bytes()).hexdigest()[:16]
    return _kept(notebook, store / "plain" / f"{notebook.stem}-{mark}", execute=False)


def left_behind(folder: Path) -> set[str]:
    """The names of what the run of `executed` has left in its working folder."""
    return set(json.loads((folder / LEFT).read_text(encoding="utf-8")))


def _kept(notebook: Path, folder: Path, execute: bool) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{notebook.stem}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix="vk") as place:
                made = _make(notebook, Path(place).resolve(), execute)
                for old in folder.parent.glob(f"{notebook.stem}-*/"):
                    shutil.rmtree(old)
                part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
                shutil.copytree(made, part)
                part.rename(folder)
    return folder


def _make(notebook: Path, home: Path, execute: bool) -> Path:
    work, made = home / "work", home / "made"
    work.mkdir()
    shutil.copy(notebook, work)
    begun = time.monotonic()
    if execute:
        limits = [f"--ExecutePreprocessor.timeout={LIMIT}", "--ExecutePreprocessor.kernel_name=python3"]
        _convert(["--execute", *limits, "--to", "notebook", "--output-dir", str(made)], notebook.name, home)
        left = sorted({file.name for file in work.iterdir()} - {notebook.name})
        (made / LEFT).write_text(json.dumps(left), encoding="utf-8")
        LOG.info("docs: %.1f s for %s", time.monotonic() - begun, notebook.name)
    source = made / notebook.name if execute else work / notebook.name
    _convert(["--to", "markdown", "--output-dir", str(made)], str(source), home)
    page = made / f"{notebook.stem}.md"
    page.write_text(neutral(page.read_text(encoding="utf-8"), home) + "\n", encoding="utf-8")
    return made


def _convert(options: Sequence[str], name: str, home: Path) -> None:
    settings = environment(home) | {"TMPDIR": str(home)}
    del settings["MPLBACKEND"]  # notebooks have a backend of their own
    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", *options, name],
        cwd=home / "work",
        env=settings,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise NotebookFailed(f"{Path(name).name} does not run:\n{neutral(done.stderr, home)[-4000:]}")
