"""How to cite, from CITATION.cff."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from sitegen.markdown import fenced
from visionkit.registry import get_recipe, recipe_names

_KINDS = {"article": "article", "conference-paper": "inproceedings", "software": "software", "book": "book"}


def read_citation(file: Path) -> dict[str, Any]:
    """What CITATION.cff says."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def citing_page(file: Path) -> str:
    """The page: visionkit, fastai, and the data sets of the recipes."""
    citation = read_citation(file)
    parts = [
        "# How to cite",
        citation["message"],
        "The same stands in `CITATION.cff` of the checkout, which reference managers read.",
        "## visionkit",
        _in_words(citation),
        fenced(bibtex("visionkit", "software", citation), "bibtex"),
    ]
    for reference in citation["references"]:
        name = _people(reference["authors"])[0].rpartition(" ")[2].lower() + str(reference["year"])
        parts += [f"## {reference['title']}", _in_words(reference), reference.get("notes", "")]
        parts.append(fenced(bibtex(name, reference["type"], reference), "bibtex"))
    parts += [
        "## Data sets",
        "Whoever publishes what was trained on a recipe's data cites those who made the data, and keeps to "
        "their licence. Each recipe names them:",
        *(f"- [`{name}`](recipes/{name}.md): {_data_of(name)}" for name in recipe_names() if _data_of(name)),
    ]
    return "\n\n".join(part for part in parts if part)


def bibtex(key: str, kind: str, entry: Mapping[str, Any]) -> str:
    """An entry for BibTeX."""
    fields = {
        "author": " and ".join(_people(entry["authors"], braced=True)),
        "title": "{" + entry["title"] + "}",
        "journal": entry.get("journal"),
        "booktitle": entry.get("collection-title"),
        "volume": entry.get("volume"),
        "number": entry.get("issue"),
        "pages": _pages(entry, "--"),
        "year": entry.get("year") or str(entry.get("date-released", ""))[:4],
        "version": entry.get("version"),
        "doi": entry.get("doi"),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{_KINDS.get(kind, 'misc')}{{{key},", *lines, "}"])


def _in_words(entry: Mapping[str, Any]) -> str:
    year = entry.get("year") or str(entry.get("date-released", ""))[:4]
    place = " ".join(
        filter(None, (entry.get("journal") or entry.get("collection-title"), str(entry.get("volume") or "")))
    )
    parts = [
        ", ".join(_people(entry["authors"])),
        f"{entry['title']}{_version(entry)}",
        place,
        _pages(entry, "–"),
        str(year),
    ]
    text = ". ".join(filter(None, parts)) + "."
    return f"{text} [doi:{entry['doi']}](https://doi.org/{entry['doi']})" if entry.get("doi") else text


def _version(entry: Mapping[str, Any]) -> str:
    return f" {entry['version']}" if entry.get("version") else ""


def _pages(entry: Mapping[str, Any], dash: str) -> str:
    return dash.join(str(entry[name]) for name in ("start", "end") if name in entry)


def _people(authors: Sequence[Mapping[str, str]], braced: bool = False) -> list[str]:
    names = []
    for author in authors:
        if "name" in author:
            names.append("{" + author["name"] + "}" if braced else author["name"])
        else:
            names.append(f"{author['given-names']} {author['family-names']}")
    return names


def _data_of(name: str) -> str:
    """What a recipe's docstring says of its data; "" where users bring their own."""
    module = sys.modules[get_recipe(name).datablock.__module__]
    found = re.search(r"^Data: (.+?)(?:\n\n|\Z)", module.__doc__ or "", re.DOTALL | re.MULTILINE)
    return " ".join(found.group(1).split()) if found and get_recipe(name).source is not None else ""
