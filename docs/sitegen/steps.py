"""The examples of the documentation: which commands are run, in which order, and on which page they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sitegen.prepare import photos, random_weights, small_settings


@dataclass(frozen=True)
class Step:
    """One command line of the documentation.

    Args:
        page: the command or recipe on whose page it stands.
        command: what follows `visionkit`; `{pets}` is the run that was kept under this name.
        note: what it is for, a sentence in Markdown.
        codes: the exit codes that it may have; with another, the build fails.
        keep: the name under which the run that it made is known to later steps.
        stop_at: Ctrl-C is sent as soon as a line of its output has this text.
        picture: a picture that it made, shown below the output.
        file: a text file that it made, whose first lines are shown below the output.
        lines: so many lines of output or file are shown; 0 shows all.
        prepare: puts what the command needs into the working folder.
        shown: whether it stands on the page; some only make what others need.
    """

    page: str
    command: str
    note: str = ""
    codes: tuple[int, ...] = (0,)
    keep: str = ""
    stop_at: str = ""
    picture: str = ""
    file: str = ""
    lines: int = 0
    prepare: Callable[[Path], None] | None = None
    shown: bool = True


RUNS = (
    Step(
        "pets",
        "pets --sample --size 64 --epochs 3",
        "A short training on the drawn sample; `--epochs 10`, the sample's default, trains to 96 % accuracy.",
        keep="pets",
        picture="runs/{pets}/plots/examples.png",
    ),
    Step("watch", "watch last --once", "The state of the last training, once; without `--once` it follows."),
    Step("runs", "runs", "The runs of this folder."),
    Step(
        "plot",
        "plot {pets}",
        "Draws the plots of a run again and prints their files. One of them:",
        picture="runs/{pets}/plots/confusion.png",
    ),
    Step("report", "report {pets}", "One file with everything, to open in a browser."),
    Step("evaluate", "evaluate {pets}", "The validation images, with 95 % intervals."),
    Step(
        "evaluate",
        "evaluate {pets} --calibrate --tta",
        "Several views of each image, and a temperature that is fitted on one half and judged on the other.",
    ),
    Step(
        "predict",
        "predict {pets} photos --top 3",
        "Every image of a folder.",
        prepare=photos,
    ),
    Step(
        "predict",
        "predict {pets} photos --out answers.csv --probabilities",
        "As a table:",
        file="answers.csv",
    ),
    Step(
        "merge",
        "predict {pets} photos --out answers.parquet --shard 1/2",
        "Two processes share the images, here one after the other:",
    ),
    Step("merge", "predict {pets} photos --out answers.parquet --shard 2/2", "The other one:"),
    Step(
        "merge",
        "merge answers.parquet --out one.parquet",
        "Every image is there once, and all rows are in one file:",
    ),
    Step("export", "export {pets} --to onnx", "An ONNX file, compared with PyTorch at once."),
    Step("export", "export {pets} --to safetensors --out bundle", "Weights and description alone."),
    Step(
        "card",
        "card {pets}",
        "The card is a file beside the model. How it begins:",
        file="runs/{pets}/model/README.md",
        lines=40,
    ),
    Step(
        "load",
        "load {pets}",
        "A run on the disk; `hf:OWNER/NAME` fetches one from the Hugging Face Hub and says the same.",
    ),
    Step("demo", "demo {pets}", "Until Ctrl-C.", stop_at="http://"),
    Step(
        "demo",
        "demo {pets} --space space",
        "A folder for a Hugging Face Space: `app.py`, the model and its page.",
    ),
    Step(
        "resume",
        "planet --sample --size 48 --epochs 2 --no-html",
        "A training that Ctrl-C ends at the end of its batch:",
        codes=(130,),
        keep="planet",
        stop_at="epoch  1/2",
    ),
    Step("resume", "resume {planet}", "It goes on where it was."),
    Step(
        "planet",
        "planet --sample --size 48 --epochs 1 --seed 7 --no-html",
        "One epoch on the drawn sample; its default is ten.",
        keep="seven",
        picture="runs/{seven}/plots/per_tag.png",
    ),
    Step(
        "reproduce",
        "reproduce {seven}",
        "What has changed since; then the same training again, compared to the last digit.",
    ),
    Step(
        "compare",
        "compare {planet} {seven}",
        "Two runs that differ in seed and epochs.",
    ),
    Step("evaluate", "evaluate {planet} --tune-thresholds", "Tags: thresholds are fitted and stored."),
    Step(
        "submit",
        "submit {planet}",
        "The sample has test images and a sample submission, as the competition has. The file begins:",
        file="runs/{planet}/submission.csv",
        lines=6,
    ),
    Step("cache", "cache list", "The decoded images that the trainings above were served from."),
    Step("cache", "cache clear planet --yes", "Those of one recipe."),
    Step("data", "data --list", "What is on the disk; here the drawn samples of the trainings above."),
    Step(
        "doctor",
        "doctor",
        "On the machine that built these pages:",
    ),
)
"""One after the other, in one folder: later steps use the runs of earlier ones."""

OTHERS = (
    Step("recipes", "recipes", "All of them, with licence and reference result."),
    Step(
        "new",
        "new beetles --task multi-label",
        "A file that runs at once, with comments that say what to change. It begins:",
        file="beetles.py",
        lines=40,
    ),
    Step("new", "./beetles.py --sample --dry-run", "A recipe file is a command like any other."),
    Step("check", "check pets --sample", "A data set without faults."),
    Step(
        "check",
        "check --data photos",
        "Any folder of images; one of these is no image.",
        codes=(1,),
        prepare=lambda folder: photos(folder, broken=True),
    ),
    Step(
        "show",
        "show camvid --sample",
        "Augmented training images, with their masks.",
        picture="camvid-examples.png",
    ),
    Step(
        "lr-find",
        "lr-find planet --sample --size 48",
        "Suggestions, and the curve.",
        picture="planet-lr-find.png",
    ),
    Step("bench", "bench pets --sample --seconds 1", "Shortly, on the sample; the default is 5 seconds."),
    Step(
        "classify",
        "classify photos/1.jpg --arch mobilenet_v2 --weights random.safetensors --top 3",
        "**The weights here are random**, made on the spot since nothing is downloaded while these pages are "
        "built: so are the answers. Without `--weights`, the library's own are fetched.",
        prepare=random_weights,
    ),
    Step(
        "settings",
        "settings",
        "A whole settings file. It begins:",
        lines=30,
    ),
    Step(
        "settings",
        "pets --sample --dry-run",
        "With `[pets.sample]`, `size = 48` and `epochs = 1` in the settings.ini of the folder:",
        prepare=small_settings,
    ),
    Step(
        "camvid",
        "camvid --sample --epochs 1 --no-html",
        "One epoch on the drawn sample; its default is six.",
        keep="camvid",
        picture="runs/{camvid}/plots/examples.png",
    ),
    *(
        Step(name, f"{name} --sample --dry-run", "What a training on the drawn sample would do.")
        for name in ("csv", "dogscats", "fashionai", "folder", "headpose", "masks", "openimages", "shards")
    ),
)
"""Of no importance to each other; they run beside the first ones, in a folder of their own."""

NO_OUTPUT = {
    "push": "No output is shown: it sends a model to the Hugging Face Hub, and these pages are built without "
    "a network or a log-in.",
}
"""Commands without an example, and why."""
