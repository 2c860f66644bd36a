"""Recorded examples as Markdown, and the help texts beside them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from sitegen.markdown import fenced
from sitegen.program import help_text
from sitegen.recording import Recorded, neutral

NOT_RECORDED = "!!! note\n\n    Outputs are left out of this build (`VISIONKIT_DOCS=text`)."


def examples(page: str, recorded: Sequence[Recorded] | None) -> str:
    """The examples of a page; None as `recorded` says that nothing was run for this build."""
    return "\n\n".join(_example(each) for each in recorded or () if each.page == page) or NOT_RECORDED


def _example(step: Recorded) -> str:
    parts = [step.note, fenced("\n".join(filter(None, (f"$ {step.command}", step.output))), "console")]
    if step.code:
        parts.append(f"Exit code {step.code}.")
    if step.file:
        name = step.file.rpartition("/")[2]
        language = {"csv": "text", "py": "python", "md": "markdown"}.get(name.rpartition(".")[2], "text")
        parts += [f"`{step.file}`:", fenced(step.text, language)]
    if step.picture:
        name = Path(step.picture).name
        parts.append(f"![{name.removesuffix('.png')}, as `{step.command}` draws it](pictures/{name})")
    return "\n\n".join(parts)


def help_texts(calls: Sequence[Sequence[str]]) -> dict[tuple[str, ...], str]:
    """What `visionkit … --help` prints for every call, two at a time."""
    with TemporaryDirectory(prefix="vk") as place, ThreadPoolExecutor(2) as pool:
        home = Path(place).resolve()
        texts = pool.map(lambda words: neutral(help_text(home, *words), home), calls)
        return {tuple(words): text for words, text in zip(calls, texts)}
