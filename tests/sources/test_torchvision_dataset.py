"""Torchvision's data sets are fetched with our downloader, and become folders that recipes read."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import pickle
import signal
import string
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.io
from http_host import Host, http_host
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision import datasets
from torchvision.datasets import utils

from visionkit.errors import UsageError, VisionkitError
from visionkit.progress import Silence
from visionkit.sources.base import Source, Store
from visionkit.sources.catalogue import fetched
from visionkit.sources.class_folders import folder_name
from visionkit.sources.downloads import attempts
from visionkit.sources.names import named_source
from visionkit.sources.torchvision_dataset import TorchvisionDataset

RNG = np.random.default_rng(0)
URLRETRIEVE = utils._urlretrieve


class Notes(Silence):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(attempts, "SLEEP", lambda seconds: None)
    with http_host() as host:
        yield host
    assert utils._urlretrieve is URLRETRIEVE, "torchvision is as it was"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", Silence())


def digest(content: bytes) -> str:
    return md5(content).hexdigest()


def tgz(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def noise(*shape: int) -> npt.NDArray[np.uint8]:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(4, 5, 3)).save(file, "JPEG")
    return file.getvalue()


def pngs(folder: Path) -> dict[str, npt.NDArray[np.uint8]]:
    return {
        path.relative_to(folder).as_posix(): np.asarray(Image.open(path))
        for path in sorted(folder.rglob("*.*"))
    }


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def nothing_but(store: Store, *expected: str) -> bool:
    return {path.name for path in (store.root / "torchvision").glob("[!.]*")} == set(expected)


def offer_cifar10(host: Host, monkeypatch: pytest.MonkeyPatch) -> npt.NDArray[np.uint8]:
    """Two training images and a test image; the training images."""
    images = noise(3, 3, 32, 32)
    batches = {
        "train": pickle.dumps({"data": images[:2].reshape(2, -1), "labels": [1, 0]}),
        "test": pickle.dumps({"data": images[2:].reshape(1, -1), "labels": [1]}),
        "meta": pickle.dumps({"label_names": ["cat", "dog"]}),
    }
    content = tgz({f"cifar-10-batches-py/{name}": batch for name, batch in batches.items()})
    cifar = datasets.CIFAR10
    monkeypatch.setattr(cifar, "url", host.serve("/cifar-10-python.tar.gz", content))
    monkeypatch.setattr(cifar, "tgz_md5", digest(content))
    monkeypatch.setattr(cifar, "train_list", [["train", digest(batches["train"])]])
    monkeypatch.setattr(cifar, "test_list", [["test", digest(batches["test"])]])
    meta = {"filename": "meta", "key": "label_names", "md5": digest(batches["meta"])}
    monkeypatch.setattr(cifar, "meta", meta)
    return images.transpose(0, 2, 3, 1)


def test_cifar10_becomes_class_folders(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    images = offer_cifar10(host, monkeypatch)
    source: Source = named_source("torchvision:CIFAR10")
    assert source == TorchvisionDataset("CIFAR10")
    assert not source.is_there(store.root)
    folder = fetched(source, store)
    assert folder == source.folder(store.root) == store.root / "torchvision" / "CIFAR10"
    written = pngs(folder)
    assert set(written) == {"train/dog/00001.png", "train/cat/00002.png", "test/dog/00001.png"}
    assert (written["train/dog/00001.png"] == images[0]).all()
    assert (written["test/dog/00001.png"] == images[2]).all()
    assert source.is_there(store.root)
    assert fetched(source, store) == folder
    assert host.paths == ["/cifar-10-python.tar.gz"], "one request, for both splits"
    assert not (store.root / "torchvision" / ".downloads" / "CIFAR10").exists()
    assert nothing_but(store, "CIFAR10")
    assert source.licence == ""
    assert "CIFAR10" in source.url


def idx(array: npt.NDArray[np.uint8]) -> bytes:
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes())


def offer_mnist(host: Host, monkeypatch: pytest.MonkeyPatch, cls: type[datasets.MNIST]) -> dict[str, bytes]:
    files = {
        "train-images-idx3-ubyte.gz": idx(noise(3, 28, 28)),
        "train-labels-idx1-ubyte.gz": idx(np.array([0, 9, 0], np.uint8)),
        "t10k-images-idx3-ubyte.gz": idx(noise(1, 28, 28)),
        "t10k-labels-idx1-ubyte.gz": idx(np.array([7], np.uint8)),
    }
    for name, content in files.items():
        host.serve(f"/good/{name}", content)
    monkeypatch.setattr(cls, "mirrors", [f"{host.url}/gone/", f"{host.url}/good/"])
    monkeypatch.setattr(cls, "resources", [(name, digest(content)) for name, content in files.items()])
    return files


def test_mnist_tries_its_second_server(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    offer_mnist(host, monkeypatch, datasets.MNIST)
    folder = fetched(TorchvisionDataset("MNIST"), store)
    assert names(folder) == {
        "train/0 - zero/00001.png",
        "train/9 - nine/00002.png",
        "train/0 - zero/00003.png",
        "test/7 - seven/00001.png",
    }
    assert len(host.asked) == 8


def test_class_names_with_slashes(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    offer_mnist(host, monkeypatch, datasets.FashionMNIST)
    assert "train/T-shirt-top/00001.png" in names(fetched(TorchvisionDataset("FashionMNIST"), store))


def test_mnist_without_any_server_says_why(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{host.url}/gone/"])
    with pytest.raises(VisionkitError, match=rf"{host.url}/gone/train-images.*404.*--data") as caught:
        fetched(TorchvisionDataset("MNIST"), store)
    assert "\n" not in str(caught.value)
    assert nothing_but(store)


def test_emnist_in_upper_and_lower_case(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    classes = datasets.EMNIST.classes_split_dict["balanced"]
    numbers = [classes.index("A"), classes.index("a")]
    labels = np.array(numbers, np.uint8)
    content = zipped(
        {
            f"gzip/emnist-balanced-{part}-{kind}.gz": data
            for part in ("train", "test")
            for kind, data in (
                ("images-idx3-ubyte", idx(noise(2, 28, 28))),
                ("labels-idx1-ubyte", idx(labels)),
            )
        }
    )
    monkeypatch.setattr(datasets.EMNIST, "url", host.serve("/gzip.zip", content))
    monkeypatch.setattr(datasets.EMNIST, "md5", digest(content))
    folder = fetched(TorchvisionDataset("EMNIST"), store)
    assert names(folder / "train") == {"A/00001.png", f"a-{numbers[1]}/00002.png"}
    assert set(string.digits) < set(classes)


def test_svhn_leaves_out_the_extra_images(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {}
    for part in ("train", "test", "extra"):
        file = io.BytesIO()
        scipy.io.savemat(file, {"X": noise(32, 32, 3, 2), "y": np.array([[10], [3]], np.uint8)})
        url = host.serve(f"/{part}.mat", file.getvalue())
        parts[part] = [url, f"{part}.mat", digest(file.getvalue())]
    monkeypatch.setattr(datasets.SVHN, "split_list", parts)
    progress = Notes()
    folder = fetched(TorchvisionDataset("SVHN"), Store(store.root, progress))
    assert names(folder) == {
        f"{part}/{name}" for part in ("train", "test") for name in ("0/00001.png", "3/00002.png")
    }
    assert any("extra" in note for note in progress.notes)
    assert host.paths == ["/train.mat", "/test.mat"]


def test_usps(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "3 " + " ".join(f"{place}:{value:.2f}" for place, value in enumerate(RNG.uniform(-1, 1, 256), 1))
    content = bz2.compress(f"{line}\n".encode())
    url = host.serve("/usps.bz2", content)
    parts = {part: [url, f"{part}.bz2", digest(content)] for part in ("train", "test")}
    monkeypatch.setattr(datasets.USPS, "split_list", parts)
    folder = fetched(TorchvisionDataset("USPS"), store)
    assert names(folder) == {"train/2/00001.png", "test/2/00001.png"}


def offer_pets(host: Host, monkeypatch: pytest.MonkeyPatch, **behaviour: Any) -> dict[str, bytes]:
    padding = {"annotations/README": noise(5000).tobytes()}
    archives = {
        "/images.tar.gz": tgz({f"images/Sphynx_{number}.jpg": picture() for number in (1, 2)}),
        "/annotations.tar.gz": tgz(
            {f"annotations/{part}.txt": b"Sphynx_1 1 1 1\n" for part in ("trainval", "test")} | padding
        ),
    }
    resources = []
    for path, content in archives.items():
        url = host.serve(path, content, **(behaviour if "annotations" in path else {}))
        resources.append((url, digest(content)))
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", tuple(resources))
    return archives


PETS = {"images/Sphynx_1.jpg", "images/Sphynx_2.jpg"}
PETS |= {"annotations/trainval.txt", "annotations/test.txt", "annotations/README"}


def test_pets_keep_their_folders(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    offer_pets(host, monkeypatch)
    folder = fetched(TorchvisionDataset("OxfordIIITPet"), store)
    assert names(folder) == PETS, "and no archives"
    assert host.paths == ["/images.tar.gz", "/annotations.tar.gz"]
    assert nothing_but(store, "OxfordIIITPet")


def test_folders_in_folders_are_lifted(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"dtd/images/dotted/dotted_{number}.jpg": picture() for number in (1, 2)}
    files |= {f"dtd/labels/{part}1.txt": b"dotted/dotted_1.jpg\n" for part in ("train", "val", "test")}
    content = tgz(files)
    monkeypatch.setattr(datasets.DTD, "_URL", host.serve("/dtd.tar.gz", content))
    monkeypatch.setattr(datasets.DTD, "_MD5", digest(content))
    folder = fetched(TorchvisionDataset("DTD"), store)
    assert names(folder) == {name.removeprefix("dtd/") for name in files}


def test_a_cut_download_goes_on_in_the_next_call(
    host: Host, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_pets(host, monkeypatch, cuts=[50] + [0] * attempts.ATTEMPTS)
    source = TorchvisionDataset("OxfordIIITPet")
    with pytest.raises(VisionkitError, match=r"annotations\.tar\.gz: .*call again"):
        fetched(source, store)
    assert nothing_but(store)
    assert not source.is_there(store.root)
    host.asked.clear()
    assert names(fetched(source, store)) == PETS
    assert host.paths == ["/annotations.tar.gz"], "the images were whole"
    assert host.ranges == ["bytes=50-"]


SCRIPT = """
import sys
from pathlib import Path
from torchvision import datasets
from visionkit.progress import Silence
from visionkit.sources.downloads import downloading as download
from visionkit.sources.base import Store
from visionkit.sources.torchvision_dataset import TorchvisionDataset
download._BLOCK = 10
datasets.OxfordIIITPet._RESOURCES = eval(sys.argv[1])
TorchvisionDataset("OxfordIIITPet").fetch(Store(Path(sys.argv[2]), Silence()))
"""


def test_a_killed_process_leaves_nothing_that_looks_whole(
    host: Host, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_pets(host, monkeypatch, trickle=60)  # so that the second archive cannot arrive
    arguments = [repr(datasets.OxfordIIITPet._RESOURCES), str(store.root)]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments])
    while process.poll() is None and "/annotations.tar.gz" not in host.paths:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    source = TorchvisionDataset("OxfordIIITPet")
    assert not source.is_there(store.root)
    assert nothing_but(store)
    assert list(store.root.rglob("Sphynx_1.jpg")), "it was killed when the images were unpacked"
    host.asked.clear()
    host.files["/annotations.tar.gz"].trickle = 0
    assert names(fetched(source, store)) == PETS
    assert host.paths == ["/annotations.tar.gz"]
    assert not list((store.root / "torchvision").glob(".*unfinished"))


def test_a_wrong_checksum_is_found_and_the_file_fetched_again(
    host: Host, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = offer_pets(host, monkeypatch)
    host.serve("/annotations.tar.gz", b"another file")
    with pytest.raises(VisionkitError, match=r"torchvision:OxfordIIITPet: .*corrupted.*--data") as caught:
        fetched(TorchvisionDataset("OxfordIIITPet"), store)
    assert "\n" not in str(caught.value)
    assert nothing_but(store)
    host.serve("/annotations.tar.gz", archives["/annotations.tar.gz"])
    assert names(fetched(TorchvisionDataset("OxfordIIITPet"), store)) == PETS


def test_writing_that_fails_leaves_nothing(host: Host, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    offer_cifar10(host, monkeypatch)

    def save(self: Image.Image, path: Path, **options: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", save)
        with pytest.raises(VisionkitError, match="No space left on device"):
            fetched(TorchvisionDataset("CIFAR10"), store)
    assert nothing_but(store)
    assert len(names(fetched(TorchvisionDataset("CIFAR10"), store))) == 3
    assert len(host.asked) == 1, "what was downloaded is kept"


def test_a_torchvision_that_downloads_in_another_way(
    host: Host, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_cifar10(host, monkeypatch)
    with monkeypatch.context() as patch:
        patch.delattr(utils, "_urlretrieve")
        with pytest.raises(VisionkitError, match=r"torchvision .* downloads in another way"):
            fetched(TorchvisionDataset("CIFAR10"), store)
    assert host.asked == []


def test_a_missing_package_keeps_what_was_downloaded(
    host: Host, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    scipy.io.savemat(file, {"X": noise(32, 32, 3, 2), "y": np.array([[10], [3]], np.uint8)})
    parts = {}
    for part in ("train", "test"):
        url = host.serve(f"/{part}.mat", file.getvalue())
        parts[part] = [url, f"{part}.mat", digest(file.getvalue())]
    monkeypatch.setattr(datasets.SVHN, "split_list", parts)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "scipy.io", None)
        with pytest.raises(VisionkitError, match=r"torchvision:SVHN: .*scipy"):
            fetched(TorchvisionDataset("SVHN"), store)
    assert len(names(fetched(TorchvisionDataset("SVHN"), store))) == 4
    assert host.paths == ["/train.mat", "/test.mat"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("ImageNet", "image-net.org"),
        ("CocoDetection", "cocodataset"),
        ("Cityscapes", "does not download it"),
        ("FakeData", "does not download it"),
        ("Kinetics", "videos"),
        ("StanfordCars", "gone"),
    ],
)
def test_what_cannot_be_downloaded_is_refused(key: str, reason: str, store: Store) -> None:
    with pytest.raises(UsageError, match=rf"torchvision:{key}: cannot be downloaded .*{reason}.*--data"):
        fetched(TorchvisionDataset(key), store)


@pytest.mark.parametrize(
    ("key", "near"),
    [("CIFAR11", "'CIFAR10'"), ("cifar10", "'CIFAR10'"), ("OxfordPet", "OxfordIIITPet"), ("Q", "")],
)
def test_an_unknown_name_gives_the_nearest(key: str, near: str, store: Store) -> None:
    with pytest.raises(UsageError, match=f"no data set '{key}'") as caught:
        fetched(TorchvisionDataset(key), store)
    assert near in str(caught.value)


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".."])
def test_a_name_that_is_a_path(key: str) -> None:
    with pytest.raises(UsageError, match="not a name of torchvision's"):
        TorchvisionDataset(key)


@given(
    st.lists(st.text(max_size=12) | st.sampled_from(["a", "A", "a/b", "a:b", "..", "", "nul"]), max_size=20)
)
def test_class_folders_are_safe_and_never_two_classes_in_one(classes: list[str]) -> None:
    folders: list[str] = []
    for number, name in enumerate(classes):
        folders.append(folder_name(name, number, folders))
    assert len({folder.casefold() for folder in folders}) == len(classes)
    for folder in folders:
        assert folder not in ("", ".", "..") and folder.casefold() != "nul"
        assert not set(folder) & set('/\\:*?"<>|\0\n')
        assert folder == folder.strip(" .")
