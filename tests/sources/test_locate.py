"""What the user said becomes a folder; a sample is drawn once, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import pytest
from fastai.data.block import DataBlock

from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.progress import Silence
from visionkit.recipe import Recipe, Sample
from visionkit.settings import TrainSettings
from visionkit.sources import SYNTHETIC_NOTE, Place, Store, is_synthetic, locate

Draw = Callable[[Path, int], None]


@dataclass
class Shelf:
    """A source that counts how often it is asked."""

    asked: list[Path] = field(default_factory=list)
    name: str = "shelf:shapes"
    url: str = "https://example.org"
    licence: str = ""
    connected: bool = True

    def folder(self, root: Path) -> Path:
        return root / "shapes"

    def leftovers(self, root: Path) -> list[Path]:
        return []

    def is_there(self, root: Path) -> bool:
        return self.folder(root).is_dir()

    def fetch(self, store: Store) -> Path:
        self.asked.append(store.root)
        store.progress.note("fetching   shapes")
        if not self.connected:
            raise VisionkitError("no connection")
        self.folder(store.root).mkdir()
        return self.folder(store.root)


@dataclass
class Notes(Silence):
    """Keeps what is said."""

    said: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.said.append(text)


def recipe(draw: Draw | str | None = None, source: Shelf | None = None) -> Recipe:
    def datablock(path: Path, settings: TrainSettings) -> DataBlock:
        raise AssertionError("nothing is read here")

    return Recipe(
        name="shapes",
        task="single-label",
        dataset="Shapes",
        licence="CC0",
        headline="",
        source=source or Shelf(),
        datablock=datablock,
        sample=Sample(draw) if draw else None,
    )


def draw_one(folder: Path, seed: int) -> None:
    assert not list(folder.iterdir())
    (folder / "images").mkdir()
    (folder / "images" / "a.txt").write_text(str(seed))


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_named_folder_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    assert locate(recipe(source=shelf), tmp_path, False, 0, Store(tmp_path / "store")) == Place(
        tmp_path, False
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert locate(recipe(source=shelf), "~/mine", False, 0).folder == tmp_path / "mine"
    assert shelf.asked == []
    assert everything(tmp_path) == ["mine"]


@pytest.mark.parametrize("name", ["nowhere", "file.txt"])
def test_a_missing_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").touch()
    with pytest.raises(DataError, match=rf"--data .*{name}: there is no such folder"):
        locate(recipe(), tmp_path / name, False, 0, Store(tmp_path / "store"))
    assert everything(tmp_path) == ["file.txt"]


def test_data_and_sample_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data and --sample exclude each other"):
        locate(recipe(draw_one), tmp_path, True, 0, Store(tmp_path / "store"))
    assert everything(tmp_path) == []


def test_without_either_the_source_is_asked(tmp_path: Path) -> None:
    shelf, notes = Shelf(), Notes()
    place = locate(recipe(draw_one, shelf), None, False, 0, Store(tmp_path, notes))
    assert place == Place(tmp_path / "shapes", False)
    assert shelf.asked == [tmp_path]
    assert notes.said == ["fetching   shapes"]


def test_what_the_source_says_reaches_the_user(tmp_path: Path) -> None:
    with pytest.raises(VisionkitError, match="no connection"):
        locate(recipe(source=Shelf(connected=False)), None, False, 0, Store(tmp_path / "store", Silence()))


def test_the_store_is_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate(recipe(draw_one), None, True, 0).folder.is_relative_to(tmp_path / ".visionkit")


def test_a_sample_is_drawn_once_for_each_seed(tmp_path: Path) -> None:
    drawn: list[int] = []

    def draw(folder: Path, seed: int) -> None:
        drawn.append(seed)
        draw_one(folder, seed)

    first = locate(recipe(draw), None, True, 3, Store(tmp_path))
    assert first.synthetic
    assert everything(first.folder) == ["SYNTHETIC.txt", "images", "images/a.txt"]
    assert "synthetic" in (first.folder / "SYNTHETIC.txt").read_text()
    (tmp_path / "new").mkdir()
    assert first.folder.stat().st_mode == (tmp_path / "new").stat().st_mode

    assert locate(recipe(draw), None, True, 3, Store(tmp_path)) == first
    other = locate(recipe(draw), None, True, 4, Store(tmp_path))
    assert other.folder != first.folder
    assert (other.folder / "images" / "a.txt").read_text() == "4"
    assert drawn == [3, 4]
    assert sorted(path.name for path in first.folder.parent.iterdir()) == sorted(
        (first.folder.name, other.folder.name)
    )


def test_a_sample_named_as_a_folder_is_still_synthetic(tmp_path: Path) -> None:
    sample = locate(recipe(draw_one), None, True, 0, Store(tmp_path)).folder
    assert locate(recipe(), sample, False, 0, Store(tmp_path)) == Place(sample, True)
    assert is_synthetic(sample)
    assert not is_synthetic(tmp_path)
    assert "SYNTHETIC" in SYNTHETIC_NOTE


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, OSError])
def test_a_drawing_that_fails_leaves_nothing(fault: type[BaseException], tmp_path: Path) -> None:
    def draw(folder: Path, seed: int) -> None:
        draw_one(folder, seed)
        raise fault("half way")

    with pytest.raises(fault, match="half way"):
        locate(recipe(draw), None, True, 0, Store(tmp_path))
    assert everything(tmp_path) == ["samples"]
    assert locate(recipe(draw_one), None, True, 0, Store(tmp_path)).synthetic


def test_what_another_process_drew_meanwhile_is_used(tmp_path: Path) -> None:
    def draw(folder: Path, seed: int) -> None:
        draw_one(folder, seed)
        if not seed:
            return
        finished = folder.parent / usual.replace("seed0", f"seed{seed}")
        finished.mkdir()
        (finished / "theirs.txt").touch()

    usual = locate(recipe(draw), None, True, 0, Store(tmp_path)).folder.name
    assert usual.startswith("shapes-") and usual.endswith("-v1-seed0")
    place = locate(recipe(draw), None, True, 7, Store(tmp_path))
    assert everything(place.folder) == ["theirs.txt"]
    assert len(list(place.folder.parent.iterdir())) == 2


def test_a_recipe_without_a_sample_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"shapes has no sample; .*--data"):
        locate(recipe(), None, True, 0, Store(tmp_path))
    assert everything(tmp_path) == []


def test_the_drawing_function_may_be_named_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        locate(recipe("nowhere:draw"), None, True, 0, Store(tmp_path))
    assert everything(tmp_path) == ["samples"]


def test_a_source_may_be_named_as_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    known = {"https://x.org/a.zip": shelf}
    module = import_module("visionkit.sources.locate")  # the package's attribute is the function
    monkeypatch.setattr(module, "named_source", known.__getitem__)
    place = locate(recipe(), "https://x.org/a.zip", False, 0, Store(tmp_path, Silence()))
    assert place == Place(tmp_path / "shapes", False)
    assert shelf.asked == [tmp_path]


@pytest.mark.parametrize("name", ["fastai:NOPE", "kaggle:somebody", "ftp://x.org/a.zip", "s3://bucket/a"])
def test_unknown_sources_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"fastai"):
        locate(recipe(), name, False, 0, Store(tmp_path, Silence()))
    assert everything(tmp_path) == []
