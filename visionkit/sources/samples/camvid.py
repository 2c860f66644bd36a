"""A drawn stand-in for CamVid: street scenes as `images/NAME.png` and index masks as `labels/NAME_P.png`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from visionkit.sources.samples import street, traffic
from visionkit.sources.samples.street import HEIGHT, NEAREST, WIDTH, Camera, Code, Easel
from visionkit.sources.samples.textures import (
    Pixels,
    fractal_noise,
    grain,
    random_colour,
    smooth_noise,
    stream,
    to_image,
)

SEQUENCES = 9
FRAMES = 16  # of each sequence
VALIDATION = (3, 7)  # whole sequences, as neighbouring frames look alike
STEP = 30  # real labels are that many frames of video apart

Mask = npt.NDArray[np.uint8]
Item = tuple[float, Callable[[], None]]


@dataclass(frozen=True)
class Mood:
    """What the frames of a sequence share: weather, light and the town's materials."""

    sky: Pixels
    cloudiness: float
    light: Pixels
    asphalt: float
    slabs: float  # how much lighter than the road the pavement is
    bonnet: int  # rows of the own car's bonnet at the bottom of the picture


@dataclass(frozen=True)
class Layout:
    """The ground plan of one frame, in metres from the camera."""

    left: float  # edges of the road
    right: float
    pavements: tuple[float, float]  # widths, left and right
    crossing: tuple[float, float]  # a side road begins and ends


