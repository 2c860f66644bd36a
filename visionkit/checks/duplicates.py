"""Duplicates: files of the same bytes, and pictures that look alike by perceptual hashes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from visionkit.checks.facts import ImageFacts
from visionkit.data.problems import Problem, Severity
from visionkit.data.splits import relative_name
from visionkit.errors import listing

# Measured on 370 pets, 400 dogs and cats, 500 satellite chips and 200 street scenes: no two pictures are this
# near in both hashes, but for frames of one drive; and of copies that are saved at quality 50, 95 to
# 100 % are, of halved ones 98 to 100 %, of those 20 % brighter 97 to 100 %, and of those cut by 2 % at each
# side 75 to 97 %. Copies that are cut by 5 % or mirrored are mostly not found.
NEAR_PHASH = 6
NEAR_DHASH = 12
WINDOW = 128
"""How many neighbours a hash is compared with where very many are alike in two bytes."""
PAIRS_AT_ONCE = 2_000_000

_KEEP_ORDER = {"test": 0, "valid": 1, "train": 2}
_ONES = np.array([number.bit_count() for number in range(1 << 16)], dtype=np.uint8)


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that are the same, or look the same.

    Args:
        kind: "exact", the same bytes; or "near", each looks like another one of the group.
        files: the one that may stay first.
        parts: of each file, "train", "valid", "test", or "" where it belongs to none.
        labels: of each file, its class or tags; "" where there are none.
    """

    kind: Literal["exact", "near"]
    files: tuple[Path, ...]
    parts: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def crosses(self) -> bool:
        """Whether training and validation (or testing) share it: a leak."""
        return len(set(self.parts) - {""}) > 1

    @property
    def contradicts(self) -> bool:
        """Whether its labels differ."""
        return len(set(self.labels)) > 1


def find_duplicates(
    images: Iterable[ImageFacts], parts: Mapping[Path, str], labels: Mapping[Path, str]
) -> list[DuplicateGroup]:
    """Groups of identical images, and of images that look alike, the largest first.

    Of identical images only the one that may stay stands in groups of the other kind: the copy for testing or
    validation rather than the one for training.
    """

    def rank(facts: ImageFacts) -> tuple[int, Path]:
        return _KEEP_ORDER.get(parts.get(facts.path, ""), 3), facts.path

    def group(kind: Literal["exact", "near"], members: Sequence[ImageFacts]) -> DuplicateGroup:
        files = tuple(facts.path for facts in members)
        return DuplicateGroup(
            kind,
            files,
            tuple(parts.get(file, "") for file in files),
            tuple(labels.get(file, "") for file in files),
        )

    same: dict[str, list[ImageFacts]] = {}
    for facts in sorted((facts for facts in images if facts.fault is None), key=rank):
        same.setdefault(facts.digest, []).append(facts)
    exact = [group("exact", members) for members in same.values() if len(members) > 1]
    distinct = [members[0] for members in same.values() if members[0].phash is not None]
    near = [group("near", [distinct[place] for place in places]) for places in _alike(distinct)]
    return [
        *sorted(exact, key=lambda each: -len(each.files)),
        *sorted(near, key=lambda each: -len(each.files)),
    ]


def duplicate_problems(groups: Sequence[DuplicateGroup], root: Path) -> list[Problem]:
    """One problem for each kind of duplicates, with names from the folder `root`."""
    exact = [group for group in groups if group.kind == "exact"]
    near = [group for group in groups if group.kind == "near"]
    return [
        *_found(
            "leak",
            "warning",
            "identical images across training and validation (or testing); figures will be too good",
            [group for group in exact if group.crosses],
            root,
        ),
        *_found(
            "contradicting labels",
            "warning",
            "identical images with different labels; correct them",
            [group for group in exact if group.contradicts],
            root,
            labelled=True,
        ),
        *_found(
            "duplicates",
            "warning",
            "identical images; each counts several times",
            [group for group in exact if not group.crosses],
            root,
        ),
        *_found(
            "near leak",
            "warning",
            "images that look alike across training and validation (or testing); figures may be too good",
            [group for group in near if group.crosses],
            root,
        ),
        *_found(
            "near duplicates",
            "note",
            "images that look alike",
            [group for group in near if not group.crosses],
            root,
        ),
    ]


