"""A page for each command: what it is for, examples with their output, its help text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sitegen.examples import examples, help_texts
from sitegen.markdown import WIDE, fenced, table
from sitegen.program import GROUPS_OF_RECIPES, command_summaries, subcommands
from sitegen.recording import Recorded
from sitegen.steps import NO_OUTPUT, OTHERS, RUNS

GUIDES = {
    "recipes": "recipes",
    "new": "a-recipe-of-your-own",
    "data": "data",
    "check": "check",
    "bench": "what-limits",
    "lr-find": "runs",
    "show": "runs",
    "runs": "runs",
    "plot": "runs",
    "resume": "resume",
    "report": "report",
    "compare": "report",
    "reproduce": "reproduce",
    "predict": "predict",
    "merge": "predict",
    "evaluate": "evaluate",
    "export": "export",
    "submit": "submit-to-a-competition",
    "card": "share-a-model",
    "push": "share-a-model",
    "load": "share-a-model",
    "classify": "classify",
    "cache": "the-cache-of-decoded-images",
    "settings": "settingsini",
    "doctor": "doctor",
}
"""The heading of the README that tells more of a command."""


def undocumented(names: Sequence[str]) -> list[str]:
    """Those of `names` that have neither an example nor a reason for having none."""
    shown = {step.page for step in (*RUNS, *OTHERS)} | set(NO_OUTPUT)
    return [name for name in names if name not in shown]


def command_pages(
    recorded: Sequence[Recorded] | None, places: Mapping[str, str], recipes: Sequence[str]
) -> dict[str, str]:
    """The pages below `commands/`, by their file names.

    Args:
        recorded: the examples; None leaves them out.
        places: the page of every heading of the README, by its anchor.
        recipes: the names of the recipes.

    Raises:
        ValueError: a command has no example, and no reason is given for that.
    """
    summaries = command_summaries()
    if missing := undocumented(list(summaries)):
        raise ValueError(
            f"docs/sitegen/steps.py has no example for {', '.join(missing)}: add a Step, or a reason to "
            "NO_OUTPUT."
        )
    calls = {name: _calls(name) for name in summaries}
    texts = help_texts([(), *(words for each in calls.values() for words in each)])
    pages = {
        f"commands/{name}.md": "\n\n".join(
            [
                WIDE + f"# visionkit {name}",
                summary,
                _guide(name, places),
                "## Examples",
                NO_OUTPUT.get(name) or examples(name, recorded),
                "## Options",
                *(part for words in calls[name] for part in _help(words, texts)),
            ]
        )
        for name, summary in summaries.items()
    }
    rows = [[f"[`visionkit {name}`]({name}.md)", summary] for name, summary in summaries.items()]
    pages["commands/index.md"] = "\n\n".join(
        [
            WIDE + "# Commands",
            "`visionkit RECIPE` trains; see [the recipes](../recipes/index.md). The other commands look at "
            "data, runs and models. RUN is a run folder, its name, or `last`. The outputs on these pages are "
            "real: they were recorded when the pages were built, on drawn sample data, whose figures say "
            "nothing about real images.",
            table(("command", "what it does"), rows),
            "Recipes: " + ", ".join(f"[`{name}`](../recipes/{name}.md)" for name in recipes) + ".",
            "Exit codes: 0 done, 1 it failed at run time, 2 the call was wrong, 130 interrupted, 143 "
            "terminated.",
            "## visionkit --help",
            fenced(texts[()]),
        ]
    )
    return pages


def _calls(name: str) -> list[tuple[str, ...]]:
    inner = [(name, each) for each in subcommands(name)]
    return [(name,), *inner, *([(name, "pets")] if name in GROUPS_OF_RECIPES else [])]


def _help(words: tuple[str, ...], texts: Mapping[tuple[str, ...], str]) -> list[str]:
    call = f"visionkit {' '.join(words)} --help"
    title = [f"### {' '.join(words)}"] if len(words) > 1 else []
    return [*title, fenced(f"$ {call}\n\n{texts[words]}", "console")]


def _guide(name: str, places: Mapping[str, str]) -> str:
    anchor = GUIDES.get(name, name)
    if anchor not in places:
        return ""
    return f"More on it stands in [the guide](../{places[anchor]}#{anchor})."
