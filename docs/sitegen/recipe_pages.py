"""A page for each recipe: its data set and reference, an example, its settings, its help text."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sitegen.examples import examples, help_texts
from sitegen.markdown import WIDE, code, fenced, table
from sitegen.recording import Recorded
from sitegen.settings_page import own_settings, recipe_defaults
from sitegen.steps import OTHERS, RUNS
from visionkit.recipe import Recipe
from visionkit.registry import get_recipe, recipe_summary


def recipe_pages(names: Sequence[str], recorded: Sequence[Recorded] | None) -> dict[str, str]:
    """The pages below `recipes/`, by their file names.

    Raises:
        ValueError: a recipe has no example.
    """
    shown = {step.page for step in (*RUNS, *OTHERS)}
    if missing := [name for name in names if name not in shown]:
        raise ValueError(
            f"docs/sitegen/steps.py has no example for the recipe {', '.join(missing)}: add a Step."
        )
    recipes = {name: get_recipe(name) for name in names}
    texts = help_texts([(name,) for name in names])
    pages = {f"recipes/{name}.md": _page(recipes[name], recorded, texts[(name,)]) for name in names}
    rows = [
        [f"[`{name}`]({name}.md)", _task(recipe), recipe.dataset, recipe.licence, recipe_summary(name)]
        for name, recipe in recipes.items()
    ]
    pages["recipes/index.md"] = "\n\n".join(
        [
            WIDE + "# Recipes",
            "What each is, and what it was trained on elsewhere, stands in [the guide](../guide/recipes.md). "
            "Every recipe has `--sample`, a small data set that visionkit draws.",
            table(("recipe", "task", "data set", "licence", "what it tells"), rows),
        ]
    )
    return pages


def _page(recipe: Recipe, recorded: Sequence[Recorded] | None, text: str) -> str:
    module = sys.modules[recipe.datablock.__module__]
    facts = [
        ["task", _task(recipe)],
        ["data set", recipe.dataset],
        ["licence", recipe.licence],
        ["size", recipe.size],
        ["reference", recipe.headline],
    ]
    own = own_settings(recipe)
    parts = [
        WIDE + f"# visionkit {recipe.name}",
        (module.__doc__ or "").strip(),
        "\n".join(f"- {name}: {value}" for name, value in facts if value),
        "## Example",
        examples(recipe.name, recorded),
        "## Settings",
        *([table(("own setting", "default", "what"), own)] if own else []),
        "Other defaults than [those of all trainings](../settings.md), and those that `--sample` puts over "
        "them:",
        table(("setting", "default", "with `--sample`"), recipe_defaults(recipe)),
        "## Options",
        fenced(f"$ visionkit {recipe.name} --help\n\n{text}", "console"),
    ]
    return "\n\n".join(parts)


def _task(recipe: Recipe) -> str:
    return "as the data says" if recipe.task_of is not None else code(recipe.task)
