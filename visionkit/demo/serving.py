"""Serving the page on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import UsageError

if TYPE_CHECKING:
    import gradio as gr

FIRST_PORT = 7860
"""Gradio's; where it is taken, one of the next hundred."""
LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Serving:
    """Where a page is served, and what it takes.

    Args:
        host: the address that is listened at; other machines reach 0.0.0.0.
        port: None takes the first that is free from 7860 on.
        max_mb: megabytes that one image's file may have.
        open_browser: whether it is opened in the browser.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    max_mb: float = 20.0
    open_browser: bool = False

    def check(self) -> None:
        """Raise `UsageError` where the port is taken, or the host is no address of this machine."""
        try:
            with socket.create_server((self.host, self.port or 0)):
                pass
        except (OSError, OverflowError, UnicodeError) as error:
            option = f"--port {self.port}" if self.port else f"--host {self.host}"
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{option}: cannot be listened at ({reason}). Give another one.") from None


def look() -> Any:
    """Gradio's plain theme with the system's fonts: none is fetched."""
    import gradio as gr

    return gr.themes.Default(
        font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def serve(
    page: gr.Blocks, serving: Serving, shown: Sequence[Path] = (), told: Callable[[str], None] = print
) -> None:
    """Serve `page` until Ctrl-C.

    Args:
        page: as `demo_page` makes it.
        serving: where, and what it takes.
        shown: files that the page shows, which browsers may ask for.
        told: hears the page's address.

    Raises:
        UsageError: the port is taken, or the host is no address of this machine.
    """
    serving.check()
    _, address, _ = page.launch(
        server_name=serving.host,
        server_port=serving.port,
        inbrowser=serving.open_browser,
        max_file_size=round(serving.max_mb * 1e6),
        allowed_paths=[str(path) for path in shown],
        theme=look(),
        share=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        footer_links=[],
        quiet=True,
        prevent_thread_lock=True,
    )
    try:
        with suppress(KeyboardInterrupt):  # the usual way to end it
            told(address)
            page.block_thread()
    finally:
        page.close()
