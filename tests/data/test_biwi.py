"""BIWI's folders: the centre of the head in pixels, and what is refused, by file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.data.biwi import Camera, biwi_frames, hold_out, read_camera, read_centre
from visionkit.data.problems import gathering, skipping
from visionkit.errors import DataError, UsageError
from visionkit.sources.samples import headpose
from visionkit.sources.samples.painting import Placement

CAMERA = (
    "517.679 0 320 \n0 517.679 240.5 \n0 0 1 \n\n0 0 0 0 \n\n1 0 0 \n0 1 0 \n0 0 1 \n\n0 0 0 \n\n640 480 \n"
)
POSE = "0.9 0.01 -0.1 \n0.02 0.8 0.2 \n0.1 -0.2 0.9 \n\n{} \n"


def frame(folder: Path, person: str, number: int, centre: str = "10 -20 900") -> Path:
    place = folder / person
    place.mkdir(parents=True, exist_ok=True)
    image = place / f"frame_{number:05d}_rgb.jpg"
    Image.new("RGB", (64, 48), (number * 7 % 256, 90, 90)).save(image)
    image.with_name(f"frame_{number:05d}_pose.txt").write_text(POSE.format(centre))
    return image


@pytest.fixture
def biwi(tmp_path: Path) -> Path:
    """Two persons with three frames each; only the first has a calibration, as `01` does in the course."""
    for person in ("01", "13"):
        for number in (3, 4, 7):
            frame(tmp_path, person, number)
    (tmp_path / "01" / "rgb.cal").write_text(CAMERA)
    (tmp_path / "01.obj").write_text("v 0 0 0\n")
    (tmp_path / "01" / "depth.cal").write_text(CAMERA)
    return tmp_path


def test_the_centre_is_the_courses(biwi: Path) -> None:
    """By hand: x = 100 * 517.679 / 800 + 320, y = -50 * 517.679 / 800 + 240.5."""
    frame(biwi, "13", 8, "100 -50 800")
    found = biwi_frames(biwi)
    assert [each.image.relative_to(biwi).as_posix() for each in found[:4]] == [
        "01/frame_00003_rgb.jpg",
        "01/frame_00004_rgb.jpg",
        "01/frame_00007_rgb.jpg",
        "13/frame_00003_rgb.jpg",
    ]
    assert found[-1].person == "13"
    assert found[-1].points == [pytest.approx((384.709875, 208.1450625))]


@settings(max_examples=50)
@given(st.floats(-900, 900), st.floats(-900, 900), st.floats(200, 3000))
def test_numpys_reading_of_the_files_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, right: float, down: float, away: float
) -> None:
    """fast.ai's course reads them with genfromtxt."""
    folder = tmp_path_factory.mktemp("biwi")
    image = frame(folder, "01", 3, f"{right!r} {down!r} {away!r}")
    (folder / "01" / "rgb.cal").write_text(CAMERA)
    camera = np.genfromtxt(folder / "01" / "rgb.cal", skip_footer=6)
    centre = np.genfromtxt(str(image)[:-7] + "pose.txt", skip_header=3)
    expected = [centre[axis] * camera[axis][axis] / centre[2] + camera[axis][2] for axis in (0, 1)]
    assert biwi_frames(folder)[0].points[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_every_person_has_an_own_camera(biwi: Path) -> None:
    (biwi / "13" / "rgb.cal").write_text(CAMERA.replace("320", "300"))
    found = biwi_frames(biwi)
    assert found[3].points[0][0] == pytest.approx(found[0].points[0][0] - 20)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["ends after line 0", "4 lines"]),
        ("1 0 0\n0 1 0\n0 0 1\n", ["ends after line 3", "4 lines"]),
        ("1 0 0\n0 1 zero\n0 0 1\n\n1 2 900\n", ["line 2", "0 1 zero"]),
        ("1 0 0\n0 1 0\n0 0 1\n\n1 2\n", ["line 5", "three numbers", "'1 2'"]),
        ("1 0 0\n0 1 0\n0 0 1\n\nnan 2 900\n", ["line 5", "nan 2 900"]),
        ("1 0 0\n0 1 0\n0 0 1\n\n1 2 inf\n", ["line 5", "inf"]),
        ("1 0 0\n0 1 0\n0 0 1\n\n1 2 0\n", ["line 5", "0 mm away"]),
        ("1 0 0\n0 1 0\n0 0 1\n\n1 2 -900\n", ["line 5", "-900 mm away"]),
        ("1 0 0\n0 1 0\n0 0 1\n\n1 2 900\n4 5 6\n", ["line 6", "too many"]),
        (b"\xff\xfe\x00", ["not a text file in UTF-8"]),
    ],
)
def test_malformed_poses_name_file_and_line(biwi: Path, text: str | bytes, words: list[str]) -> None:
    pose = biwi / "13" / "frame_00004_pose.txt"
    pose.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as raised:
        biwi_frames(biwi)
    assert str(pose) in str(raised.value)
    assert all(word in str(raised.value) for word in words), str(raised.value)


