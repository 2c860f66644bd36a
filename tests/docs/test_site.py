"""The site builds without a network, loads nothing from elsewhere, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from filelock import FileLock
from sitegen.program import command_summaries
from sitegen.steps import NO_OUTPUT

from visionkit.registry import recipe_names
from visionkit.settings import TrainSettings

CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT = 3000
LOADS = {"src", "srcset", "poster", "data", "xlink:href"}
"""Attributes by which a page loads something; and `href` of a link to a style, script or icon."""


class Page(HTMLParser):
    """What a page loads, links to, and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.loaded += [value for name, value in given.items() if name in LOADS]
        if tag == "link" and "canonical" not in given.get("rel", ""):
            self.loaded.append(given.get("href", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        self.anchors |= {given[name] for name in ("id", "name") if name in given}


pytestmark = pytest.mark.slow


def _built(folder: Path, how: str = "") -> Path:
    """The site, written to `folder`; what was recorded before for the same code is taken again."""
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    alone = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if shutil.which("unshare") and not subprocess.run([*alone, "true"], capture_output=True).returncode:
        words = [*alone, *words]  # no network but this machine's own, which notebooks and the demo need
    blocked = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, "VISIONKIT_DOCS": how}
    store = CHECKOUT / "build"
    store.mkdir(exist_ok=True)
    with FileLock(store / ".docs.lock"):  # one writes the generated pages at a time
        built = subprocess.run(
            words, cwd=CHECKOUT, env=environment | blocked, capture_output=True, text=True, timeout=LIMIT
        )
    assert built.returncode == 0, built.stdout[-4000:] + built.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, for which every command and notebook is run."""
    return _built(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}


def test_there_is_a_page_for_each_command_and_recipe(site: Path) -> None:
    for name in command_summaries():
        text = (site / "commands" / f"{name}.html").read_text(encoding="utf-8")
        assert f"visionkit {name}" in text
        assert "Usage: visionkit" in text
        assert name in NO_OUTPUT or text.count('class="language-console highlight"') >= 2, name
        assert "left out of this build" not in text
    for name in recipe_names():
        text = (site / "recipes" / f"{name}.html").read_text(encoding="utf-8")
        assert "SYNTHETIC" in text, "a training on the sample, or what it would do"


def test_there_is_a_place_for_each_setting(site: Path, pages: dict[Path, Page]) -> None:
    assert set(TrainSettings.model_fields) <= pages[site / "settings.html"].anchors


def test_tutorials_have_outputs(site: Path) -> None:
    for notebook in (CHECKOUT / "nbs").glob("*.ipynb"):
        text = (site / "tutorials" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert "output of the cell above" in text, notebook.name


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    for file, page in pages.items():
        elsewhere = [
            place for place in page.loaded if urlsplit(place).scheme in ("http", "https") or place[:2] == "//"
        ]
        assert not elsewhere, f"{file.relative_to(site)}: {elsewhere}"
    for style in site.rglob("*.css"):
        places = re.findall(
            r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")]+)", style.read_text(encoding="utf-8")
        )
        assert not places, f"{style.relative_to(site)}: {places}"


def test_links_within_the_site_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for file, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or file.name == "404.html":
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and anchor not in {*pages[target].anchors, "__tabbed"}):
                broken.append(f"{file.relative_to(site)}: {link}")
    assert not broken


def test_no_path_of_this_machine_is_shown(site: Path) -> None:
    for file in site.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        environment = [sys.prefix] if sys.prefix != sys.base_prefix else []
        for place in (str(CHECKOUT), os.environ["HOME"], *environment):
            assert place not in text, f"{file.relative_to(site)}: {place}"


def test_text_alone_is_made_of_earlier_outputs(site: Path, tmp_path: Path) -> None:
    pages = _built(tmp_path, "text")
    assert "output of the cell above" in (pages / "tutorials" / "01_pets.html").read_text(encoding="utf-8")
    assert "left out of this build" not in (pages / "commands" / "predict.html").read_text(encoding="utf-8")
