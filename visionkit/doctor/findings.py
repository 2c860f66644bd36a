"""What an examination gives: facts by topic, and problems with what to do about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Args:
        what: is wrong, in a sentence without its full stop.
        remedy: what to do, likewise.
        stops: whether no training works because of it.
    """

    what: str
    remedy: str
    stops: bool = False


@dataclass
class Topic:
    """Facts that belong together.

    Args:
        title: one word, or two.
        facts: by name; for people, and for programs.
        problems: that were met on the way.
    """

    title: str
    facts: dict[str, str] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, name: str, text: str, value: Value = None) -> None:
        """Add a fact: `text` for people, `value` for programs, the text where there is none."""
        self.facts[name] = text
        self.values[name] = text if value is None else value

    def wrong(self, what: str, remedy: str, stops: bool = False) -> None:
        """Add a problem."""
        self.problems.append(Problem(what, remedy, stops))


@dataclass(frozen=True)
class Findings:
    """All topics of an examination."""

    topics: tuple[Topic, ...]

    @property
    def problems(self) -> list[Problem]:
        """Of all topics, those first that keep a training from working."""
        found = [problem for topic in self.topics for problem in topic.problems]
        return sorted(found, key=lambda problem: not problem.stops)

    @property
    def works(self) -> bool:
        """Whether nothing was found that keeps a training from working."""
        return not any(problem.stops for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "works": self.works,
            "topics": {topic.title: topic.values for topic in self.topics},
            "problems": [
                {"what": each.what, "remedy": each.remedy, "stops": each.stops} for each in self.problems
            ],
        }