def test_a_missing_pose_is_refused_gathered_and_skipped(biwi: Path) -> None:
    image = biwi / "13" / "frame_00004_rgb.jpg"
    (biwi / "13" / "frame_00004_pose.txt").unlink()
    with pytest.raises(DataError, match=r"frame_00004_pose.txt: there is no such file.*frame_00004_rgb.jpg"):
        biwi_frames(biwi)
    with gathering() as problems:
        assert len(biwi_frames(biwi)) == 5
    assert [(problem.kind, problem.files) for problem in problems] == [("missing pose", (image,))]
    with skipping(frozenset({image})):
        assert len(biwi_frames(biwi)) == 5


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda file: file.unlink(), ["rgb.cal: there is no such file"]),
        (lambda file: file.write_text("1 0 0\n0 one 0\n0 0 1\n"), ["rgb.cal, line 2", "0 one 0"]),
        (lambda file: file.write_text("517 0 320\n0 517 240\n"), ["rgb.cal: ends after line 2"]),
        (lambda file: file.write_text("0 0 320\n0 517 240\n0 0 1\n"), ["rgb.cal: focal", "0 and 517"]),
    ],
)
def test_malformed_cameras_name_file_and_line(
    biwi: Path, write: Callable[[Path], object], words: list[str]
) -> None:
    write(biwi / "01" / "rgb.cal")
    with pytest.raises(DataError) as raised:
        biwi_frames(biwi)
    assert all(word in str(raised.value) for word in words), str(raised.value)
    with gathering() as problems:
        assert biwi_frames(biwi) == []
    assert {problem.kind for problem in problems} == {"bad calibration"}


def test_readers_alone(biwi: Path) -> None:
    assert read_camera(biwi / "01" / "rgb.cal") == Camera((517.679, 517.679), (320.0, 240.5))
    assert read_centre(biwi / "01" / "frame_00003_pose.txt") == (10.0, -20.0, 900.0)


def test_folders_without_frames_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.jpg")
    with pytest.raises(DataError, match=r"no frames; they are called PERSON/frame_00003_rgb\.jpg"):
        biwi_frames(tmp_path)


def test_persons_are_held_out_whole(biwi: Path) -> None:
    frames = biwi_frames(biwi)
    assert hold_out(["13"])(frames) == ([0, 1, 2], [3, 4, 5])
    assert hold_out(["13", "01"])(frames) == ([], [0, 1, 2, 3, 4, 5])
    with pytest.raises(UsageError, match=r"--valid-person 31: .*There are: 01, 13|--valid-person 31: .*'13'"):
        hold_out(["31"])(frames)


def test_the_sample_has_the_layout_and_its_poses_lead_to_the_drawn_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headpose, "PERSONS", 2)
    monkeypatch.setattr(headpose, "FRAMES", 5)
    heads: list[tuple[float, float]] = []
    paint = headpose._head

    def noted(person: headpose.Person, head: Placement, turn: np.ndarray, pixels: np.ndarray) -> None:
        heads.append((head.x, head.y))
        paint(person, head, turn, pixels)

    monkeypatch.setattr(headpose, "_head", noted)
    headpose.draw(tmp_path, 0)
    assert sorted(path.name for path in (tmp_path / "02").iterdir())[:3] == [
        "frame_00003_pose.txt",
        "frame_00003_rgb.jpg",
        "frame_00004_pose.txt",
    ]
    frames = biwi_frames(tmp_path)
    assert [frame.person for frame in frames] == ["01"] * 5 + ["02"] * 5
    assert np.array([frame.points[0] for frame in frames]) == pytest.approx(np.array(heads), abs=1e-3)
    course = np.genfromtxt(tmp_path / "02" / "rgb.cal", skip_footer=6)
    assert course[0, 0] == read_camera(tmp_path / "02" / "rgb.cal").focal[0]
    for number, frame in enumerate(frames[:5]):
        turn = np.genfromtxt(tmp_path / "01" / f"frame_{number + 3:05d}_pose.txt", skip_footer=1)
        assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-5)
        with Image.open(frame.image) as opened:
            assert opened.size == (160, 120)


def test_the_seed_decides_every_byte_of_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headpose, "PERSONS", 1)
    monkeypatch.setattr(headpose, "FRAMES", 2)
    drawn = []
    for place, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / place).mkdir()
        headpose.draw(tmp_path / place, seed)
        drawn.append([path.read_bytes() for path in sorted((tmp_path / place / "01").iterdir())])
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[2][0] and drawn[0][1] != drawn[2][1]
