"""Colours of classes, which people with any colour vision tell apart; the same class always has the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CLASS_COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#802018",
    "#A0D8B8", "#005068", "#5088FF", "#2830B0", "#A84020", "#287068", "#68D8FF", "#B8F8B0",
    "#80C080", "#80C0C0", "#98D870", "#4068E8", "#C8E8E8", "#5098D8", "#205898", "#3850C8",
    "#881050", "#E87838", "#F8B810", "#488058", "#587890", "#4880D0", "#A02040", "#30B068",
    "#981888", "#C05038", "#68A0FF", "#C0E880", "#40A0B8", "#50C8E8", "#B0A098", "#903000",
    "#C04080", "#A0D0D8", "#A8E8B0", "#78B0C8", "#3880B0", "#90C8A8", "#A8B858", "#700088",
)  # fmt: skip
"""Okabe and Ito's first, then each as far from all before it as can be, also for people without the cones for
long or medium waves; none is near black. benchmarks/class_palette.py finds them and prints their distances.
"""

VOID = "#000000"


def class_colors(names: Sequence[str]) -> np.ndarray:
    """A colour for every class, float RGB of 0 to 1, shape (classes, 3).

    Void is black. The others get theirs in alphabetical order, so that a class keeps its colour where the
    same classes stand in another order. From the 49th on, colours occur again.
    """
    others = sorted({name for name in names if not _is_void(name)})
    colors = {name: CLASS_COLORS[place % len(CLASS_COLORS)] for place, name in enumerate(others)}
    chosen = [colors.get(name, VOID) for name in names]
    return np.array([list(bytes.fromhex(color[1:])) for color in chosen]).reshape(-1, 3) / 255


def _is_void(name: str) -> bool:
    return name.lower() == "void"
