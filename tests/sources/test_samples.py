"""The drawn samples have the layout of the real data sets, and cannot be solved by looking away."""

import csv
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from visionkit.sources.samples import camvid, pets, planet

REAL_TAGS = {
    "agriculture",
    "artisinal_mine",
    "bare_ground",
    "blooming",
    "blow_down",
    "clear",
    "cloudy",
    "conventional_mine",
    "cultivation",
    "habitation",
    "haze",
    "partly_cloudy",
    "primary",
    "road",
    "selective_logging",
    "slash_burn",
    "water",
}
WEATHER = {"clear", "partly_cloudy", "haze", "cloudy"}
CODES = [
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
    "Void",
]

Draw = Callable[[Path, int], None]
Drawn = Callable[[str], Path]
DRAW: dict[str, Draw] = {"pets": pets.draw, "planet": planet.draw, "camvid": camvid.draw}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Gives the folder of a data set drawn from seed 0; each is drawn when a test first asks for it."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            DRAW[name](folders[name], 0)
        return folders[name]

    return folder


def cut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves a few pictures of each data set, so that it can be drawn again and again."""
    monkeypatch.setattr(pets, "PHOTOS_PER_BREED", 2)
    monkeypatch.setattr(planet, "TRAINING_TILES", 6)
    monkeypatch.setattr(planet, "TEST_TILES", 2)
    monkeypatch.setattr(camvid, "FRAMES", 1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def table(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["image_name", "tags"]
    return {name: tags.split() for name, tags in rows[1:]}


@pytest.mark.parametrize("name", DRAW)
def test_the_seed_decides_every_byte(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_down(monkeypatch)
    runs = []
    for number, seed in enumerate((3, 3, 4)):
        folder = tmp_path / str(number)
        folder.mkdir()
        DRAW[name](folder, seed)
        runs.append(contents(folder))
    first, again, other = runs
    assert first == again
    pictures = [path for path in set(first) & set(other) if path.endswith((".jpg", "0.png"))]
    assert pictures
    assert all(first[path] != other[path] for path in pictures)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "camvid")) for name in DRAW]
)
def test_a_picture_does_not_depend_on_how_many_there_are(
    name: str, tmp_path: Path, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = drawn(name)
    cut_down(monkeypatch)
    DRAW[name](tmp_path, 0)
    pictures = [path for path in sorted(contents(tmp_path)) if path.endswith((".jpg", ".png"))]
    assert all((whole / path).read_bytes() == (tmp_path / path).read_bytes() for path in pictures[:6])


def test_pets_are_named_by_breed(drawn: Drawn) -> None:
    files = sorted((drawn("pets") / "images").iterdir())
    assert [path.name for path in drawn("pets").iterdir()] == ["images"]
    assert all(path.suffix == ".jpg" for path in files)
    breeds = Counter(path.stem.rsplit("_", 1)[0] for path in files)
    assert len(breeds) == 8
    assert set(breeds.values()) == {pets.PHOTOS_PER_BREED}
    assert {breed[0].isupper() for breed in breeds} == {True, False}  # cats and dogs
    assert all("_" in breed for breed in breeds)


def test_pets_have_many_sizes(drawn: Drawn) -> None:
    sizes = {Image.open(path).size for path in (drawn("pets") / "images").iterdir()}
    assert len(sizes) > 100
    assert all(100 <= side <= 280 for size in sizes for side in size)
    assert {width > height for width, height in sizes} == {True, False}


def test_the_mean_colour_does_not_tell_the_breed(drawn: Drawn) -> None:
    files = sorted((drawn("pets") / "images").iterdir())
    means = [np.asarray(Image.open(path)).reshape(-1, 3).mean(axis=0) for path in files]
    breeds = [path.stem.rsplit("_", 1)[0] for path in files]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    assert cross_val_score(model, means, breeds, cv=5).mean() < 0.25


def test_planet_has_kaggles_files(drawn: Drawn) -> None:
    folder = drawn("planet")
    assert sorted(path.name for path in folder.iterdir()) == [
        "sample_submission_v2.csv",
        "test-jpg",
        "train-jpg",
        "train_v2.csv",
    ]
    answers = table(folder / "train_v2.csv")
    assert list(answers) == [f"train_{number}" for number in range(planet.TRAINING_TILES)]
    assert {path.stem for path in (folder / "train-jpg").glob("*.jpg")} == set(answers)
    blank = table(folder / "sample_submission_v2.csv")
    assert {path.stem for path in (folder / "test-jpg").glob("*.jpg")} == set(blank)
    assert {tuple(tags) for tags in blank.values()} == {planet.TAGS}


def test_planet_tiles_are_cmyk_of_one_size_and_read_back_green(drawn: Drawn) -> None:
    folder = drawn("planet")
    answers = table(folder / "train_v2.csv")
    for name, tags in list(answers.items())[:80]:
        with Image.open(folder / "train-jpg" / f"{name}.jpg") as tile:
            assert (tile.mode, tile.size) == ("CMYK", (planet.SIZE, planet.SIZE))
            red, green, blue = np.asarray(tile.convert("RGB")).reshape(-1, 3).mean(axis=0)
        if "cloudy" in tags:
            assert min(red, green, blue) > 130
        if {"clear", "primary"} <= set(tags):
            assert max(red, green, blue) < 130


def test_planet_tags_agree_with_each_other(drawn: Drawn) -> None:
    answers = table(drawn("planet") / "train_v2.csv").values()
    assert set().union(*answers) == set(planet.TAGS)
    assert set(planet.TAGS) <= REAL_TAGS
    for tags in answers:
        assert len(WEATHER & set(tags)) == 1
        assert "cloudy" not in tags or tags == ["cloudy"]
        assert "habitation" not in tags or {"road", "water"} & set(tags)


def test_no_constant_set_of_tags_scores_well(drawn: Drawn) -> None:
    answers = table(drawn("planet") / "train_v2.csv").values()
    truth = np.array([[tag in tags for tag in planet.TAGS] for tags in answers], dtype=float)
    guesses = np.array(list(itertools.product((0.0, 1.0), repeat=len(planet.TAGS)))[1:])
    hits = guesses @ truth.T
    f2 = 5 * hits / (4 * truth.sum(axis=1) + guesses.sum(axis=1, keepdims=True))
    assert f2.mean(axis=1).max() < 0.72


def masks(folder: Path) -> dict[str, npt.NDArray[np.uint8]]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted((folder / "labels").iterdir())}


def test_camvid_has_a_mask_for_every_image(drawn: Drawn) -> None:
    folder = drawn("camvid")
    assert sorted(path.name for path in folder.iterdir()) == ["codes.txt", "images", "labels", "valid.txt"]
    assert (folder / "codes.txt").read_text().splitlines() == CODES
    images = sorted((folder / "images").iterdir())
    assert {f"{path.stem}_P.png" for path in images} == {path.name for path in (folder / "labels").iterdir()}
    for path in images:
        mask = Image.open(folder / "labels" / f"{path.stem}_P.png")
        assert (mask.mode, mask.size) == ("L", Image.open(path).size)


def test_camvid_masks_hold_every_code_and_a_little_void(drawn: Drawn) -> None:
    found = masks(drawn("camvid"))
    counts = np.sum([np.bincount(mask.ravel(), minlength=len(CODES)) for mask in found.values()], axis=0)
    assert len(counts) == len(CODES)
    assert (counts > 0).all()
    void = CODES.index("Void")
    assert all((mask == void).any() for mask in found.values())
    assert 0.01 < counts[void] / counts.sum() < 0.10


def test_camvid_validates_on_whole_sequences(drawn: Drawn) -> None:
    folder = drawn("camvid")
    names = {path.name for path in (folder / "images").iterdir()}
    chosen = set((folder / "valid.txt").read_text().splitlines())
    assert chosen < names
    assert 0.2 <= len(chosen) / len(names) <= 0.25
    assert not {name.split("_")[0] for name in chosen} & {name.split("_")[0] for name in names - chosen}


def test_the_position_of_a_pixel_does_not_tell_its_code(drawn: Drawn) -> None:
    folder = drawn("camvid")
    chosen = {name.replace(".png", "_P.png") for name in (folder / "valid.txt").read_text().splitlines()}
    found = masks(folder)
    training = np.stack([mask for name, mask in found.items() if name not in chosen])
    validation = np.stack([found[name] for name in chosen])
    void = CODES.index("Void")
    usual = np.argmax([(training == code).sum(axis=0) for code in range(void)], axis=0)
    seen = validation != void
    assert (validation == usual)[seen].mean() < 0.66
