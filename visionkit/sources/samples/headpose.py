"""A drawn stand-in for BIWI's head poses: a folder a person, with frames, poses and the camera."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from visionkit.sources.samples.painting import (
    Outline,
    Placement,
    blob,
    coverage,
    ellipse,
    lay_over,
    polygon,
)
from visionkit.sources.samples.textures import (
    Pixels,
    fractal_noise,
    grain,
    random_colour,
    smooth_noise,
    stream,
    to_image,
)

PERSONS = 16
FRAMES = 30  # of each person
WIDTH, HEIGHT = 160, 120
FOCAL = 517.679 / 4  # the camera of the real frames, which are four times as large
CENTRE = (80.0, 60.125)
HEAD = 125.0  # millimetres from the centre of a head to its top
NEAR, FAR = 500.0, 850.0  # millimetres to the camera


@dataclass(frozen=True)
class Person:
    """What the frames of a person share: looks, clothes and the room."""

    skin: Pixels
    hair: Pixels
    shirt: Pixels
    room: Pixels
    fringe: float  # where the hair ends, from the top (-1) to the chin (1) of the head
    slim: float  # half width of the face by its half height
    iris: float


def draw(folder: Path, seed: int) -> None:
    """Writes `01` to `16`, each with `frame_00003_rgb.jpg`, `frame_00003_pose.txt` and so on, and `rgb.cal`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    for number in range(1, PERSONS + 1):
        place = folder / f"{number:02d}"
        place.mkdir()
        (place / "rgb.cal").write_text(_calibration(), encoding="utf-8")
        person = _person(stream(seed, number))
        for frame in range(FRAMES):
            rng = stream(seed, number, frame + 1)
            turn = rng.uniform((-0.7, -0.5, -0.4), (0.7, 0.5, 0.4))  # yaw, pitch and roll in radians
            away = rng.uniform(NEAR, FAR)
            x, y = rng.uniform(0.16, 0.84) * WIDTH, rng.uniform(0.25, 0.72) * HEIGHT
            stem = f"frame_{3 + frame:05d}"
            picture = _frame(rng, person, Placement(x, y, FOCAL * HEAD / away, turn[2], False), turn)
            to_image(picture).save(place / f"{stem}_rgb.jpg", quality=90)
            centre = ((x - CENTRE[0]) * away / FOCAL, (y - CENTRE[1]) * away / FOCAL, away)
            (place / f"{stem}_pose.txt").write_text(_pose(turn, centre), encoding="utf-8")


def _person(rng: np.random.Generator) -> Person:
    tone = rng.uniform(0.45, 1.0)
    return Person(
        skin=np.array([228, 178, 148], dtype=np.float32) * np.float32(tone) + random_colour(rng, 0, 8, 8),
        hair=random_colour(rng, 25, 150, 15) + rng.uniform(0, 1) * np.array([40, 10, -20], dtype=np.float32),
        shirt=random_colour(rng, 40, 200, 60),
        room=random_colour(rng, 90, 200, 35),
        fringe=rng.uniform(-0.7, -0.3),
        slim=rng.uniform(0.68, 0.84),
        iris=rng.uniform(20, 90),
    )


def _frame(
    rng: np.random.Generator, person: Person, head: Placement, turn: npt.NDArray[np.float64]
) -> Pixels:
    pixels = _room(rng, person)
    _decoys(rng, person, pixels)
    _body(rng, person, head, pixels)
    _head(person, head, turn, pixels)
    columns = np.linspace(-0.5, 0.5, WIDTH, dtype=np.float32)
    pixels *= rng.uniform(0.75, 1.2) * (1 + rng.uniform(-0.4, 0.4) * columns)[None, :, None]
    pixels += grain(rng, HEIGHT, WIDTH, rng.uniform(1, 4))
    return pixels


def _room(rng: np.random.Generator, person: Person) -> Pixels:
    wall = fractal_noise(rng, HEIGHT, WIDTH, rng.uniform(15, 60), octaves=2)
    pixels: Pixels = person.room + rng.uniform(4, 14) * wall[..., None]
    for _ in range(rng.integers(1, 5)):  # shelves, doors and pictures
        left, top = rng.uniform(-20, WIDTH), rng.uniform(-20, HEIGHT)
        right, bottom = left + rng.uniform(8, 60), top + rng.uniform(8, 60)
        box = polygon((left, top), (right, top), (right, bottom), (left, bottom))
        lay_over(pixels, 0.8 * coverage([box], HEIGHT, WIDTH), random_colour(rng, 40, 220, 40))
    return pixels


