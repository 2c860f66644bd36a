"""A drawn stand-in for Kaggle's dogs-vs-cats-redux: `train/cat.0.jpg`, `test/1.jpg`; eight breeds."""

import csv
from pathlib import Path

from visionkit.sources.samples import pets
from visionkit.sources.samples.animals import BREEDS
from visionkit.sources.samples.textures import stream

PHOTOS_OF_EACH = 200
TEST_PHOTOS = 40
BREEDS_OF = {
    "cat": [breed for breed in BREEDS if breed.build == "sitting"],
    "dog": [breed for breed in BREEDS if breed.build == "standing"],
}


def draw(folder: Path, seed: int) -> None:
    """Writes `train`, `test` and `sample_submission.csv`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    train, test = folder / "train", folder / "test"
    train.mkdir()
    for kind, (name, breeds) in enumerate(BREEDS_OF.items()):
        for number in range(PHOTOS_OF_EACH):
            photo = pets.photo(stream(seed, kind, number), breeds[number % len(breeds)])
            photo.save(train / f"{name}.{number}.jpg", quality=88)
    test.mkdir()
    numbers = range(1, TEST_PHOTOS + 1)
    for number in numbers:
        rng = stream(seed, len(BREEDS_OF), number)
        pets.photo(rng, BREEDS[rng.integers(len(BREEDS))]).save(test / f"{number}.jpg", quality=88)
    with (folder / "sample_submission.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "label"])
        writer.writerows((number, 0.5) for number in numbers)
