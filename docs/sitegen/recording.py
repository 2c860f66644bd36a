"""Runs the examples and keeps what they print, until visionkit's code or the examples change."""

from __future__ import annotations

import json
import logging
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path

from sitegen.program import environment
from sitegen.program import visionkit as call
from sitegen.steps import OTHERS, RUNS, Step
from visionkit.versions import code_fingerprint, versions

LOG = logging.getLogger("mkdocs.sitegen")
LIMIT = 600
"""Seconds that one command may take."""
INTERRUPT = signal.SIGINT
LANES = {"runs": RUNS, "others": OTHERS}
INDEX = "recorded.json"


@dataclass(frozen=True)
class Recorded:
    """What a step printed and made.

    Args:
        page: the command or recipe on whose page it stands.
        note: what it is for.
        command: the whole command line.
        output: standard output and standard error, as they came.
        code: its exit code, as expected.
        seconds: it took.
        picture: the file of a picture that it made, or "".
        file: the name of a text file that it made, or "".
        text: the first lines of that.
    """

    page: str
    note: str
    command: str
    output: str
    code: int
    seconds: float
    picture: str = ""
    file: str = ""
    text: str = ""


class StepFailed(RuntimeError):
    """An example ended otherwise than the documentation says."""


def key() -> str:
    """Changes with visionkit's code, its recipes, the examples and the packages that figures depend on."""
    digest = sha256(code_fingerprint().encode())
    recipes = Path(next(iter(import_module("visionkit.recipes").__path__)))
    own = [Path(__file__).with_name(f"{name}.py") for name in ("steps", "prepare", "program", "recording")]
    for file in sorted([*recipes.glob("*.py"), *own]):
        digest.update(f"{file.name}\0".encode() + sha256(file.read_bytes()).digest())
    digest.update(json.dumps(versions()).encode())
    return digest.hexdigest()[:16]


def recordings(store: Path, old: bool = False) -> list[Recorded] | None:
    """All steps as they were recorded; recorded now where they are not.

    Args:
        store: where recordings are kept.
        old: take what is there, whatever code it is of, and run nothing; None where nothing is there.

    Raises:
        StepFailed: a step has another exit code than it should; the message has its output.
    """
    with ThreadPoolExecutor(len(LANES)) as lanes:
        parts = list(lanes.map(lambda lane: _lane(store, lane, old), LANES))
    return None if all(part is None for part in parts) else [each for part in parts for each in part or ()]


def _lane(store: Path, lane: str, old: bool) -> list[Recorded] | None:
    """The steps of one lane; each is kept by itself, so that a failure in one leaves the other."""
    folder = store / f"{lane}-{key()}"
    others = sorted(store.glob(f"{lane}-*/{INDEX}"), key=lambda file: file.stat().st_mtime)
    if old and not (folder / INDEX).is_file():
        if not others:
            return None
        folder = others[-1].parent
    if not (folder / INDEX).is_file():
        fresh = store / f".{folder.name}.{os.getpid()}.part"
        fresh.mkdir(parents=True)
        try:
            recorded = record(LANES[lane], fresh)
            rows = [
                asdict(each) | {"picture": each.picture and str(Path(each.picture).name)} for each in recorded
            ]
            (fresh / INDEX).write_text(json.dumps(rows, indent=1), encoding="utf-8")
            for file in others:
                shutil.rmtree(file.parent)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    rows = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return [
        Recorded(**row | {"picture": str(folder / row["picture"]) if row["picture"] else ""}) for row in rows
    ]


def record(steps: Sequence[Step], pictures: Path) -> list[Recorded]:
    """Run `steps` one after the other in an empty folder, copy their pictures into `pictures`.

    Raises:
        StepFailed: one ended otherwise than expected.
    """
    with tempfile.TemporaryDirectory(prefix="vk") as place:
        home = Path(place).resolve()
        work = home / "work"
        work.mkdir()
        runs: dict[str, str] = {}
        return [taken for step in steps if (taken := _take(step, home, work, runs, pictures)).page]


def _take(step: Step, home: Path, work: Path, runs: dict[str, str], pictures: Path) -> Recorded:
    if step.prepare is not None:
        step.prepare(work)
    words = step.command.format(**runs)
    before = set(_run_names(work))
    begun = time.monotonic()
    code, output = _run(shlex.split(words), home, work, step.stop_at)
    seconds = time.monotonic() - begun
    LOG.info("docs: %.1f s for visionkit %s", seconds, words)
    if code not in step.codes:
        raise StepFailed(f"visionkit {words}: exit code {code} in place of {step.codes[0]}.\n{output}")
    if step.keep:
        (runs[step.keep],) = set(_run_names(work)) - before
    picture = text = file = ""
    if step.picture:
        source = work / step.picture.format(**runs)
        picture = str(pictures / f"{step.page}-{source.name}")
        shutil.copy(source, picture)
    if step.file:
        file = step.file.format(**runs)
        text = _first(neutral((work / file).read_text(encoding="utf-8"), home), step.lines)
        output = neutral(output, home)
    else:
        output = _first(neutral(output, home), step.lines)
    return Recorded(
        step.page if step.shown else "",
        step.note,
        f"visionkit {words}",
        output,
        code,
        round(seconds, 1),
        picture,
        file,
        text,
    )


def _run(words: Sequence[str], home: Path, work: Path, stop_at: str) -> tuple[int, str]:
    """Exit code and output of a call; with `stop_at` Ctrl-C is sent once, as soon as that was printed."""
    program = subprocess.Popen(
        call(words),
        cwd=work,
        env=environment(home) | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert program.stdout is not None
    lines = []
    for line in program.stdout:
        lines.append(line)
        if stop_at and stop_at in line:
            program.send_signal(INTERRUPT)
            stop_at = ""
    return program.wait(LIMIT), "".join(lines)


def _run_names(work: Path) -> list[str]:
    return [folder.name for folder in (work / "runs").glob("*/") if not folder.name.startswith(".")]


def neutral(text: str, home: Path) -> str:
    """`text` without the paths and the name of this machine, and without trailing blanks."""
    checkout = Path(__file__).resolve().parents[2]
    places = {str(home): "~", str(checkout): "visionkit"}
    if sys.prefix != sys.base_prefix:  # a virtual environment, and not /usr
        places[sys.prefix] = "venv"
    for place, name in places.items():
        text = text.replace(place, name)
    if (host := platform.node()) and len(host) > 3:
        text = text.replace(host, "machine")
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def _first(text: str, count: int) -> str:
    lines = text.splitlines()
    if not count or len(lines) <= count:
        return text
    return "\n".join([*lines[:count], f"… {len(lines):,} lines in all"])
