"""MkDocs calls this before it builds the site: it writes the generated pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def on_pre_build(config: Any) -> None:
    """Write the generated pages into the folder that is read next."""
    from mkdocs.exceptions import PluginError

    beside = str(Path(__file__).resolve().parent)
    if beside not in sys.path:
        sys.path.insert(0, beside)
    from sitegen.pages import write_pages

    try:
        write_pages()
    except (RuntimeError, ValueError) as error:
        raise PluginError(str(error)) from error
