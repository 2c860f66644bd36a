"""A console that prints names and answers of others without obeying what is in them."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from visionkit.visible import visible_lines


class SafeConsole(Console):
    """rich's, but control characters in texts and cells are written out: a terminal would obey them."""

    @property
    def can_redraw(self) -> bool:
        """Whether bars can be drawn over each other; $FORCE_COLOR makes no terminal of a file or a pipe."""
        return self.is_terminal and self.file.isatty()

    def render_str(self, text: str, **options: Any) -> Text:
        """As rich does it, of what can be seen of `text`."""
        return super().render_str(visible_lines(text), **options)
