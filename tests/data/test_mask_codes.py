"""Masks of every kind become the codes that codes.txt or a class map names, or those that are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.data.class_maps import is_class_map, read_class_map
from visionkit.data.mask_folders import match_masks
from visionkit.data.mask_reader import MaskReader
from visionkit.data.masked_images import OwnMasks, find_masks
from visionkit.errors import DataError, UsageError

MAP = "name,r,g,b\nSky,128,128,128\nRoad,128,64,128\nCar,64,0,128\nVoid,0,0,0\n"
COLOURS = np.asarray([[128, 128, 128], [128, 64, 128], [64, 0, 128], [0, 0, 0]], dtype=np.uint8)
INDICES = (np.arange(24, dtype=np.uint8) % 4).reshape(4, 6)


def palette(indices: np.ndarray, colours: np.ndarray = COLOURS) -> Image.Image:
    picture = Image.fromarray(indices).copy()
    picture.putpalette([*colours.ravel().tolist(), *[9] * (768 - colours.size)])
    return picture


def data(root: Path, *masks: Image.Image | np.ndarray, suffix: str = "", folder: str = "masks") -> Path:
    for name in ("images", folder):
        (root / name).mkdir(parents=True, exist_ok=True)
    for number, mask in enumerate(masks):
        picture = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
        Image.new("RGB", picture.size).save(root / "images" / f"frame_{number}.jpg")
        picture.save(root / folder / f"frame_{number}{suffix}.png")
    return root


def read(root: Path, **options: Any) -> tuple[tuple[str, ...], list[np.ndarray]]:
    found = find_masks(root, OwnMasks(**options))
    return found.reader.codes, [found.reader.read(mask) for mask in found.masks.values()]


@pytest.mark.parametrize("kind", ["colours", "palette", "indices", "colours with alpha"])
def test_a_class_map_tells_colours_and_indices(kind: str, tmp_path: Path) -> None:
    picture = {
        "colours": Image.fromarray(COLOURS[INDICES]),
        "palette": palette(INDICES[::-1], COLOURS)
        .convert("RGB")
        .convert("P", palette=Image.Palette.ADAPTIVE),
        "indices": Image.fromarray(INDICES),
        "colours with alpha": Image.fromarray(COLOURS[INDICES]).convert("RGBA"),
    }[kind]
    (data(tmp_path, picture) / "class_dict.csv").write_text(MAP)
    codes, masks = read(tmp_path)
    assert codes == ("Sky", "Road", "Car", "Void")
    np.testing.assert_array_equal(masks[0], INDICES[::-1] if kind == "palette" else INDICES)


def test_palette_masks_are_indices_without_a_class_map(tmp_path: Path) -> None:
    (data(tmp_path, palette(INDICES)) / "codes.txt").write_text("Sky\nRoad\nCar\nVoid\n")
    codes, masks = read(tmp_path)
    assert codes == ("Sky", "Road", "Car", "Void")
    np.testing.assert_array_equal(masks[0], INDICES)


@pytest.mark.parametrize("grey", [True, False])
def test_black_and_white_is_background_and_foreground(grey: bool, tmp_path: Path) -> None:
    mask = (INDICES % 2) * np.uint8(255)
    data(tmp_path, mask if grey else np.stack([mask] * 3, axis=-1))
    codes, masks = read(tmp_path)
    assert codes == ("background", "foreground")
    np.testing.assert_array_equal(masks[0], INDICES % 2)


def test_codes_are_found_and_255_is_nothing(tmp_path: Path) -> None:
    other = np.where(INDICES == 1, 255, INDICES).astype(np.uint8)
    data(tmp_path, INDICES, other)
    codes, masks = read(tmp_path)
    assert codes == ("code 0", "code 1", "code 2", "code 3", "Void")
    np.testing.assert_array_equal(masks[1], np.where(INDICES == 1, 4, INDICES))
    (tmp_path / "codes.txt").write_text("Sky\nRoad\nCar\nDog\n")
    assert read(tmp_path)[0] == ("Sky", "Road", "Car", "Dog", "Void")
    assert "left out: 255" in find_masks(tmp_path, OwnMasks()).remark


def test_wide_values_are_a_code_each(tmp_path: Path) -> None:
    data(tmp_path, INDICES * np.uint8(60))
    codes, masks = read(tmp_path)
    assert codes == ("value 0", "value 60", "value 120", "value 180")
    np.testing.assert_array_equal(masks[0], INDICES)


def test_colours_are_found(tmp_path: Path) -> None:
    data(tmp_path, COLOURS[INDICES], np.zeros((4, 6, 3), dtype=np.uint8))
    codes, masks = read(tmp_path)
    assert codes == ("#000000", "#400080", "#804080", "#808080")
    assert masks[1].max() == 0
    assert read(tmp_path, ignore="#000000")[0] == ("Void", "#400080", "#804080", "#808080")


@pytest.mark.parametrize(
    ("ignore", "codes", "first_row"),
    [
        ("Car", ("Sky", "Road", "Void", "Dog"), [0, 1, 2, 3, 0, 1]),
        ("car,dog", ("Sky", "Road", "Void"), [0, 1, 2, 2, 0, 1]),
        ("2", ("Sky", "Road", "Void", "Dog"), [0, 1, 2, 3, 0, 1]),
        ("Sky,Car,9", ("Void", "Road", "Dog"), [0, 1, 0, 2, 0, 1]),
    ],
)
def test_ignored_codes_become_void(
    ignore: str, codes: tuple[str, ...], first_row: list[int], tmp_path: Path
) -> None:
    (data(tmp_path, INDICES) / "codes.txt").write_text("Sky\nRoad\nCar\nDog\n")
    found, masks = read(tmp_path, ignore=ignore)
    assert found == codes
    assert masks[0][0].tolist() == first_row


def test_an_unknown_colour_is_named_and_may_be_ignored(tmp_path: Path) -> None:
    picture = COLOURS[INDICES]
    picture[:2, 0] = [1, 2, 3]
    (data(tmp_path, picture) / "map.csv").write_text(MAP)
    with pytest.raises(DataError, match=r"frame_0\.png: the colour #010203 \(2 pixels\) is not in map\.csv"):
        read(tmp_path)
    codes, masks = read(tmp_path, ignore="#010203")
    assert codes[3] == "Void" and masks[0][0, 0] == 3


def test_an_unknown_value_is_named(tmp_path: Path) -> None:
    (data(tmp_path, INDICES) / "codes.txt").write_text("Sky\nRoad\nCar\n")
    with pytest.raises(DataError, match=r"frame_0\.png: the value 3 \(6 pixels\) is not in codes\.txt"):
        read(tmp_path)


def test_colours_and_codes_txt_do_not_go_together(tmp_path: Path) -> None:
    (data(tmp_path, COLOURS[INDICES]) / "codes.txt").write_text("Sky\nRoad\nCar\nVoid\n")
    with pytest.raises(DataError, match=r"frame_0\.png: .*in colour.*r, g and b with --codes"):
        read(tmp_path)
    (tmp_path / "map.csv").write_text(MAP)
    np.testing.assert_array_equal(read(tmp_path)[1][0], INDICES)


@pytest.mark.parametrize(("ignore", "words"), [("Cra", ["--ignore Cra", "'Car'"]), ("#12", ["--ignore #12"])])
def test_ignoring_what_is_not_there(ignore: str, words: list[str], tmp_path: Path) -> None:
    (data(tmp_path, COLOURS[INDICES]) / "map.csv").write_text(MAP)
    with pytest.raises(UsageError) as caught:
        read(tmp_path, ignore=ignore)
    assert all(word in str(caught.value) for word in words)


def test_noisy_masks_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    with pytest.raises(DataError, match=r"frame_0\.png: more than 64 colours.*JPEG"):
        read(data(tmp_path, noise))


@pytest.mark.parametrize("suffix", ["", "_mask", "_P", "-seg"])
@pytest.mark.parametrize("folder", ["masks", "labels"])
def test_masks_are_matched_by_stem(suffix: str, folder: str, tmp_path: Path) -> None:
    data(tmp_path, *[INDICES] * 12, suffix=suffix, folder=folder)
    matched = match_masks(tmp_path, "images")
    assert matched.suffix == suffix
    assert {image.stem + suffix for image in matched.masks} == {mask.stem for mask in matched.masks.values()}
    assert all(mask.stem == image.stem + suffix for image, mask in matched.masks.items())


def test_an_image_without_a_mask_is_named(tmp_path: Path) -> None:
    data(tmp_path, *[INDICES] * 4, suffix="_m")
    (tmp_path / "masks/frame_2_m.png").unlink()
    with pytest.raises(DataError, match=r"frame_2\.jpg: it has no mask; .*frame_2_m\.png"):
        match_masks(tmp_path, "images")


def test_what_cannot_be_matched_is_asked_for(tmp_path: Path) -> None:
    data(tmp_path, INDICES, INDICES, suffix="_a")
    data(tmp_path, INDICES, INDICES, suffix="_b")
    with pytest.raises(DataError, match=r"'_a', '_b'.*--mask-suffix"):
        match_masks(tmp_path, "images")
    assert len(match_masks(tmp_path, "images", suffix="_b").masks) == 2
    data(tmp_path, INDICES, folder="labels")
    with pytest.raises(UsageError, match=r"both masks and labels.*--masks"):
        match_masks(tmp_path, "images")
    with pytest.raises(UsageError, match=r"neither masks nor labels"):
        match_masks(tmp_path / "images", "images")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,r,g\na,1,2\n", ["not a class map", "name, r, g and b"]),
        ("name,r,g,b\na,1,2,300\nb,1,1,1\n", ["row 2", "1, 2, 300"]),
        ("name,r,g,b\na,1,2,3\nb,1,2,3\n", ["row 3", "#010203", "'b'", "'a'"]),
        ("name,r,g,b\na,1,2,3\n,1,2,4\n", ["row 3", "no name"]),
        ("name,r,g,b\na,1,2,3\n", ["1 class(es)"]),
    ],
)
def test_bad_class_maps(text: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        read_class_map(tmp_path / "map.csv")
    assert all(word in str(caught.value) for word in words), caught.value


def test_class_maps_as_others_write_them(tmp_path: Path) -> None:
    file = tmp_path / "class_dict.csv"
    file.write_text("name;Red;Green;Blue;class_11\nCar;64;0;128;Car\nTruck;1;1;1;Car\nCar;2;2;2;Car\n")
    assert is_class_map(file)
    assert read_class_map(file) == (["Car", "Truck"], {0x400080: 0, 0x010101: 1, 0x020202: 0})


@given(
    colours=st.lists(st.integers(0, 0xFFFFFF), min_size=2, max_size=20, unique=True), seed=st.integers(0, 99)
)
@settings(max_examples=60, deadline=None)
def test_colours_become_their_codes(
    colours: list[int], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    codes = np.random.default_rng(seed).integers(0, len(colours), (7, 5))
    values = np.asarray(colours)[codes]
    picture = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1).astype(np.uint8)
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    Image.fromarray(picture).save(path)
    reader = MaskReader(tuple(map(str, colours)), {}, {colour: at for at, colour in enumerate(colours)})
    np.testing.assert_array_equal(reader.read(path), codes)


def test_what_is_left_out_is_said_with_void(tmp_path: Path) -> None:
    (data(tmp_path, np.where(INDICES == 2, 255, INDICES).astype(np.uint8)) / "codes.txt").write_text(
        "Sky\nRoad\nCar\nVoid\n"
    )
    assert "left out: Void, 255" in find_masks(tmp_path, OwnMasks()).remark
    assert "left out: Void, 255, Sky" in find_masks(tmp_path, OwnMasks(ignore=("sky",))).remark


def test_masks_that_hold_too_large_values_are_told_so(tmp_path: Path) -> None:
    data(tmp_path, *[Image.fromarray(INDICES.astype(np.uint16) * 1000)] * 2)
    with pytest.raises(DataError, match=r"frame_0.png: the mask holds the value 3000"):
        read(tmp_path)


@pytest.mark.parametrize("saved", ["grey", "colour"])
def test_jpeg_is_blamed_for_its_noise(saved: str, tmp_path: Path) -> None:
    noisy = np.random.default_rng(1).integers(0, 2, (64, 64), dtype=np.uint8) * 255
    data(tmp_path, noisy)
    (tmp_path / "masks/frame_0.png").unlink()
    picture = Image.fromarray(noisy if saved == "grey" else np.stack([noisy, noisy // 2, noisy], -1))
    picture.save(tmp_path / "masks/frame_0.jpg", quality=60)
    with pytest.raises(
        DataError, match=r"frame_0.jpg: more than 64 .*JPEG changes pixels: save masks as PNG"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images": "pictures"}, ["--images pictures", "images, masks"]),
        ({"masks": "annotation"}, ["--masks annotation", "images, masks"]),
        ({"masks": "images"}, ["--masks images", "folder of their own"]),
    ],
)
def test_folders_that_are_not_there(options: dict[str, str], words: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(data(tmp_path, INDICES), **options)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("listed", [None, "valid.txt"])
def test_parts_below_images_validate_where_no_list_does(listed: str | None, tmp_path: Path) -> None:
    data(tmp_path, *[INDICES] * 6)
    for kind, ending in (("images", "jpg"), ("masks", "png")):
        for number in range(6):
            part = ["train", "val", "test"][(number + 1) // 3 if number < 5 else 2]
            (tmp_path / kind / part).mkdir(exist_ok=True)
            name = f"frame_{number}.{ending}"
            (tmp_path / kind / name).rename(tmp_path / kind / part / name)
    if listed:
        (tmp_path / listed).write_text("frame_0.jpg\n")
    found = find_masks(tmp_path, OwnMasks())
    assert (
        f"; {listed} tells who validates" if listed else "; val/ validates; left out: 1 in other folders"
    ) in found.remark
    images = list(found.masks)
    valid = found.splitter(images)[1]
    assert [images[index].name for index in valid] == (
        ["frame_0.jpg"] if listed else ["frame_2.jpg", "frame_3.jpg", "frame_4.jpg"]
    )
