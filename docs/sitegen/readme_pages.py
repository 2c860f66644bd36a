"""The guide: the README's sections as pages, so that there is one text of each topic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import join, normpath

from sitegen.markdown import slug

PAGES = {"more-recipes": "recipes", "two-commands": "first-steps", "settingsini": "settings-file"}
"""Sections that stand on another page than one of their own name."""
FILES = {
    "benchmarks/BENCHMARKS.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "docs/AUDIT.md": "audit.md",
    "docs/SCALE.md": "scale.md",
    "settings.ini": "settings.md",
    "nbs": "tutorials/index.md",
    "CITATION.cff": "citing.md",
}
"""Files of the checkout that a text may point at, and the page that shows them."""
_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:)([^)\s#]*)(#[^)\s]*)?(?=\))")


@dataclass(frozen=True)
class Section:
    """A part of the README: from a heading of the second level to the next."""

    title: str
    text: str

    @property
    def page(self) -> str:
        """Where it stands, below the folder of the pages."""
        anchor = slug(self.title)
        return f"guide/{PAGES.get(anchor, anchor)}.md"

    @property
    def anchors(self) -> list[str]:
        """Those of its headings."""
        return [slug(self.title), *(slug(line.lstrip("#")) for line in _headings(self.text))]


def _headings(text: str) -> Iterator[str]:
    inside = False
    for line in text.splitlines():
        if line.startswith(("```", "~~~")):
            inside = not inside
        elif not inside and re.match("#{2,} ", line):
            yield line


def introduction(readme: str) -> str:
    """What stands before the first section, without the title."""
    return readme.partition("\n## ")[0].partition("\n")[2].strip()


def sections(readme: str) -> list[Section]:
    """The README's sections in their order."""
    found: list[list[str]] = []
    inside = False
    for line in readme.splitlines():
        if line.startswith(("```", "~~~")):
            inside = not inside
        if not inside and line.startswith("## "):
            found.append([line[3:].strip()])
        elif found:
            found[-1].append(line)
    return [Section(lines[0], "\n".join(lines[1:]).strip()) for lines in found]


def places(readme: str) -> dict[str, str]:
    """The page of every heading, by its anchor."""
    return {anchor: section.page for section in sections(readme) for anchor in section.anchors}


def linked(text: str, page: str, targets: dict[str, str], beside: str = "") -> str:
    """`text` with its links to files of the checkout and to headings changed into links to pages.

    Args:
        text: Markdown of a file of the checkout.
        page: the page that it becomes.
        targets: `places` of the README.
        beside: the folder of that file, from the top of the checkout.

    Raises:
        ValueError: a link points at a file that no page shows.
    """
    up = "../" * page.count("/")

    def change(match: re.Match[str]) -> str:
        file, anchor = match.group(1), match.group(2) or ""
        if not file:
            place = targets.get(anchor[1:], page)
            return anchor if place == page else f"{up}{place}{anchor}"
        file = normpath(join(beside, file))
        if file.startswith("nbs/"):  # another notebook, or a picture of this one
            return f"{up}tutorials/{file.removeprefix('nbs/').replace('.ipynb', '.md')}{anchor}"
        if file.startswith("docs/images/"):
            return f"{up}{file.removeprefix('docs/')}"
        if file == "README.md":
            return f"{up}{targets.get(anchor[1:], 'index.md')}{anchor}"
        if file not in FILES:
            raise ValueError(
                f"a link to {file} on {page}: docs/sitegen/readme_pages.py knows no page for it."
            )
        return f"{up}{FILES[file]}{anchor}"

    parts = re.split(r"(?ms)(^(?:```|~~~).*?^(?:```|~~~)$)", text)
    return "".join(part if index % 2 else _LINK.sub(change, part) for index, part in enumerate(parts))


def guide_pages(readme: str) -> dict[str, str]:
    """The pages below `guide/`, by their file names."""
    targets = places(readme)
    pages: dict[str, str] = {}
    for section in sections(readme):
        text = linked(section.text, section.page, targets)
        if section.page in pages:
            pages[section.page] += f"\n\n## {section.title}\n\n{text}"
        else:
            pages[section.page] = f"# {section.title}\n\n{_raised(text)}"
    rows = [
        f"- [{section.title}]({section.page.partition('/')[2]}#{slug(section.title)})"
        for section in sections(readme)
    ]
    pages["guide/index.md"] = "# Guide\n\n" + "\n".join(rows)
    return pages


def _raised(text: str) -> str:
    """`text` with its headings one level higher, as its section has become a page."""
    known = set(_headings(text))
    return "\n".join(line[1:] if line in known else line for line in text.splitlines())
