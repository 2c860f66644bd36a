"""One case: a spoilt table, list or text file, given to what reads such files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from hostile.image_cases import answer_of
from hostile.mutation import mutated
from PIL import Image

from visionkit.data.biwi import read_camera, read_centre
from visionkit.data.class_maps import read_class_map
from visionkit.data.fashionai import read_annotations
from visionkit.data.label_tables import read_label_table
from visionkit.data.masks import read_codes
from visionkit.data.problems import gathering
from visionkit.data.sample_submission import by_row, sample_rows
from visionkit.data.skipping import read_skip_list
from visionkit.data.splits import listed_split, validation_list
from visionkit.data.table_settings import TableSettings
from visionkit.data.tags import read_tags

NAMES = ("a.jpg", "b.jpg", "c é.png", "night/d.jpg", "e.f.jpg", "=cmd().jpg")
HOSTILE = (
    *(
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "../../etc/passwd",
        "/etc/passwd",
        "=cmd|' /C calc'!A0",
        "\u202egpj.x",
    ),
    *(
        "<script>alert(1)</script>",
        "-rf",
        "nan",
        "NULL",
        "1e999",
        "9" * 5000,
        "a" * 3000,
        "\u0315\u0300" * 400,
        "\0",
    ),
    *("C:\\x.jpg", "\\\\host\\x", "\ud7ff\uffff", "\r", "\u2028", " ", "'\"", '"', ",", ";", "\t", "sep=;\n"),
)


def images_in(folder: Path) -> None:
    for name in NAMES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            Image.new("L", (4, 4)).save(file)


def tag_table(random: Random) -> str:
    rows = [f"{name},{random.choice(('sun', 'sun sea', 'sea'))}" for name in NAMES]
    return "\n".join(["image_name,tags", *rows]) + "\n"


def label_table(random: Random) -> str:
    separator = random.choice(",;\t")
    rows = [["image", "label", "is_valid"]]
    rows += [[name, random.choice(("cat", "dog", "cat|dog")), random.choice("01")] for name in NAMES]
    return "\n".join(separator.join(row) for row in rows) + "\n"


def flag_table(random: Random) -> str:
    rows = [f"{name},{random.randrange(2)},{random.randrange(2)}" for name in NAMES]
    return "\n".join(["file,sun,sea", *rows]) + "\n"


def clothes_table(random: Random) -> str:
    rows = [f"Images/skirt_length_labels/{name},skirt_length_labels,nnynnn" for name in NAMES]
    return "\n".join(rows) + "\n"


def name_list(random: Random) -> str:
    return "\n".join(random.sample(NAMES, 3)) + "\n"


def split_table(random: Random) -> str:
    return "image,part\r\n" + "".join(f"{name},{random.choice(('train', 'valid'))}\r\n" for name in NAMES)


def class_map(random: Random) -> str:
    return "name,r,g,b\nSky,0,0,255\nRoad,10,20,30\nVoid,0,0,0\n"


def camera(random: Random) -> str:
    return "52.5 0 32\n0 52 24\n0 0 1\n\n0 0 0 0\n"


def pose(random: Random) -> str:
    return "1 0 0 \n0 1 0 \n0 0 1 \n\n10.5 -20 900 \n"


def _skip(file: Path, root: Path) -> Any:
    return read_skip_list(file, root)


def _listed(file: Path, root: Path) -> Any:
    train, valid = listed_split(file, [root / name for name in NAMES], root)
    assert not {*train} & {*valid}
    return train, valid


def _validating(file: Path, root: Path) -> Any:
    return validation_list(file)([root / name for name in NAMES])


def _labels(file: Path, root: Path) -> Any:
    table = read_label_table(root, TableSettings(csv=file))
    assert all(row.path.is_relative_to(root) and row.path.exists() for row in table.rows)
    return table.vocab


def _tags(file: Path, root: Path) -> Any:
    rows = read_tags(file, root)
    assert all(row.path.is_relative_to(root) and row.path.exists() and row.tags for row in rows)
    return rows


def _sample(file: Path, root: Path) -> Any:
    return sample_rows(
        file, ("image_name", "tags"), by_row([root / name for name in NAMES], lambda p: p.name), "Do."
    )


def _clothes(file: Path, root: Path) -> Any:
    return read_annotations(root, "skirt_length")


Reader = tuple[str, Callable[[Random], str], Callable[[Path, Path], Any]]
READERS: tuple[Reader, ...] = (
    ("tags.csv", tag_table, _tags),
    ("labels.csv", label_table, _labels),
    ("flags.csv", flag_table, _labels),
    ("label.csv", clothes_table, _clothes),
    ("skip.txt", name_list, _skip),
    ("valid.txt", name_list, _listed),
    ("list.txt", name_list, _validating),
    ("split.csv", split_table, _listed),
    ("classes.csv", class_map, lambda file, root: read_class_map(file)),
    ("codes.txt", lambda random: "Sky\nRoad\nVoid\n", lambda file, root: read_codes(file)),
    ("rgb.cal", camera, lambda file, root: read_camera(file)),
    ("pose.txt", pose, lambda file, root: read_centre(file)),
    ("sample.csv", tag_table, _sample),
)


def table_case(seed: int, folder: Path) -> None:
    """Spoil a file by `seed`, and have it read, strictly and as a check does."""
    random = Random(seed)
    name, made, read = random.choice(READERS)
    root = folder / "data"
    images_in(root / "Images" / "skirt_length_labels" if made is clothes_table else root)
    text = made(random)
    for _ in range(random.choice((0, 1, 1, 3))):
        place = random.randrange(len(text) + 1)
        text = (
            text[:place] + random.choice(HOSTILE) + text[random.choice((place, min(len(text), place + 5))) :]
        )
    content = text.encode(random.choice(("utf-8",) * 6 + ("utf-8-sig", "utf-16", "utf-32")), "replace")
    if random.random() < 0.6:
        content = mutated(content, [made(random).encode(), b'"' * 40, b"\xff\xfe\0", b"," * 500], random)
    file = root / name
    file.write_bytes(content)
    try:
        strict = answer_of(lambda: read(file, root))
        with gathering() as gathered:
            lenient = answer_of(lambda: read(file, root))
        assert strict is None or (strict == lenient and not gathered)
        assert all("\n" not in each.message and len(each.message) < 2_000 for each in gathered)
    finally:
        file.unlink()
