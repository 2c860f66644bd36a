"""Findings about classes and tags: their balance, rare ones, and names that mean the same."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from visionkit.data.problems import Problem
from visionkit.errors import listing

UNBALANCED = 10.0
FEW = 10
LONG_ENOUGH = 6
LONG_ENOUGH_TO_REPLACE = 9
LONGEST = 300
"""Names that are longer are not compared: putting accents in order takes the square of the length."""
MOST_NAMES = 5_000
"""Above so many names, slips are no longer looked for: every name would be compared with every other."""


@dataclass(frozen=True)
class Balance:
    """How many images a class or tag has."""

    name: str
    train: int
    valid: int
    other: int = 0

    @property
    def total(self) -> int:
        """In all parts together."""
        return self.train + self.valid + self.other


def label_balance(labels: Mapping[Path, Sequence[str]], parts: Mapping[Path, str]) -> list[Balance]:
    """The images of each class or tag, by name.

    Args:
        labels: for each image its tags, or its class as the only one.
        parts: "train" or "valid" for the images of either.
    """
    counts = {part: Counter[str]() for part in ("train", "valid", "")}
    for path, names in labels.items():
        part = parts.get(path, "")
        counts[part if part in counts else ""].update(set(names))
    names = sorted(set().union(*counts.values()))
    return [Balance(name, counts["train"][name], counts["valid"][name], counts[""][name]) for name in names]


def label_problems(
    labels: Mapping[Path, Sequence[str]], parts: Mapping[Path, str], multiple: bool
) -> list[Problem]:
    """What is odd about the classes, or about the tags where an image may have `multiple`."""
    balance = label_balance(labels, parts)
    what = "tag" if multiple else "class"
    return [
        *_without(labels),
        *_single(balance, what),
        *_unbalanced(balance, what, multiple),
        *_rare(balance, labels, what),
        *_missing_parts(balance, labels, parts, what),
        *_similar(balance, what),
    ]


def _without(labels: Mapping[Path, Sequence[str]]) -> Iterator[Problem]:
    bare = tuple(path for path, names in labels.items() if not names)
    if bare:
        names = listing([path.name for path in bare], 3)
        count = f"{len(bare):,} image{'' if len(bare) == 1 else 's'}"
        yield Problem("no tag", "warning", f"{count} without any tag: {names}. Complete them.", bare)


def _unbalanced(balance: Sequence[Balance], what: str, multiple: bool) -> Iterator[Problem]:
    if len(balance) < 2:
        return
    smallest = min(balance, key=lambda each: each.total)
    largest = max(balance, key=lambda each: each.total)
    if largest.total >= UNBALANCED * smallest.total:
        yield Problem(
            "imbalance",
            "note" if multiple else "warning",  # tags differ in how common they are by their nature
            f"the {what} {largest.name!r} has {_images(largest.total)} and {smallest.name!r} "
            f"{_images(smallest.total)}. Metrics over all images say little about the small ones: look at "
            f"those of each {what}, or add images.",
        )


def _rare(balance: Sequence[Balance], labels: Mapping[Path, Sequence[str]], what: str) -> Iterator[Problem]:
    once = {each.name for each in balance if each.total == 1}
    if once:
        files = tuple(path for path, names in labels.items() if once.intersection(names))
        names = listing([repr(name) for name in sorted(once)])
        yield Problem(
            f"{what} that occurs once",
            "warning",
            f"{_counted(len(once), what)} with a single image: {names}. A slip of the pen, or too few to "
            "learn from: correct or remove them.",
            files,
        )
    few = [each for each in balance if 1 < each.total < FEW]
    if few:
        names = listing([f"{each.name!r} ({each.total})" for each in few])
        yield Problem(
            "few images", "warning", f"{_counted(len(few), what)} with fewer than {FEW} images: {names}."
        )


def _single(balance: Sequence[Balance], what: str) -> Iterator[Problem]:
    if len(balance) == 1:
        yield Problem(
            f"only one {what}", "error", f"the only {what} is {balance[0].name!r}; a training needs two."
        )


def _missing_parts(
    balance: Sequence[Balance], labels: Mapping[Path, Sequence[str]], parts: Mapping[Path, str], what: str
) -> Iterator[Problem]:
    if not {"train", "valid"} <= set(parts.values()):
        return
    unlearned = {each.name for each in balance if not each.train and each.valid}
    if unlearned:
        files = tuple(
            path
            for path, names in labels.items()
            if parts.get(path) == "valid" and unlearned.intersection(names)
        )
        yield Problem(
            "not in training",
            "error" if what == "class" else "warning",  # a tag nobody has is just never predicted
            f"{_counted(len(unlearned), what)} only among the validation images: "
            f"{listing([repr(name) for name in sorted(unlearned)])}. Nothing can learn them: add images, or "
            "split otherwise.",
            files,
        )
    unmeasured = [each.name for each in balance if each.train and not each.valid]
    if unmeasured:
        yield Problem(
            "not in validation",
            "warning",
            f"{_counted(len(unmeasured), what)} without a validation image: "
            f"{listing([repr(name) for name in unmeasured])}. No metric sees them: a stratified split helps.",
        )


def _similar(balance: Sequence[Balance], what: str) -> Iterator[Problem]:
    totals = {each.name: each.total for each in balance}
    pairs = [
        " and ".join(f"{name!r} ({totals[name]})" for name in pair) for pair in similar_names(list(totals))
    ]
    if pairs:
        yield Problem(
            "similar names",
            "warning",
            f"{len(pairs):,} pair{'' if len(pairs) == 1 else 's'} of {what} names that may mean the same: "
            f"{listing(pairs)}. Give them one name if so.",
        )


def similar_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ by case, spaces, punctuation, a plural, or a slip of one letter.

    Names that differ in a number are different, and short ones need to be the same but for case and spaces:
    "car" is not "cat".
    """
    plain = {name: _plain(name) for name in names if len(name) <= LONGEST}
    groups: dict[str, list[str]] = {}
    for name in sorted(plain):
        groups.setdefault(_singular(plain[name]), []).append(name)
    pairs = {(group[0], other) for group in groups.values() for other in group[1:]}
    heads = sorted(
        group[0] for group in groups.values() if len(plain[group[0]].replace(" ", "")) >= LONG_ENOUGH
    )
    if 1 < len(heads) <= MOST_NAMES:
        squeezed = [plain[name].replace(" ", "") for name in heads]
        distances = cdist(squeezed, squeezed, scorer=OSA.distance, score_cutoff=1, dtype=np.uint8)
        for first, second in zip(*np.nonzero(np.triu(distances <= 1, 1))):
            if _is_slip(squeezed[first], squeezed[second]):
                pairs.add((heads[first], heads[second]))
    return sorted(pairs)


def _plain(name: str) -> str:
    """In small letters, with single spaces for all that separates words."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(re.sub(r"[\s_.,/-]+", " ", text).split()) or name


def _singular(plain: str) -> str:
    return "".join(_without_s(word) for word in plain.split()) or plain


def _without_s(word: str) -> str:
    if len(word) <= 3 or word.endswith(("ss", "us", "is")):
        return word
    for ending, instead in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("sses", "ss")):
        if word.endswith(ending):
            return word.removesuffix(ending) + instead
    return word.removesuffix("s")


def _is_slip(first: str, second: str) -> bool:
    """Whether two plain names one edit apart are likely the same word."""
    if re.findall(r"\d+", first) != re.findall(r"\d+", second):
        return False
    replaced = len(first) == len(second) and sorted(first) != sorted(second)
    return min(len(first), len(second)) >= (LONG_ENOUGH_TO_REPLACE if replaced else LONG_ENOUGH)


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _counted(count: int, what: str) -> str:
    plural = {"class": "classes", "tag": "tags"}
    return f"{count:,} {what if count == 1 else plural[what]}"
