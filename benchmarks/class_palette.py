"""The colours of classes: finds them, and says how far apart they are for those who see all or fewer colours.

`python benchmarks/class_palette.py` prints what visionkit/reporting/palette.py holds, and the smallest
distance between any two of its first colours. The first seven are Okabe and Ito's, each further one that of
all colours whose nearest colour among those before it is the farthest, however it is looked at. Black belongs
to Void, and white stands in grids and legends: classes keep away from both.

Distances are Euclidean in OKLab (Björn Ottosson, 2020: bottosson.github.io/posts/oklab), between colours as
they are and as people without the cones for long or medium waves see them (Machado, Oliveira and Fernandes,
"A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, at full severity).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

COLORS = 48
BASE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""Okabe and Ito's colours (2008) without black."""
DARKEST, LIGHTEST = 0.4, 0.92
"""Lightness in OKLab, from 0 (black) to 1 (white), between which classes lie."""
MOST_CHROMA = 0.2
"""Stronger colours, such as pure blue, outshine all others."""
STEP = 8
"""Between the values of red, green and blue that are tried."""

VISIONS = {
    "normal": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
"""What each eye makes of linear red, green and blue."""
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def seen(colors: np.ndarray, vision: str) -> np.ndarray:
    """OKLab of sRGB colours of 0 to 1, shape (colours, 3), as an eye of `VISIONS` sees them."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    light = np.clip(linear @ VISIONS[vision].T, 0, 1)
    return np.cbrt(light @ _CONES.T) @ _LAB.T


def rgb(colors: Sequence[str]) -> np.ndarray:
    """`#RRGGBB` as numbers of 0 to 1, shape (colours, 3)."""
    return np.array([list(bytes.fromhex(color[1:])) for color in colors]) / 255


def smallest_distance(colors: np.ndarray, vision: str) -> float:
    """Between any two of the colours."""
    places = seen(colors, vision)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    return float(apart[np.triu_indices(len(colors), 1)].min())


def palette(count: int = COLORS) -> list[str]:
    """The colours as `#RRGGBB`."""
    values = np.minimum(np.arange(0, 257, STEP), 255)
    tried = np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness, *chroma = seen(tried / 255, "normal").T
    tried = tried[(lightness >= DARKEST) & (lightness <= LIGHTEST) & (np.hypot(*chroma) <= MOST_CHROMA)]
    places = {vision: seen(tried / 255, vision) for vision in VISIONS}
    chosen = list(BASE)
    nearest = np.full(len(tried), np.inf)

    def keep_away(color: str) -> None:
        for vision, each in places.items():
            apart = np.linalg.norm(each - seen(rgb([color]), vision), axis=1)
            np.minimum(nearest, apart, out=nearest)

    for color in ("#000000", "#FFFFFF", *BASE):
        keep_away(color)
    while len(chosen) < count:
        chosen.append("#{:02X}{:02X}{:02X}".format(*tried[nearest.argmax()]))
        keep_away(chosen[-1])
    return chosen[:count]


if __name__ == "__main__":
    found = palette()
    print("CLASS_COLORS = (")
    for start in range(0, len(found), 8):
        print("    " + " ".join(f'"{color}",' for color in found[start : start + 8]))
    print(")\n\nsmallest distance of any two among the first, and black\n" + " " * 8 + "  ".join(VISIONS))
    for count in (8, 12, 20, 32, len(found)):
        row = (smallest_distance(rgb([*found[:count], "#000000"]), vision) for vision in VISIONS)
        print(f"{count:4d}    " + "  ".join(f"{value:6.3f}" for value in row))
