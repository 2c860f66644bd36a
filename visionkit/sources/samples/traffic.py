"""What moves or stands in the drawn street: cars, people, bicycles, poles and signs.

Every function takes the easel, the camera, a source of looks, and where the thing stands: metres across and
metres ahead.
"""

import math

import numpy as np

from visionkit.sources.samples.street import Camera, Code, Colour, Easel, Point, pick_colour, tone

RUBBER: Colour = (25, 25, 28)


def car(easel: Easel, camera: Camera, rng: np.random.Generator, across: float, ahead: float) -> None:
    """A car that is seen from behind or from the front, with the side that faces the camera."""
    paint = pick_colour(rng, 30, 210, cast=70)
    glass = tone((70, 80, 90), rng.uniform(0.5, 1.5))
    long, half, roof = rng.uniform(3.6, 4.6), 0.9, rng.uniform(1.4, 1.8)
    left, right, back = across - half, across + half, ahead + long
    # Only one flank can be seen, the one towards the camera's axis.
    flank = left if across > 0 else right
    dark, inset = tone(paint, 0.75), math.copysign(0.12, across)
    _quad(
        easel,
        camera,
        [(flank, 0.3, back), (flank, 0.95, back), (flank, 0.95, ahead), (flank, 0.3, ahead)],
        dark,
    )
    top = [(flank + inset, roof, back - 1.0), (flank + inset, roof, ahead + 0.7)]
    _quad(easel, camera, [(flank, 0.95, back - 0.3), *top, (flank, 0.95, ahead + 0.1)], tone(glass, 0.8))
    for axle in (ahead + 0.8, back - 0.8):
        x, y = camera.project(flank, 0.33, axle)
        radius = 0.33 * camera.focal / axle
        easel.ellipse(x, y, 0.7 * radius, radius, RUBBER, Code.Car)
    upper = [(left, 0.9, ahead), (left + 0.15, roof, ahead + 0.6), (right - 0.15, roof, ahead + 0.6)]
    _quad(easel, camera, [*upper, (right, 0.9, ahead)], tone(paint, 1.1))
    panes = [(left + 0.12, 0.98, ahead), (left + 0.25, roof - 0.1, ahead + 0.5)]
    panes += [(right - 0.25, roof - 0.1, ahead + 0.5), (right - 0.12, 0.98, ahead)]
    _quad(easel, camera, panes, glass)
    for x in (left + 0.1, right - 0.35):
        _face(easel, camera, x, 0.0, x + 0.25, 0.4, ahead, RUBBER)
    _face(easel, camera, left, 0.28, right, 0.97, ahead, paint)
    lamps: Colour = (210, 40, 35) if rng.random() < 0.6 else (240, 235, 210)
    for x in (left + 0.05, right - 0.35):
        _face(easel, camera, x, 0.65, x + 0.3, 0.85, ahead, lamps)
    _face(easel, camera, across - 0.25, 0.4, across + 0.25, 0.55, ahead, (220, 215, 180))


def pedestrian(easel: Easel, camera: Camera, rng: np.random.Generator, across: float, ahead: float) -> None:
    """Somebody who walks or stands."""
    x, foot = camera.project(across, 0, ahead)
    scale = camera.focal / ahead * rng.uniform(0.9, 1.08)
    stride = rng.uniform(0.03, 0.22)
    for side, shade in ((-1, 1.0), (1, 0.8)):
        end, hip = x + side * stride * scale, x + side * 0.07 * scale
        half = 0.085 * scale
        legs: list[Point] = [(hip - half, foot - 0.9 * scale), (hip + half, foot - 0.9 * scale)]
        legs += [(end + half, foot), (end - half, foot)]
        easel.polygon(legs, tone(pick_colour(rng, 25, 80), shade), Code.Pedestrian)
    _upper_body(easel, rng, x, foot - 1.15 * scale, scale, Code.Pedestrian)


