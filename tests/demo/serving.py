"""A page that is served by another process, and a browser before it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright import sync_api as playwright

PATIENCE = 120_000
"""Milliseconds, on a busy machine."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def served(*command: object, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Runs `python …`, which serves a page and prints its address; ends it by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    said = ""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said += line
            if found := re.search(r"http://[\d.]+:\d+", said):
                yield found.group(), process
                break
        else:
            raise AssertionError(f"nothing is served: {said}")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


class Visitor:
    """Looks at a page, and remembers what went wrong and what was asked of other machines."""

    def __init__(self, browser: playwright.Browser, address: str, width: int = 1280) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.set_default_timeout(PATIENCE)
        self.wrong: list[str] = []
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda asked: self._asked(asked.url, address))
        self.page.goto(address)
        self.page.wait_for_selector("#images")

    def _asked(self, url: str, address: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            self.wrong.append(f"asked for {url}")

    def give(self, files: Sequence[Path], answers: int) -> None:
        """Picks files, and waits for so many answers."""
        self.page.set_input_files("#images input[type=file]", [str(file) for file in files])
        self.answered(answers)

    def click_example(self) -> None:
        self.page.locator("#examples button.thumbnail-item").first.click()
        self.answered(1)

    def answered(self, count: int) -> None:
        self.page.wait_for_function(f"document.querySelectorAll('.answer').length == {count}")

    @property
    def text(self) -> str:
        """Of the answers."""
        return "\n".join(self.page.locator(".answer").all_inner_texts())
