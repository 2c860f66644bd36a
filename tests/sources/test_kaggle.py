"""Competitions and data sets through Kaggle's own client, from a server that plays Kaggle's."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources.kaggle_server import KEY, SLUG, TABLE, Kaggle, kaggle_server, photos, tar_7z, tarred, zipped
from visionkit.recipes import planet

from visionkit.errors import UsageError
from visionkit.sources.kaggle import KaggleCompetition, KaggleDataset, kaggle_page

COMPETITION = KaggleCompetition(SLUG, files=("train-jpg", "train_v2.csv"))
CHIPS = photos("train-jpg", "train_0.jpg", "train_1.jpg")
UNPACKED = CHIPS | {"train_v2.csv": TABLE}


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[Kaggle]:
    with kaggle_server(tmp_path) as kaggle:
        yield kaggle


def test_archives_are_fetched_once_and_unpacked_to_their_names(kaggle: Kaggle) -> None:
    kaggle.files = {
        "Kaggle-planet-train-tif.torrent": b"torrent",
        "sample_submission_v2.csv.zip": b"not wanted",
        "train-jpg.tar.7z": tar_7z(CHIPS),
        "train_v2.csv.zip": zipped({"train_v2.csv": TABLE, "__MACOSX/._train_v2.csv": b"x"}),
    }
    said = kaggle.fetch(COMPETITION, **KEY)
    assert said["folder"] == str(kaggle.folder)
    assert kaggle.contents() == UNPACKED
    assert sorted(path.name for path in kaggle.folder.iterdir()) == ["train-jpg", "train_v2.csv"]
    assert kaggle.downloads() == ["DownloadDataFile train-jpg.tar.7z", "DownloadDataFile train_v2.csv.zip"]
    assert [note.split()[:2] for note in said["notes"] if note.startswith("fetching")] == [
        ["fetching", "train-jpg.tar.7z"],
        ["fetching", "train_v2.csv.zip"],
    ]
    sizes = [len(kaggle.files[name]) for name in ("train-jpg.tar.7z", "train_v2.csv.zip")]
    downloads = [bar for bar in said["bars"] if f"of {SLUG}" in bar["label"]]
    assert [(bar["total"], bar["done"], bar["unit"]) for bar in downloads] == [
        (size, size, "bytes") for size in sizes
    ]

    # What is there is not fetched again: neither Kaggle nor credentials are needed.
    kaggle.asked.clear()
    assert COMPETITION.is_there(kaggle.store)
    assert kaggle.fetch(COMPETITION) == {"folder": str(kaggle.folder), "notes": [], "bars": []}
    assert kaggle.asked == []
    (kaggle.folder / "train_v2.csv").unlink()
    assert not COMPETITION.is_there(kaggle.store)
    assert "folder" in kaggle.fetch(COMPETITION, **KEY)
    assert kaggle.downloads() == ["DownloadDataFile train_v2.csv.zip"]
    assert kaggle.contents() == UNPACKED


FORMS = {
    "7z and a plain table": {"train-jpg.tar.7z": tar_7z(CHIPS), "train_v2.csv": TABLE},
    "tar in a folder of its name": {
        "train-jpg/train-jpg.tar": tarred(CHIPS),
        "train_v2.csv/train_v2.csv": TABLE,
    },
    "zips without the folder": {
        "train-jpg.zip": zipped({Path(name).name: content for name, content in CHIPS.items()}),
        "train_v2.csv/train_v2.csv.zip": zipped({"train_v2.csv": TABLE}),
    },
}


@pytest.mark.parametrize("files", FORMS.values(), ids=FORMS)
def test_a_wanted_file_is_found_however_it_is_packed(files: dict[str, bytes], kaggle: Kaggle) -> None:
    kaggle.files = files
    assert "folder" in kaggle.fetch(COMPETITION, **KEY)
    assert kaggle.contents() == UNPACKED


@pytest.mark.parametrize("landed", ["train_v2.csv.zip", "train_v2.csv"])
def test_a_table_that_kaggle_packs_on_the_way_is_unpacked(landed: str, kaggle: Kaggle) -> None:
    kaggle.files = {"train_v2.csv": zipped({"train_v2.csv": TABLE})}
    kaggle.lands_as = {"train_v2.csv": landed}
    assert "folder" in kaggle.fetch(KaggleCompetition(SLUG, ("train_v2.csv",)), **KEY)
    assert kaggle.contents() == {"train_v2.csv": TABLE}


def test_a_folder_of_loose_files_comes_with_the_archive_of_all(kaggle: Kaggle) -> None:
    kaggle.files = {"train_v2.csv": TABLE} | CHIPS
    kaggle.bundle = zipped({"train_v2.csv": TABLE, **CHIPS})
    assert "folder" in kaggle.fetch(COMPETITION, **KEY)
    assert kaggle.contents() == UNPACKED
    assert sorted(kaggle.downloads()) == ["DownloadDataFile train_v2.csv", "DownloadDataFiles"]


def test_without_names_everything_is_fetched_and_unpacked(kaggle: Kaggle) -> None:
    kaggle.bundle = zipped(
        {
            "train.zip": zipped(photos("train", "cat.0.jpg")),
            "tables/labels.csv.zip": zipped({"labels.csv": TABLE}),
            "readme.txt": b"read",
        }
    )
    everything = KaggleCompetition(SLUG)
    assert not everything.is_there(kaggle.store)
    assert "folder" in kaggle.fetch(everything, **KEY)
    visible = {name: content for name, content in kaggle.contents().items() if not name.startswith(".")}
    assert visible == {"train/cat.0.jpg": b"cat.0.jpg", "tables/labels.csv": TABLE, "readme.txt": b"read"}
    assert everything.is_there(kaggle.store)
    assert kaggle.fetch(everything) == {"folder": str(kaggle.folder), "notes": [], "bars": []}


def test_everything_is_not_there_because_some_files_are(kaggle: Kaggle) -> None:
    kaggle.folder.mkdir(parents=True)
    (kaggle.folder / "train_v2.csv").write_bytes(b"mine")
    kaggle.bundle = zipped({"train_v2.csv": TABLE, "more.csv": b"more"})
    assert not KaggleCompetition(SLUG).is_there(kaggle.store)
    assert "folder" in kaggle.fetch(KaggleCompetition(SLUG), **KEY)
    assert kaggle.contents()["more.csv"] == b"more"
    assert kaggle.contents()["train_v2.csv"] == b"mine"


def test_planets_test_sets_are_fetched_on_demand(kaggle: Kaggle) -> None:
    source = planet.recipe.source
    kaggle.files = {
        "train-jpg.tar.7z": tar_7z(CHIPS),
        "train_v2.csv.zip": zipped({"train_v2.csv": TABLE}),
        "test-jpg.tar.7z": tar_7z(photos("test-jpg", "test_0.jpg")),
        "test-jpg-additional.tar.7z": tar_7z(photos("test-jpg-additional", "file_0.jpg")),
        "test_v2_file_mapping.csv.zip": zipped({"test_v2_file_mapping.csv": b"old,new\n"}),
        "sample_submission_v2.csv.zip": zipped({"sample_submission_v2.csv": b"image_name,tags\n"}),
    }
    assert "folder" in kaggle.fetch(source, **KEY)
    assert kaggle.contents() == UNPACKED
    kaggle.asked.clear()
    with_test = source.with_test()
    assert with_test.name == source.name and not with_test.is_there(kaggle.store)
    assert "folder" in kaggle.fetch(with_test, **KEY)
    assert len(kaggle.downloads()) == 4
    assert kaggle.contents() == UNPACKED | {
        "test-jpg/test_0.jpg": b"test_0.jpg",
        "test-jpg-additional/file_0.jpg": b"file_0.jpg",
        "test_v2_file_mapping.csv": b"old,new\n",
        "sample_submission_v2.csv": b"image_name,tags\n",
    }
    assert source.is_there(kaggle.store) and with_test.is_there(kaggle.store)


def test_a_source_without_test_sets_says_so() -> None:
    with pytest.raises(UsageError, match="has no test sets"):
        COMPETITION.with_test()


def test_a_data_set_is_fetched_once_and_its_licence_told(kaggle: Kaggle) -> None:
    source = KaggleDataset("nikitarom/planets-dataset")
    kaggle.datasets = {source.slug: zipped(photos("planet", "a.jpg", "b.jpg"))}
    said = kaggle.fetch(source, **KEY)
    folder = kaggle.store / "kaggle" / "datasets" / "nikitarom" / "planets-dataset"
    assert said["folder"] == str(folder) == str(source.folder(kaggle.store))
    assert sorted(path.name for path in (folder / "planet").iterdir()) == ["a.jpg", "b.jpg"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert any("CC0: Public Domain" in note and source.url in note for note in said["notes"])
    kaggle.asked.clear()
    assert kaggle.fetch(source) == {"folder": str(folder), "notes": [], "bars": []}
    assert kaggle.asked == []


def test_a_licence_that_kaggle_does_not_tell_is_no_failure(kaggle: Kaggle) -> None:
    kaggle.datasets = {"owner/name": zipped({"a.txt": b"a"})}
    kaggle.errors = {"GetDataset": [(403, "no")]}
    said = kaggle.fetch(KaggleDataset("owner/name"), **KEY)
    assert "folder" in said
    assert not any(note.startswith("licence") for note in said["notes"])


@pytest.mark.parametrize("slug", ["", "..", "a/b", "https://www.kaggle.com/c/x", ".hidden", "a b"])
def test_a_name_that_is_none_is_refused(slug: str) -> None:
    with pytest.raises(UsageError, match="is no name of a Kaggle competition"):
        KaggleCompetition(slug)


@pytest.mark.parametrize("slug", ["", "name", "../x", "x/..", "a/b/c", "owner/"])
def test_a_data_set_has_owner_and_name(slug: str) -> None:
    with pytest.raises(UsageError, match="is no name of a Kaggle data set"):
        KaggleDataset(slug)


PAGES = {
    f"https://www.kaggle.com/competitions/{SLUG}": KaggleCompetition(SLUG),
    f"https://www.kaggle.com/competitions/{SLUG}/data?select=train_v2.csv": KaggleCompetition(SLUG),
    f"http://kaggle.com/c/{SLUG}/": KaggleCompetition(SLUG),
    "https://www.kaggle.com/datasets/nikitarom/planets-dataset/data#top": KaggleDataset(
        "nikitarom/planets-dataset"
    ),
    "https://www.kaggle.com/datasets/nikitarom": None,
    "https://www.kaggle.com/competitions": None,
    "https://www.kaggle.com/competitions/../x": None,
    "https://www.kaggle.com/code/somebody/notebook": None,
    "https://www.kaggle.com": None,
    "https://notkaggle.com/competitions/x": None,
    "https://example.org/www.kaggle.com/competitions/x": None,
}


@pytest.mark.parametrize(("url", "source"), PAGES.items(), ids=PAGES)
def test_pages_of_kaggle_are_recognised(url: str, source: object) -> None:
    assert kaggle_page(url) == source


def test_sources_are_plain_values() -> None:
    for source in (planet.recipe.source, KaggleDataset("a/b")):
        assert pickle.loads(pickle.dumps(source)) == source
        assert hash(source) == hash(pickle.loads(pickle.dumps(source)))
    assert KaggleCompetition("x").name == "kaggle:competitions/x"
    assert KaggleCompetition("x").url == "https://www.kaggle.com/competitions/x/data"
    assert KaggleDataset("a/b").name == "kaggle:datasets/a/b"
    assert planet.recipe.licence == "competition rules"
