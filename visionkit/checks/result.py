"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.data.problems import Problem, Severity
from visionkit.data.splits import relative_name

if TYPE_CHECKING:
    from visionkit.checks.duplicates import DuplicateGroup
    from visionkit.checks.labels import Balance
    from visionkit.checks.masks import PixelShare

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Args:
        path: the folder that was checked.
        recipe: the recipe's name; None for a folder without one.
        counts: "images", "train", "valid", "classes", "bytes" (of all images) and "seconds".
        problems: the gravest first, those of a kind together.
        balance: the images of each class or tag.
        pixel_share: how much of the masks each code covers.
        duplicates: groups of identical images and of images that look alike.
        remark: what a training says of the data before it starts, such as what was found in it.
    """

    path: Path
    recipe: str | None
    counts: dict[str, int | float]
    problems: list[Problem]
    balance: list[Balance] = field(default_factory=list)
    pixel_share: list[PixelShare] = field(default_factory=list)
    duplicates: list[DuplicateGroup] = field(default_factory=list)
    remark: str = ""

    def excluded(self) -> list[Path]:
        """The files that a training had better leave out, sorted.

        Those with errors; of identical images all but one, and that one is for testing or validation rather
        than for training; and all of identical images with different labels, for nobody knows which is right.
        Not: images that only look alike, nor whatever else has a warning.
        """
        out = {file for problem in self.problems if problem.severity == "error" for file in problem.files}
        for group in self.duplicates:
            if group.kind == "exact":
                whole = [file for file in group.files if file not in out]
                out.update(whole if group.contradicts else whole[1:])
        return sorted(out)

    def as_json(self) -> dict[str, Any]:
        """Everything, for `json.dumps`; files by their paths from `path`, with forward slashes.

        The keys: `format` (1), `path`, `recipe`, `remark`, `counts`; `problems` with `kind`, `severity`,
        `message` and `files`; `balance` with `name`, `train`, `valid` and `other`; `pixel_share` with `code`,
        `name`, `pixels`, `share`, and the number of masks for `train` and `valid` that have it; `duplicates`
        with `kind` (exact or near), `crosses`, `contradicts` and `files`, each with `file`, `part` and
        `label`; and `excluded`, what `--exclude` lists.
        """
        return {
            "format": 1,
            "path": str(self.path),
            "recipe": self.recipe,
            "remark": self.remark,
            "counts": self.counts,
            "problems": [
                {
                    "kind": problem.kind,
                    "severity": problem.severity,
                    "message": problem.message,
                    "files": [self.name(file) for file in problem.files],
                }
                for problem in self.problems
            ],
            "balance": [asdict(each) for each in self.balance],
            "pixel_share": [asdict(each) for each in self.pixel_share],
            "duplicates": [
                {
                    "kind": group.kind,
                    "crosses": group.crosses,
                    "contradicts": group.contradicts,
                    "files": [
                        {"file": self.name(file), "part": part, "label": label}
                        for file, part, label in zip(group.files, group.parts, group.labels)
                    ],
                }
                for group in self.duplicates
            ],
            "excluded": [self.name(file) for file in self.excluded()],
        }

    def name(self, file: Path) -> str:
        """The path of `file` from the folder that was checked, with forward slashes."""
        return relative_name(file, self.path)


def grouped(problems: list[Problem]) -> dict[tuple[Severity, str], list[Problem]]:
    """The problems of each severity and kind, the gravest first."""
    groups: dict[tuple[Severity, str], list[Problem]] = {}
    for problem in sorted(problems, key=lambda each: SEVERITIES.index(each.severity)):
        groups.setdefault((problem.severity, problem.kind), []).append(problem)
    return groups


def concerned(problems: list[Problem]) -> int:
    """How many files these problems are about; a problem without files counts as one."""
    return len({file for problem in problems for file in problem.files}) + sum(
        not problem.files for problem in problems
    )


def summary_rows(report: CheckReport) -> list[tuple[Severity, str, int, str]]:
    """Severity, kind, number of files, and the message of the first; one row a kind, the gravest first."""
    rows = []
    for (severity, kind), problems in grouped(report.problems).items():
        more = f" (And {len(problems) - 1:,} more.)" if len(problems) > 1 else ""
        rows.append((severity, kind, concerned(problems), problems[0].message + more))
    return rows
