"""Whatever the program has, the documentation has: commands, recipes, settings, public names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sitegen import readme_pages
from sitegen.command_pages import undocumented
from sitegen.program import command_summaries
from sitegen.settings_page import SHARED, kind, recipe_defaults, settings_page
from sitegen.steps import NO_OUTPUT, OTHERS, RUNS

import visionkit
from visionkit.registry import get_recipe, recipe_names
from visionkit.settings import TrainSettings

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = CHECKOUT / "docs" / "pages"


def in_navigation() -> set[str]:
    """The files that mkdocs.yml lists."""

    def files(part: Any) -> Iterator[str]:
        if isinstance(part, str):
            yield part
        else:
            for each in part.values() if isinstance(part, dict) else part:
                yield from files(each)

    return set(files(yaml.safe_load((CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))


def test_every_command_has_an_example_or_a_reason_for_none() -> None:
    assert len(command_summaries()) > 20
    assert undocumented(list(command_summaries())) == []


def test_a_command_without_an_example_is_told() -> None:
    assert undocumented(["runs", "dance"]) == ["dance"]


def test_reasons_are_given_for_commands_that_are_there_and_have_no_example() -> None:
    shown = {step.page for step in (*RUNS, *OTHERS)}
    assert set(NO_OUTPUT) <= set(command_summaries())
    assert not set(NO_OUTPUT) & shown
    assert shown <= {*command_summaries(), *recipe_names()}


def test_every_recipe_has_an_example() -> None:
    assert undocumented(recipe_names()) == []


def test_commands_recipes_and_notebooks_are_in_the_navigation() -> None:
    wanted = {f"commands/{name}.md" for name in command_summaries()}
    wanted |= {f"recipes/{name}.md" for name in recipe_names()}
    wanted |= {f"tutorials/{notebook.stem}.md" for notebook in (CHECKOUT / "nbs").glob("*.ipynb")}
    assert wanted <= in_navigation()


def test_the_settings_page_has_every_setting_with_its_flag_and_help() -> None:
    recipes = [get_recipe(name) for name in recipe_names()]
    page = settings_page(recipes)
    models = [*SHARED.values(), *(recipe.settings for recipe in recipes)]
    for model in models:
        for name, field in model.model_fields.items():
            assert f"`{name}`" in page, name
            assert (field.description or "").replace("|", r"\|") in page, name
            if issubclass(model, TrainSettings):
                assert f"`--{name.replace('_', '-')}`" in page, name


def test_the_settings_page_tells_limits_and_what_recipes_have_instead() -> None:
    page = settings_page([get_recipe(name) for name in recipe_names()])
    (size,) = [line for line in page.splitlines() if 'id="size"' in line]
    assert "whole number, at least 1" in size
    assert "`224`" in size
    assert "`360`: [camvid](recipes/camvid.md)" in size
    (keep,) = [line for line in page.splitlines() if 'id="keep"' in line]
    assert "`last`, `best`" in keep


def test_a_recipe_page_tells_its_own_defaults() -> None:
    rows = {row[0]: row[1:] for row in recipe_defaults(get_recipe("camvid"))}
    assert rows["`size`"] == ["`360`", "`48`"]
    assert rows["`bs`"] == ["`8`", ""]
    assert "`wd`" not in rows


def test_a_schema_of_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="a type that is known"):
        kind({"type": "object"})


def test_every_public_name_stands_in_the_api_pages() -> None:
    index = (PAGES / "api" / "index.md").read_text(encoding="utf-8")
    described = "\n".join(page.read_text(encoding="utf-8") for page in (PAGES / "api").glob("*.md"))
    for name in visionkit.__all__:
        assert f"`visionkit.{name}`" in index, name
        place = visionkit._PUBLIC.get(name)
        if place is not None:
            assert re.search(rf"^::: {re.escape(place)}\.{name}$", described, re.MULTILINE), name


def test_every_section_of_the_readme_is_a_page() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    pages = readme_pages.guide_pages(readme)
    text = "\n".join(pages.values())
    for line in readme.splitlines():
        if len(line) > 40 and not line.startswith(("#", "|", " ")) and "](" not in line:
            assert line in text or line in readme_pages.introduction(readme), line


def test_links_of_the_readme_lead_to_pages() -> None:
    targets = {"resume": "guide/runs.md"}
    linked = readme_pages.linked
    assert linked("[a](#resume)", "guide/training.md", targets) == "[a](../guide/runs.md#resume)"
    assert linked("[a](#resume)", "guide/runs.md", targets) == "[a](#resume)"
    assert linked("![a](docs/images/x.png)", "introduction.md", targets) == "![a](images/x.png)"
    assert linked("[a](SECURITY.md)", "guide/security.md", targets) == "[a](../security.md)"
    assert (
        linked("[a](../README.md#resume)", "tutorials/1.md", targets, "nbs") == "[a](../guide/runs.md#resume)"
    )
    assert linked("[a](02_b.ipynb)", "tutorials/1.md", targets, "nbs") == "[a](../tutorials/02_b.md)"
    code = "```\n[a](gone.md)\n```"
    assert linked(code, "guide/runs.md", targets) == code
    with pytest.raises(ValueError, match=r"gone\.md"):
        linked("[a](gone.md)", "guide/runs.md", targets)


def test_the_figures_of_the_comparison_are_those_of_the_benchmarks() -> None:
    page = (PAGES / "comparison.md").read_text(encoding="utf-8").partition("## Figures")[2]
    known = (CHECKOUT / "benchmarks" / "BENCHMARKS.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    figures = [figure for line in rows for figure in re.findall(r"\d+\.\d+", line)]
    assert len(figures) >= 10
    assert [
        figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d])", known)
    ] == []
