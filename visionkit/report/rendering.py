"""Pages from templates, with style and script inside: nothing is fetched, and nothing else can run."""

from __future__ import annotations

import base64
import hashlib
import shlex
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from visionkit import __version__
from visionkit.visible import visible


def rendered(template: str, **content: Any) -> str:
    """A page as text.

    Whatever `content` holds is text: what would be markup is escaped. Browsers run the page's own script
    only, which they know by its hash, and load nothing.

    Args:
        template: the name of a file in `templates`.
        content: what it shows.
    """
    script = _part("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            version=__version__,
            style=Markup(_part("report.css")),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("visionkit.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(visible=visible, quoted=lambda path: shlex.quote(visible(path)))
    return environment


def _part(name: str) -> str:
    """A file that becomes part of pages."""
    return files("visionkit.report").joinpath("templates", name).read_text(encoding="utf-8")