def _decoys(rng: np.random.Generator, person: Person, pixels: Pixels) -> None:
    """Round things without a face, some in the colours of skin and hair: neither shape nor colour will do."""
    for number in rng.permutation(3)[: rng.integers(1, 4)]:
        x, y, size = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(7, 20)
        colour = (person.skin, person.hair, random_colour(rng, 40, 220, 50))[number]
        shape = (
            ellipse(x, y, size * rng.uniform(0.6, 1.1), size) if rng.random() < 0.6 else blob(rng, x, y, size)
        )
        shade = 1 + 0.15 * smooth_noise(rng, HEIGHT, WIDTH, 12)[..., None]
        lay_over(pixels, coverage([shape], HEIGHT, WIDTH), colour * shade)


def _body(rng: np.random.Generator, person: Person, head: Placement, pixels: Pixels) -> None:
    upright = Placement(head.x, head.y, head.scale, 0.3 * head.angle, False)
    lean = rng.uniform(-0.25, 0.25)
    shoulders = [
        ellipse(lean, 2.4, 1.75, 1.15),
        polygon((lean - 1.6, 2.3), (lean + 1.6, 2.3), (2, 9), (-2, 9)),
    ]
    folds = 1 + 0.2 * smooth_noise(rng, HEIGHT, WIDTH, 9)[..., None]
    neck = polygon((-0.36, 0.5), (0.36, 0.5), (lean + 0.42, 1.5), (lean - 0.42, 1.5))
    _paint(pixels, upright, [neck], 0.8 * person.skin)
    _paint(pixels, upright, shoulders, person.shirt * folds)


def _head(person: Person, head: Placement, turn: npt.NDArray[np.float64], pixels: Pixels) -> None:
    """Hair, face and features; those lie on the front of a ball that is turned by yaw and pitch."""
    yaw, pitch = float(turn[0]), float(turn[1])
    aside, under = person.slim * math.sin(yaw), math.sin(pitch)
    _paint(pixels, head, [ellipse(0, 0, person.slim * 1.12, 1.0)], person.hair)
    face = ellipse(0.25 * aside, 0.1 + 0.12 * under, person.slim * 0.92, 0.86)
    across, down = face[:, 0], np.maximum(face[:, 1], person.fringe + 0.3 * under)
    _paint(pixels, head, [np.stack([across, down], axis=1)], person.skin)
    wide = math.cos(yaw)
    for side in (-1, 1):
        x, y = 0.75 * aside + side * 0.34 * person.slim * wide, -0.08 + 0.5 * under
        _paint(pixels, head, [ellipse(x, y, 0.15 * wide, 0.09)], np.float32(235) * np.ones(3, np.float32))
        _paint(pixels, head, [ellipse(x, y, 0.075 * wide, 0.08)], np.full(3, person.iris, np.float32))
        _paint(pixels, head, [ellipse(x, y - 0.18, 0.18 * wide, 0.035)], person.hair)
    _paint(pixels, head, [ellipse(0.95 * aside, 0.2 + 0.55 * under, 0.1, 0.16)], 0.8 * person.skin)
    lips = person.skin * np.array([0.85, 0.5, 0.5], dtype=np.float32)
    _paint(pixels, head, [ellipse(0.75 * aside, 0.5 + 0.45 * under, 0.26 * wide, 0.07)], lips)


def _paint(pixels: Pixels, place: Placement, outlines: list[Outline], paint: Pixels) -> None:
    lay_over(pixels, coverage([place.place(outline) for outline in outlines], HEIGHT, WIDTH), paint)


def _calibration() -> str:
    """Intrinsic matrix, distortion, rotation and translation to the depth camera, and size of the image."""
    intrinsic = ((FOCAL, 0, CENTRE[0]), (0, FOCAL, CENTRE[1]), (0, 0, 1))
    rows = [
        *intrinsic,
        None,
        (0, 0, 0, 0),
        None,
        *np.eye(3, dtype=int),
        None,
        (0, 0, 0),
        None,
        (WIDTH, HEIGHT),
    ]
    return "".join(
        " ".join(f"{value:.10g}" for value in row) + " \n" if row is not None else "\n" for row in rows
    )


def _pose(turn: npt.NDArray[np.float64], centre: tuple[float, float, float]) -> str:
    """The rotation matrix, a blank line, and the centre of the head in millimetres."""
    (sin_yaw, sin_pitch, sin_roll), (cos_yaw, cos_pitch, cos_roll) = np.sin(turn), np.cos(turn)
    about_y = np.array([[cos_yaw, 0, sin_yaw], [0, 1, 0], [-sin_yaw, 0, cos_yaw]])
    about_x = np.array([[1, 0, 0], [0, cos_pitch, -sin_pitch], [0, sin_pitch, cos_pitch]])
    about_z = np.array([[cos_roll, -sin_roll, 0], [sin_roll, cos_roll, 0], [0, 0, 1]])
    rows = [*(about_z @ about_x @ about_y), None, centre]
    return "".join(
        " ".join(f"{value:.6f}" for value in row) + " \n" if row is not None else "\n" for row in rows
    )