def draw(folder: Path, seed: int) -> None:
    """Writes `images`, `labels`, `codes.txt` and `valid.txt`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    images, labels = folder / "images", folder / "labels"
    images.mkdir()
    labels.mkdir()
    validation: list[str] = []
    for sequence in range(SEQUENCES):
        mood = _mood(stream(seed, sequence))
        for frame in range(FRAMES):
            picture, mask = _frame(stream(seed, sequence, frame + 1), mood)
            name = f"seq{sequence}_{frame * STEP:05d}"
            to_image(picture).save(images / f"{name}.png", compress_level=1)
            Image.fromarray(mask).save(labels / f"{name}_P.png")
            if sequence in VALIDATION:
                validation.append(f"{name}.png")
    (folder / "codes.txt").write_text("".join(f"{code.name}\n" for code in Code), encoding="utf-8")
    (folder / "valid.txt").write_text("".join(f"{name}\n" for name in validation), encoding="utf-8")


def _mood(rng: np.random.Generator) -> Mood:
    return Mood(
        sky=random_colour(rng, 190, 230, 5) + rng.uniform(-0.1, 1) * np.array([-35, 0, 25], dtype=np.float32),
        cloudiness=rng.uniform(0, 20),
        light=rng.uniform(0.8, 1.1) * random_colour(rng, 1, 1, 0.06),
        asphalt=rng.uniform(65, 105),
        slabs=rng.uniform(50, 75),
        bonnet=int(rng.choice([0, 0, 7])),
    )


def _frame(rng: np.random.Generator, mood: Mood) -> tuple[Pixels, Mask]:
    camera = Camera(rng.uniform(50, 112), rng.uniform(50, 190), rng.normal(0, 0.0025))
    middle, half = rng.uniform(-3, 3), rng.uniform(2.8, 5.5)
    start = rng.uniform(8, 40) if rng.random() < 0.4 else 999.0
    pavements = rng.uniform(1.5, 5.0), rng.uniform(1.5, 5.0)
    layout = Layout(middle - half, middle + half, pavements, (start, start + rng.uniform(5, 9)))
    picture, mask = _background(rng, mood, camera, layout)
    easel = Easel(picture, mask)
    items = _roadsides(easel, camera, rng, layout) + _traffic(easel, camera, rng, layout)
    for _, paint in sorted(items, key=lambda item: -item[0]):  # what is nearer hides what is farther
        paint()
    picture, mask = easel.finish()
    picture = _texture(rng, picture, mask) * mood.light
    if mood.bonnet:
        row = HEIGHT - mood.bonnet - round(rng.uniform(0, 4))
        picture[row:], mask[row:] = 35 + 0.15 * picture[row:], Code.Void
    return picture + grain(rng, HEIGHT, WIDTH, 2.5), _annotate(mask)


def _background(rng: np.random.Generator, mood: Mood, camera: Camera, layout: Layout) -> tuple[Pixels, Mask]:
    across, ahead = camera.ground()
    mask = np.full((HEIGHT, WIDTH), Code.Pavement, dtype=np.uint8)
    side_road = (ahead > layout.crossing[0]) & (ahead < layout.crossing[1])
    mask[(across > layout.left) & (across < layout.right) | side_road] = Code.Road
    lawn = (across < layout.left - layout.pavements[0]) | (across > layout.right + layout.pavements[1])
    mask[lawn & ~side_road & (rng.random() < 0.6)] = Code.Tree  # greenery counts as Tree
    sky = np.arange(HEIGHT)[:, None] <= camera.horizon + np.zeros((1, WIDTH))
    mask[sky] = Code.Sky
    picture = np.zeros((HEIGHT, WIDTH, 3), dtype=np.float32)
    clouds = mood.cloudiness * fractal_noise(rng, HEIGHT, WIDTH, 60)[..., None]
    fade = np.linspace(0, 25, HEIGHT, dtype=np.float32)[:, None, None]
    picture[sky] = (mood.sky + clouds + fade)[sky]
    picture[mask == Code.Tree] = random_colour(rng, 75, 100, 6) + np.array([-5, 22, -28], dtype=np.float32)
    road, slabs = mask == Code.Road, mask == Code.Pavement
    asphalt = mood.asphalt + rng.uniform(-15, 15)
    picture[road] = asphalt + rng.uniform(-5, 5, 3)
    # Pavement may be as dark as another street's road, but it is lighter than the road beside it.
    kerb = asphalt + mood.slabs + rng.uniform(-10, 10)
    picture[slabs] = kerb + rng.uniform(8, 22) * np.array([1, 0.2, -0.9])
    joints = (np.minimum(across % 1.0, ahead % 1.0) < 0.02 + 0.003 * ahead) & (ahead < 25)
    picture[slabs & joints] *= 0.78
    centre = np.abs(across - (layout.left + layout.right) / 2) < 0.1
    edge = np.minimum(np.abs(across - layout.left), np.abs(across - layout.right)) < 0.1
    picture[road & (centre & (ahead % 6 < 3) | edge) & ~side_road] += 70
    return picture, mask


def _roadsides(easel: Easel, camera: Camera, rng: np.random.Generator, layout: Layout) -> list[Item]:
    items: list[Item] = []
    edges = layout.left - layout.pavements[0], layout.right + layout.pavements[1]
    for across in edges:
        style = rng.dirichlet([0.9, 0.4, 0.7, 0.4])  # one side may be all houses, the other a park
        near = rng.uniform(1.5, NEAREST + 2)
        while near < 75:
            far = near + rng.uniform(6, 20)
            choice = rng.choice(4, p=style)
            if near < layout.crossing[1] and far > layout.crossing[0]:
                choice = 3  # nothing stands in the side road
            items += _stretch(easel, camera, rng, int(choice), across, max(near, NEAREST), far)
            near = far
    return items


def _stretch(
    easel: Easel,
    camera: Camera,
    rng: np.random.Generator,
    choice: int,
    across: float,
    near: float,
    far: float,
) -> list[Item]:
    outward = 1 if across > 0 else -1

    def later(paint: Callable[..., None], *where: float) -> Callable[[], None]:
        # The order of painting is settled afterwards, so each thing gets random numbers of its own now.
        own = np.random.default_rng(rng.integers(2**32))
        return lambda: paint(easel, camera, own, *where)

    if choice == 0:
        return [(far, later(street.building, across, near, far))]
    if choice == 3:
        return []
    wall = street.fence if choice == 1 else street.bush
    items: list[Item] = [(far, later(wall, across, near, far))]
    items.extend(
        (far + 0.1, later(street.tree, across + outward * rng.uniform(0.5, 3), float(ahead)))
        for ahead in np.arange(near + 2, far, rng.uniform(4, 7))
    )
    return items


def _traffic(easel: Easel, camera: Camera, rng: np.random.Generator, layout: Layout) -> list[Item]:
    items: list[Item] = []

    def put(paint: Callable[..., None], across: float, ahead: float) -> None:
        own = np.random.default_rng(rng.integers(2**32))
        items.append((ahead, lambda: paint(easel, camera, own, across, ahead)))

    for edge, inward, pavement in (
        (layout.left, 1, layout.pavements[0]),
        (layout.right, -1, layout.pavements[1]),
    ):
        if rng.random() < 0.4:  # a row of parked cars
            for ahead in np.arange(rng.uniform(5, 12), rng.uniform(15, 40), rng.uniform(6, 9)):
                put(traffic.car, edge + inward * 1.1, float(ahead))
        for _ in range(rng.poisson(1.1)):
            put(traffic.pedestrian, edge - inward * rng.uniform(0.2, 0.9) * pavement, rng.uniform(4, 13))
        for ahead in np.arange(rng.uniform(6, 24), 45, rng.uniform(22, 40)):
            put(traffic.pole, edge - inward * 0.3, float(ahead))
        for _ in range(rng.poisson(0.4)):
            put(traffic.sign, edge - inward * 0.5, rng.uniform(5, 14))
    for _ in range(rng.poisson(0.7)):
        put(traffic.bicyclist, rng.uniform(layout.left + 0.5, layout.right - 0.5), rng.uniform(5, 14))
    for _ in range(rng.poisson(1.0)):
        put(traffic.car, rng.uniform(layout.left + 1, layout.right - 1), rng.uniform(5, 30))
    return items


def _texture(rng: np.random.Generator, picture: Pixels, mask: Mask) -> Pixels:
    leaves = smooth_noise(rng, HEIGHT, WIDTH, 2.5) + 0.5 * smooth_noise(rng, HEIGHT, WIDTH, 6)
    stains = fractal_noise(rng, HEIGHT, WIDTH, 24)
    strength = np.full(len(Code), 0.02, dtype=np.float32)
    strength[Code.Tree] = 0.3
    dirt = np.full(len(Code), 0.02, dtype=np.float32)
    dirt[[Code.Building, Code.Road, Code.Pavement]] = 0.06
    factor = 1 + strength[mask] * leaves + dirt[mask] * stains
    return np.asarray(picture * factor[..., None], dtype=np.float32)


def _annotate(mask: Mask) -> Mask:
    # Annotators leave a thin band between regions unlabelled. It comes off what lies behind: poles survive.
    rank = np.array([0, 3, 6, 1, 1, 4, 6, 5, 7, 7, 7, 8], dtype=np.uint8)[mask]
    padded = np.pad(rank, 1, mode="edge")
    around = np.max([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]], axis=0)
    annotated = mask.copy()
    annotated[(around > rank) & (around < 8)] = Code.Void
    return annotated