def bicyclist(easel: Easel, camera: Camera, rng: np.random.Generator, across: float, ahead: float) -> None:
    """Somebody on a bicycle, from behind or from the side."""
    x, foot = camera.project(across, 0, ahead)
    scale = camera.focal / ahead
    sideways = rng.random() < 0.6
    reach = 0.52 if sideways else 0.0
    width = 0.34 if sideways else 0.07
    for side in (-1, 1) if sideways else (0,):
        easel.ellipse(
            x + side * reach * scale, foot - 0.34 * scale, width * scale, 0.34 * scale, RUBBER, Code.Bicyclist
        )
        if sideways:
            easel.ellipse(
                x + side * reach * scale, foot - 0.34 * scale, 0.2 * scale, 0.2 * scale, (125, 125, 125), None
            )
    frame: list[Point] = [(x - max(0.2, reach) * scale, foot - 0.45 * scale), (x, foot - 0.95 * scale)]
    frame += [(x + max(0.2, reach) * scale, foot - 0.45 * scale), (x, foot - 0.3 * scale)]
    easel.polygon(frame, pick_colour(rng, 30, 90, cast=25), Code.Bicyclist)
    _upper_body(easel, rng, x + 0.1 * reach * scale, foot - 1.25 * scale, 0.95 * scale, Code.Bicyclist)


def pole(easel: Easel, camera: Camera, rng: np.random.Generator, across: float, ahead: float) -> None:
    """A lamp post, some with an arm over the road."""
    x, foot = camera.project(across, 0, ahead)
    scale = camera.focal / ahead
    height, half = rng.uniform(4.5, 7.5), max(0.9, 0.09 * scale)
    colour = pick_colour(rng, 35, 150)
    top = foot - height * scale
    easel.rectangle(x - half, top, x + half, foot, colour, Code.Pole)
    if rng.random() < 0.6:
        arm = -math.copysign(1.3, across) * scale
        easel.rectangle(min(x, x + arm), top - half, max(x, x + arm), top + half, colour, Code.Pole)


def sign(easel: Easel, camera: Camera, rng: np.random.Generator, across: float, ahead: float) -> None:
    """A traffic sign on its post: a disc, a triangle or a board."""
    x, foot = camera.project(across, 0, ahead)
    scale = camera.focal / ahead
    half, size = max(0.8, 0.05 * scale), rng.uniform(0.45, 0.65) * scale
    middle = foot - rng.uniform(2.3, 3.0) * scale
    easel.rectangle(x - half, middle, x + half, foot, pick_colour(rng, 60, 160), Code.Pole)
    rim: Colour = [(190, 40, 40), (40, 70, 170), (215, 190, 60)][rng.integers(3)]
    kind = rng.integers(3)
    for part, colour, code in ((1.0, rim, Code.SignSymbol), (0.6, (225, 225, 220), None)):
        reach = size * part
        if kind == 0:
            easel.ellipse(x, middle, reach, reach, colour, code)
        elif kind == 1:
            easel.polygon(
                [(x, middle - reach), (x + reach, middle + reach), (x - reach, middle + reach)], colour, code
            )
        else:
            easel.rectangle(x - reach, middle - 0.8 * reach, x + reach, middle + 0.8 * reach, colour, code)


def _upper_body(easel: Easel, rng: np.random.Generator, x: float, y: float, scale: float, code: Code) -> None:
    coat = pick_colour(rng, 30, 190, cast=40)
    shoulders: list[Point] = [(x - 0.17 * scale, y + 0.35 * scale), (x - 0.24 * scale, y - 0.25 * scale)]
    shoulders += [(x + 0.24 * scale, y - 0.25 * scale), (x + 0.17 * scale, y + 0.35 * scale)]
    easel.polygon(shoulders, coat, code)
    easel.ellipse(x, y - 0.42 * scale, 0.13 * scale, 0.17 * scale, pick_colour(rng, 110, 190, 20), code)


def _quad(easel: Easel, camera: Camera, corners: list[tuple[float, float, float]], colour: Colour) -> None:
    easel.polygon([camera.project(*corner) for corner in corners], colour, Code.Car)


def _face(
    easel: Easel,
    camera: Camera,
    left: float,
    low: float,
    right: float,
    high: float,
    ahead: float,
    colour: Colour,
) -> None:
    start, end = camera.project(left, high, ahead), camera.project(right, low, ahead)
    easel.rectangle(*start, *end, colour, Code.Car)