def _found(
    kind: str,
    severity: Severity,
    what: str,
    groups: Sequence[DuplicateGroup],
    root: Path,
    labelled: bool = False,
) -> Iterator[Problem]:
    if not groups:
        return
    files = tuple(file for group in groups for file in group.files)
    examples = []
    for group in groups[:3]:
        names = [relative_name(file, root) for file in group.files]
        if labelled:
            names = [f"{name} ({label or 'none'})" for name, label in zip(names, group.labels)]
        sign = " = " if group.kind == "exact" else " ≈ "
        examples.append(sign.join(names[:3] + ["…"] * (len(names) > 3)))
    count = "1 group" if len(groups) == 1 else f"{len(groups):,} groups"
    rest = [""] * (len(groups) - len(examples))
    yield Problem(kind, severity, f"{count} of {what}: {listing(examples + rest, 3)}.", files)


def _alike(images: Sequence[ImageFacts]) -> list[list[int]]:
    """The places of images that look alike, in groups of two or more."""
    if len(images) < 2:
        return []
    hashes = np.array([(facts.phash, facts.dhash) for facts in images], dtype=np.uint64)
    different, which = np.unique(hashes, axis=0, return_inverse=True)
    group_of = _near_groups(different[:, 0].copy(), different[:, 1].copy())[which.ravel()]
    order = np.argsort(group_of, kind="stable")
    starts = np.flatnonzero(np.diff(group_of[order])) + 1
    return [places.tolist() for places in np.split(order, starts) if len(places) > 1]


def _near_groups(phashes: np.ndarray, dhashes: np.ndarray) -> np.ndarray:
    """A group number for every pair of hashes; those that are near, by one or more steps, share it.

    Two hashes that differ in at most 6 of their 64 bits are alike in at least 2 of their 8 bytes: only those
    are compared, for all 28 choices of 2 bytes. Where very many share two bytes, each is compared with the
    next `WINDOW` in order only, so that time and memory stay within bounds; the other choices find the rest.

    Args:
        phashes: uint64, sorted.
        dhashes: uint64, of the same length.
    """
    groups = np.arange(len(phashes))
    parts = phashes.view(np.uint8).reshape(-1, 8).astype(np.uint16)
    for first, second in combinations(range(8), 2):
        key = parts[:, first] << 8 | parts[:, second]
        order = np.argsort(key, kind="stable")
        key = key[order]
        places = np.arange(len(key) - 1)
        pairs: list[np.ndarray] = []
        held = 0
        for step in range(1, WINDOW + 1):
            places = places[places + step < len(key)]
            places = places[key[places] == key[places + step]]
            if not len(places):
                break
            one, other = order[places], order[places + step]
            apart = groups[one] != groups[other]
            one, other = one[apart], other[apart]
            near = _distance(phashes, one, other) <= NEAR_PHASH
            one, other = one[near], other[near]
            near = _distance(dhashes, one, other) <= NEAR_DHASH
            pairs.append(np.stack([one[near], other[near]]))
            held += int(near.sum())
            if held >= PAIRS_AT_ONCE:
                groups, pairs, held = _joined(groups, pairs), [], 0
        if held:
            groups = _joined(groups, pairs)
    return groups


def _distance(hashes: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """In how many bits they differ."""
    differing = np.ascontiguousarray(hashes[one] ^ hashes[other])
    return _ONES[differing.view(np.uint16).reshape(-1, 4)].sum(axis=1, dtype=np.uint8)


def _joined(groups: np.ndarray, pairs: Sequence[np.ndarray]) -> np.ndarray:
    """`groups` with those of every pair made one."""
    one, other = groups[np.concatenate(pairs, axis=1)]
    count = int(groups.max()) + 1
    graph = coo_matrix((np.ones(len(one), dtype=bool), (one, other)), shape=(count, count))
    return connected_components(graph, directed=False)[1][groups]
