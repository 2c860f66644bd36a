"""Answers on standard output: lines for people, or JSON."""

from __future__ import annotations

import json
from typing import Any, Protocol, TextIO

from visionkit.inference.results import Prediction
from visionkit.inference.rows import Form, json_object
from visionkit.visible import visible


class Printer(Protocol):
    """Prints answers one by one."""

    def add(self, image: str, prediction: Prediction) -> None:
        """Print one answer."""

    def close(self) -> None:
        """Print what stands behind the last."""


class LinePrinter:
    """The image on a line of its own, under it what the model says."""

    def __init__(self, stream: TextIO, form: Form) -> None:
        self.stream, self.form, self.begun = stream, form, False

    def add(self, image: str, prediction: Any) -> None:
        lines = [visible(image), *self.form.lines(prediction)]
        if not self.begun:
            lines.insert(0, self.form.heading)
        self.begun = True
        encoding = self.stream.encoding or "utf-8"
        text = "".join(f"{line}\n" for line in lines)
        self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self.stream.flush()

    def close(self) -> None:
        """Nothing stands behind the last line."""


class JsonPrinter:
    """An array with one object a line, in plain ASCII."""

    def __init__(self, stream: TextIO, form: Form) -> None:
        self.stream, self.form, self.begun = stream, form, False

    def add(self, image: str, prediction: Any) -> None:
        said = json.dumps(json_object(self.form, image, prediction))
        self.stream.write((",\n" if self.begun else "[\n") + said)
        self.stream.flush()
        self.begun = True

    def close(self) -> None:
        self.stream.write("\n]\n" if self.begun else "[]\n")
