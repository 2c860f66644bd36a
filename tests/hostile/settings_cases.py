"""One case: a spoilt settings.ini, read, checked and laid over a recipe's defaults."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hostile.image_cases import answer_of
from hostile.mutation import mutated
from hostile.table_cases import HOSTILE

from visionkit.progress import Silence
from visionkit.registry import get_recipe, recipe_names
from visionkit.settings_file import SettingsFile, resolve
from visionkit.settings_template import settings_template

VALUES = (
    *(
        "-1",
        "0",
        "nan",
        "inf",
        "1e400",
        "1_000",
        "0x10",
        "yes",
        "maybe",
        "auto",
        ",",
        "1,,2",
        "~nobody-at-all/x",
        "~",
        "",
    ),
    *(
        "$HOME",
        "%(here)s",
        "${x}",
        "../..",
        "/dev/full",
        "\x1b[31m",
        "٣",
        "1" * 400,
        "a,b,c",
        "[",
        "\\",
        "#",
        ";",
        "=",
    ),
    *HOSTILE,
)


def settings_case(seed: int, folder: Path) -> None:
    """Spoil a settings file by `seed`; it is refused in one message, or every setting is what it may be."""
    random = Random(seed)
    recipes = [get_recipe(name) for name in recipe_names()]
    lines = settings_template(recipes).split("\n")
    keys = [number for number, line in enumerate(lines) if " =" in line and not line.startswith("#")]
    for _ in range(random.choice((1, 1, 2))):
        number = random.choice(keys)
        lines[number] = f"{lines[number].split(' =')[0]} = {random.choice(VALUES)}"
    if random.random() < 0.5:
        start = random.randrange(len(lines))
        lines = ["[training]", *lines[start : start + 30]]
    content = "\n".join(lines).encode("utf-8", "replace")
    if random.random() < 0.5:
        content = mutated(content, [b"[paths]\nruns = x\n", b"[" * 50, b"=\n" * 20], random)
    file = folder / "settings.ini"
    file.write_bytes(content)
    read = answer_of(lambda: SettingsFile.read(file))
    if read is None:
        return
    answer_of(lambda: read.check(recipes))
    answer_of(read.paths)
    answer_of(lambda: read.store(Silence()))
    recipe = random.choice(recipes)
    answer_of(lambda: resolve(recipe, {"size": "64"}, read, sample=recipe.sample is not None))
