"""The examples below the help texts."""

from __future__ import annotations

from rich.markup import escape

Examples = tuple[tuple[str, str], ...]

COMMANDS: dict[str, Examples] = {
    "": (
        ("visionkit pets --sample", "a first training, on drawn images"),
        ("visionkit planet --size 128 --then 256", "at 128 px, then on at 256"),
        ("visionkit predict last photos/", "what the newest model says"),
    ),
    "recipes": (("visionkit recipes", "task, data, licence, reference"),),
    "new": (
        ("visionkit new flowers", "flowers.py, one label an image"),
        ("visionkit new clouds --task multi-label", "clouds.py, tags"),
    ),
    "data": (
        ("visionkit data pets", "fetch it, say where it is"),
        ("visionkit data planet --test", "the test images too"),
        ("visionkit data --list", "what is on the disk"),
    ),
    "check": (
        ("visionkit check pets --report pets.html", "a page with pictures"),
        ("visionkit check pets --exclude bad.txt", "what --skip leaves out"),
        ("visionkit check --data photos/", "any folder of images"),
    ),
    "show": (
        ("visionkit show pets --sample", "pets-examples.png"),
        ("visionkit show planet --size 256 --out big.png", ""),
    ),
    "lr-find": (("visionkit lr-find pets --sample", "pets-lr-find.png"),),
    "bench": (
        ("visionkit bench pets --sample", "images/s, and what limits"),
        ("visionkit bench pets --sample --against stock", "beside stock fastai"),
    ),
    "runs": (("visionkit runs", "in ./runs, best first"),),
    "watch": (
        ("visionkit watch", "the newest run"),
        ("visionkit watch runs/NAME --once", "draw it once, and stop"),
    ),
    "resume": (
        ("visionkit resume last", "at the batch that was saved"),
        ("visionkit resume last --data /new/place", "the data set has moved"),
    ),
    "plot": (("visionkit plot last", ""), ("visionkit plot last --svg", "SVG files, too")),
    "report": (("visionkit report last --open", "write it, look at it"),),
    "compare": (("visionkit compare last runs/NAME --open", "two runs side by side"),),
    "evaluate": (
        ("visionkit evaluate last", "figures with intervals"),
        ("visionkit evaluate last --tta", "averaged over views of each image"),
        ("visionkit evaluate last --tune-thresholds", "tags"),
    ),
    "reproduce": (("visionkit reproduce last", "train again, and compare"),),
    "predict": (
        ("visionkit predict last photos/", "an answer a line"),
        ("visionkit predict last photos/ --out answers.csv", "or .parquet"),
        ("visionkit predict last frame.png --out masks/", "masks as PNG"),
        ("visionkit predict last photos/ --out a.parquet --shard 3/16", ""),
    ),
    "merge": (
        ("visionkit merge answers.parquet", "is all there, and once?"),
        ("visionkit merge answers.parquet --out one.parquet", ""),
    ),
    "demo": (
        ("visionkit demo last --open", "a page, in the browser"),
        ("visionkit demo last --space my-space", "for Hugging Face Spaces"),
    ),
    "export": (
        ("visionkit export last --to onnx", ""),
        ("visionkit export last --to onnx --precision int8", "a quarter of the size"),
    ),
    "submit": (
        ("visionkit submit last", "submission.csv in the run folder"),
        ('visionkit submit last --upload --message "256 px"', ""),
    ),
    "card": (("visionkit card last", "README.md beside the model"),),
    "push": (("visionkit push last OWNER/NAME --private", ""),),
    "load": (("visionkit load hf:OWNER/NAME --out model", "a copy"),),
    "classify": (
        ("visionkit classify cat.jpg", "ImageNet's classes, top five"),
        ("visionkit classify photos/ --arch vgg16 --out answers.csv", ""),
    ),
    "cache": (
        ("visionkit cache list", "what there is, how large"),
        ("visionkit cache clear pets --older-than 30", "not used for 30 days"),
    ),
    "settings": (("visionkit settings > settings.ini", "in force in its folder"),),
    "doctor": (("visionkit doctor", "what is wrong here"),),
}
"""Command -> calls, each with what it does; "" is the program itself."""

TRAINING = (
    ("visionkit {} --sample", "small, drawn images"),
    ("visionkit {} --data FOLDER --size 128 --then 256", "your images; two sizes"),
    ("visionkit {} --data FOLDER --lr auto --epochs 5", "the rate is searched"),
    ("visionkit {} --data FOLDER --dry-run", "what would happen"),
)


def examples(command: str) -> str:
    """The epilog of a command's help text."""
    return _epilog(COMMANDS[command])


def recipe_examples(recipe: str, action: str) -> str:
    """The epilog of the help text of `recipe` under a command, or of its training for "train"."""
    if action == "train":
        return _epilog(tuple((call.format(recipe), remark) for call, remark in TRAINING))
    return _epilog(((f"visionkit {action.replace('_', '-')} {recipe} --sample", ""),))


def _epilog(calls: Examples) -> str:
    """A line for each call."""
    width = max(len(call) for call, _ in calls)
    lines = [f"{call:{width}}  {remark}".rstrip() for call, remark in calls]
    return "\n".join(["Examples:" if len(lines) > 1 else "Example:", *map(escape, lines)])
