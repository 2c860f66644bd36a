"""The BIWI Kinect head pose data: a folder a person, with frames, the poses of the head, and the camera."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from visionkit.data.images import image_files
from visionkit.data.points import Points
from visionkit.data.problems import refuse
from visionkit.data.splits import Splits
from visionkit.data.text_files import FEW_BYTES, read_text
from visionkit.errors import DataError, UsageError, nearest

CAMERA_FILE = "rgb.cal"
FRAME_ENDING, POSE_ENDING = "_rgb", "_pose.txt"

Numbers = tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """A camera that maps millimetres to pixels: focal lengths and principal point, in pixels."""

    focal: tuple[float, float]
    principal: tuple[float, float]

    def project(self, place: Numbers) -> tuple[float, float]:
        """Where `place` (to the right, down and away from the camera, in mm) is in the image, in pixels."""
        right, down, away = place
        return (
            right * self.focal[0] / away + self.principal[0],
            down * self.focal[1] / away + self.principal[1],
        )


@dataclass(frozen=True)
class Frame:
    """An image and its only point, the centre of the head: x and y in pixels."""

    image: Path
    points: Points

    @property
    def person(self) -> str:
        """The name of the folder that it lies in."""
        return self.image.parent.name


def biwi_frames(folder: Path) -> list[Frame]:
    """The frames in the folders of `folder`, sorted: `01/frame_00003_rgb.jpg` and so on, without those that
    the user skips. Other images are left out.

    The centre is the last line of the frame's `01/frame_00003_pose.txt`, projected by the person's own
    `rgb.cal`, or by that of the first person who has one.

    Raises:
        DataError: there are no frames; a pose or calibration is missing or malformed: names file and line.
    """
    images = [image for image in image_files(folder, recursive=True) if image.stem.endswith(FRAME_ENDING)]
    if not images:
        raise DataError(f"{folder}: no frames; they are called PERSON/frame_00003{FRAME_ENDING}.jpg.")
    persons = dict.fromkeys(image.parent for image in images)
    cameras = {person: camera for person in persons if (camera := _camera(person, folder)) is not None}
    return [
        Frame(image, [cameras[image.parent].project(centre)])
        for image in images
        if image.parent in cameras and (centre := _centre(image)) is not None
    ]


def hold_out(persons: Sequence[str]) -> Callable[[Sequence[Frame]], Splits]:
    """A fastai splitter: the frames of `persons` validate. It raises `UsageError` for a person unknown."""

    def split(frames: Sequence[Frame]) -> Splits:
        there = sorted({frame.person for frame in frames})
        for person in persons:
            if person not in there:
                hint = nearest(person, there)
                raise UsageError(f"--valid-person {person}: no frames in a folder of this name.{hint}")
        train = [index for index, frame in enumerate(frames) if frame.person not in persons]
        return train, [index for index, frame in enumerate(frames) if frame.person in persons]

    return split


def read_camera(file: Path) -> Camera:
    """The camera in `file`: its first three lines are the intrinsic matrix; the others are not needed.

    Raises:
        DataError: the file is missing or malformed; the message names the line.
    """
    rows = _rows(file, 3, "the camera's intrinsic matrix")
    (focal_x, _, centre_x), (_, focal_y, centre_y), _ = (row for _, row in rows)
    if focal_x <= 0 or focal_y <= 0:
        raise DataError(f"{file}: focal lengths must be above 0, and are {focal_x:g} and {focal_y:g}.")
    return Camera((focal_x, focal_y), (centre_x, centre_y))


def read_centre(file: Path) -> Numbers:
    """The centre of the head in the pose `file`, in mm before the camera: its fourth line that is not blank.

    Raises:
        DataError: the file is missing or malformed; the message names the line.
    """
    rows = _rows(file, 4, "a rotation matrix of three lines and the centre of the head", more=False)
    number, centre = rows[-1]
    if centre[2] <= 0:
        raise DataError(f"{file}, line {number}: the head is {centre[2]:g} mm away, not before the camera.")
    return centre


def _camera(person: Path, folder: Path) -> Camera | None:
    """The camera of a person's folder; None where it is refused and a check goes on."""
    file = person / CAMERA_FILE
    if not file.is_file():
        others = sorted(folder.glob(f"*/{CAMERA_FILE}"))
        file = others[0] if others else file
    try:
        return read_camera(file)
    except DataError as error:
        refuse("bad calibration", str(error))
        return None


def _centre(image: Path) -> Numbers | None:
    """The centre of the head in mm; None where it is refused and the frame is left out."""
    pose = image.with_name(image.stem.removesuffix(FRAME_ENDING) + POSE_ENDING)
    try:
        return read_centre(pose)
    except DataError as error:
        kind = "bad pose" if pose.is_file() else "missing pose"
        refuse(kind, f"{error} Correct it, or remove it with {image.name}.", image)
        return None


def _rows(file: Path, count: int, what: str, more: bool = True) -> list[tuple[int, Numbers]]:
    """The first `count` lines that are not blank, with their numbers: three values each.

    Where `more` is False there may be no further ones.
    """
    try:
        lines = read_text(file, FEW_BYTES).splitlines()
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file; it holds {what}.") from None
    filled = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if len(filled) < count:
        raise DataError(f"{file}: ends after line {len(lines)}; {what} is expected, {count} lines.")
    if len(filled) > count and not more:
        raise DataError(f"{file}, line {filled[count][0]}: one line too many; {what} is expected.")
    return [(number, _numbers(file, number, line)) for number, line in filled[:count]]


def _numbers(file: Path, number: int, line: str) -> Numbers:
    try:
        values = [float(value) for value in line.split()]
    except ValueError:
        values = []
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise DataError(f"{file}, line {number}: three numbers are expected, not {line.strip()[:80]!r}.")
    return values[0], values[1], values[2]
