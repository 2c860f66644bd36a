"""Class folders of every layout give the classes and parts that their names say, or one message."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.data.class_folders import ClassFolderSettings, class_folders
from visionkit.errors import DataError, UsageError


def fill(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def labels(root: Path, valid: str = "auto") -> dict[str, str]:
    found = class_folders(root, valid)
    return {path.relative_to(root).as_posix(): label for path, label in found.labels.items()}


def test_classes_alone(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "cat/1.jpg",
        "dog/1.png",
        "dog/deep/er/2.jpg",
        ".hidden/3.jpg",
        "dog/.4.jpg",
        "dog/notes.txt",
    )
    (tmp_path / "empty").mkdir()
    found = class_folders(tmp_path)
    assert labels(tmp_path) == {"cat/1.jpg": "cat", "dog/1.png": "dog", "dog/deep/er/2.jpg": "dog"}
    assert (found.train, found.valid, found.empty) == (None, None, [tmp_path / "empty"])


@pytest.mark.parametrize("train", ["train", "Training"])
@pytest.mark.parametrize("valid", ["valid", "val", "validation"])
def test_parts(train: str, valid: str, tmp_path: Path) -> None:
    fill(tmp_path, f"{train}/a/1.jpg", f"{train}/b/x/2.jpg", f"{valid}/a/3.jpg", "test/a/4.jpg", "test/5.jpg")
    assert labels(tmp_path) == {f"{train}/a/1.jpg": "a", f"{train}/b/x/2.jpg": "b", f"{valid}/a/3.jpg": "a"}
    found = class_folders(tmp_path)
    assert found.left_out == [tmp_path / "test"]
    assert found.valid is not None
    assert found.splitter(ClassFolderSettings())(list(found.labels)) == ([0, 1], [2])


def test_test_validates_where_nothing_else_does(tmp_path: Path) -> None:
    """As CIFAR and MNIST are divided."""
    fill(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg", "more/a/4.jpg")
    assert class_folders(tmp_path).valid == tmp_path / "test"
    assert set(labels(tmp_path)) == {"train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg"}
    drawn = class_folders(tmp_path, "random")
    assert drawn.valid is None and drawn.left_out == [tmp_path / "more", tmp_path / "test"]
    assert set(labels(tmp_path, "random")) == {"train/a/1.jpg", "train/b/2.jpg"}
    assert class_folders(tmp_path, "more").valid == tmp_path / "more"


def test_wrapping_folders_are_passed_through(tmp_path: Path) -> None:
    fill(tmp_path, "archive/set/train/a/1.jpg", "archive/set/train/b/2.jpg", "archive/set/val/a/3.jpg")
    assert sorted(labels(tmp_path).values()) == ["a", "a", "b"]
    assert class_folders(tmp_path).valid == tmp_path / "archive/set/val"


def test_a_test_folder_without_classes_does_not_validate(tmp_path: Path) -> None:
    """As Kaggle's competitions have it: nobody knows what its images show."""
    fill(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "test/3.jpg")
    found = class_folders(tmp_path)
    assert (found.valid, found.left_out) == (None, [tmp_path / "test"])
    assert set(found.labels.values()) == {"a", "b"}


@pytest.mark.parametrize("link", ["train", "train/b", "b"])
def test_links_to_folders_are_followed(link: str, tmp_path: Path) -> None:
    """Large sets are often linked to from elsewhere."""
    root = tmp_path / "set"
    fill(root, "train/a/1.jpg", "train/b/2.jpg") if "train" in link else fill(root, "a/1.jpg", "b/2.jpg")
    (root / link).rename(tmp_path / "elsewhere")
    (root / link).symlink_to(tmp_path / "elsewhere")
    assert sorted(labels(root).values()) == ["a", "b"]
    for name, target in (("back", root), ("circle", root / "circle"), ("gone", root / "nowhere")):
        (root / name).symlink_to(target)
    assert sorted(labels(root).values()) == ["a", "b"]


def test_what_macs_put_into_archives_is_no_class(tmp_path: Path) -> None:
    fill(tmp_path, "set/a/1.jpg", "set/b/2.jpg", "__MACOSX/set/a/._1.jpg")
    assert sorted(labels(tmp_path).values()) == ["a", "b"]
    assert not class_folders(tmp_path).empty


def test_loose_images_beside_parts_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "valid/a/3.jpg", "4.jpg", "5.jpg")
    assert class_folders(tmp_path).loose == 2


def test_a_folder_test_beside_classes_is_no_class(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.jpg", "b/2.jpg", "test/3.jpg")
    assert class_folders(tmp_path).left_out == [tmp_path / "test"]
    assert set(labels(tmp_path).values()) == {"a", "b"}


@pytest.mark.parametrize(
    ("files", "valid", "error", "words"),
    [
        (["1.jpg", "2.jpg"], "auto", DataError, ["2 images lie directly", "1.jpg", "folder for each class"]),
        (["a/1.jpg", "b/1.jpg", "3.jpg"], "auto", DataError, ["1 images lie directly", "3.jpg"]),
        (["train/a/1.jpg", "train/2.jpg", "valid/a/1.jpg"], "auto", DataError, ["train", "2.jpg"]),
        (["notes.txt"], "auto", DataError, ["no folders of classes", "folder for each class"]),
        (["train/a/1.jpg", "valid/a/x.txt"], "auto", DataError, ["valid: there is no image", "random"]),
        (["valid/a/1.jpg", "b/2.jpg"], "auto", DataError, ["no folder train", "valid"]),
        (["train/a/1.jpg", "test/a/1.jpg"], "tset", UsageError, ["--valid-folder tset", "test"]),
        (["a/1.jpg", "b/1.jpg"], "held", UsageError, ["--valid-folder held", "no folder train"]),
    ],
)
def test_refusals(
    files: list[str], valid: str, error: type[Exception], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        class_folders(fill(tmp_path, *files), valid)
    assert all(word in str(caught.value) for word in words), caught.value


NAMES = st.text("abcXYZ09 -", min_size=1, max_size=6).filter(lambda name: name.strip() == name)


@given(
    classes=st.dictionaries(NAMES, st.integers(1, 3), min_size=2, max_size=4),
    valid=st.sampled_from(["", "valid", "val"]),
)
@settings(max_examples=30, deadline=None)
def test_every_image_has_the_class_that_it_was_put_into(
    classes: dict[str, int], valid: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("set")
    if len({name.lower() for name in classes}) < len(classes):
        return
    wanted = {}
    for part in ("train", valid) if valid else ("",):
        for name, count in classes.items():
            for number in range(count):
                path = f"{part}/{name}/{number}.jpg".lstrip("/")
                fill(root, path)
                wanted[path] = name
    assert labels(root) == wanted
