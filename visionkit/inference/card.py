"""`visionkit card`: a model card in Hugging Face's format, from what a run and its bundle say."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.atomic import write_atomically
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError
from visionkit.inference.bundle_files import read_description
from visionkit.inference.card_figures import PARTS, Evaluated, class_rows, evaluations_of
from visionkit.inference.card_text import TASKS, USAGE, limits, markdown, steps
from visionkit.inference.description import Description
from visionkit.progress import quantity
from visionkit.runs import RUN_FILE, Run

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

CARD_FILE = "README.md"
PLACEHOLDER = "hf:OWNER/NAME"
MOST_COUNTS = 50
_MARK = "<!-- visionkit card "


def write_card(folder: Path, out: Path | None = None, name: str = PLACEHOLDER, force: bool = False) -> Path:
    """Write the model card of a bundle; returns its file.

    Args:
        folder: with the two files of the bundle; in a run folder, run.json and evaluations are told of too.
        out: the file; `README.md` beside the bundle where None.
        name: how the card says that the model is loaded.
        force: write over a file that visionkit did not write, or that was changed since.

    Raises:
        UsageError: the file is there already, and is not as visionkit wrote it.
        VisionkitError: the bundle or run.json is damaged, or the file cannot be written.
    """
    target = out or folder / CARD_FILE
    if not force and not is_untouched(target):
        raise UsageError(
            f"{target}: was not written by visionkit, or was changed by hand since. --force writes over it, "
            "--out FILE writes elsewhere; nothing was touched."
        )
    text = card_text(folder, name)
    try:
        write_atomically(target, f"{text}{_mark(text)}")
    except OSError as error:
        raise cannot_write(target, error) from error
    return target


def is_untouched(card: Path) -> bool:
    """Whether there is no card yet, or one that is as visionkit wrote it."""
    if not card.exists() and not card.is_symlink():
        return True
    try:
        written = card.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    text, found, _ = written.rpartition(_MARK)
    return bool(found) and written == f"{text}{_mark(text)}"


def card_text(folder: Path, name: str = PLACEHOLDER) -> str:
    """The model card of the bundle in `folder`: front matter in YAML, then Markdown.

    Raises:
        VisionkitError: the bundle or run.json is damaged.
    """
    from huggingface_hub import ModelCard
    from jinja2 import Environment, PackageLoader, StrictUndefined

    description = read_description(folder)
    run = Run.read(folder.parent) if (folder.parent / RUN_FILE).is_file() else None
    info = run.info if run is not None else {}
    evaluations, stale = evaluations_of(folder.parent, info, description) if run is not None else ([], 0)
    templates = Environment(
        loader=PackageLoader("visionkit.inference"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # it is Markdown, whose characters the filter md escapes
    )
    templates.filters["md"] = markdown
    body = templates.get_template("card.md.jinja").render(
        **_told(description, info, name),
        evaluations=evaluations,
        stale=_stale(stale),
        classes=class_rows(evaluations[0].per_class) if evaluations else None,
    )
    front = _front_matter(description, evaluations).to_yaml()
    return str(ModelCard(f"---\n{front}\n---\n\n{body}"))


def _told(description: Description, info: dict[str, Any], name: str) -> dict[str, Any]:
    """What the template asks for, besides figures."""
    _, kind, does = TASKS[description.task]
    data = info.get("data") or {}
    counts = list((data.get("classes") or {}).items())
    height, width = description.input_size
    network = description.network
    what = f"A model that {does.format(n=f'{len(description.vocab):,}')}, trained with visionkit's recipe "
    return {
        "title": _title(description),
        "synthetic": description.synthetic,
        "what": f"{what}{description.recipe}.",
        "facts": [
            ("task", description.task),
            ("architecture", f"{network.arch} ({network.library}), as a {network.kind}"),
            ("input", f"{height} x {width} pixels (height x width)"),
            ("outputs", f"{len(description.vocab):,} {kind}{'s' if kind != 'class' else 'es'}"),
            *_decision(description),
            ("weights", quantity(description.weights.bytes, "bytes")),
        ],
        "name": name,
        "usage": USAGE[description.task],
        "data": _data(description, info),
        "kind": kind,
        "counts": counts[:MOST_COUNTS],
        "counts_left": max(0, len(counts) - MOST_COUNTS),
        "vocab": description.vocab[:MOST_COUNTS],
        "vocab_left": max(0, len(description.vocab) - MOST_COUNTS),
        "training": _training(description, info),
        "stages": [_stage(stage) for stage in info.get("stages") or []],
        "valid": f"{int(data['valid']):,}" if "valid" in data else "training's",
        "metrics": [
            (name, "" if value is None else f"{value:.4f}") for name, value in description.metrics.items()
        ],
        "limits": limits(description, info),
        "exact": description.exact,
        "steps": steps(description),
        "versions": ", ".join(f"{package} {version}" for package, version in description.versions.items()),
    }


def _title(description: Description) -> str:
    drawn = "drawn in the layout of " if description.synthetic else ""
    return f"{description.recipe}: {drawn}{description.dataset or description.task}"


def _decision(description: Description) -> list[tuple[str, str]]:
    found = []
    if description.task == "multi-label":
        thresholds = description.thresholds
        if description.decision == "expected-f2":
            found.append(("decision", "the tags with the greatest expected F2"))
        elif isinstance(thresholds, list):
            told = ", ".join(f"{tag} {value:g}" for tag, value in zip(description.vocab, thresholds))
            found.append(("decision", f"tags above a threshold each: {told}"))
        else:
            found.append(("decision", f"tags above {thresholds:g}"))
    if description.temperature is not None:
        found.append(("temperature", f"{description.temperature:.4g}, fitted after the training"))
    return found


def _data(description: Description, info: dict[str, Any]) -> str:
    data = info.get("data") or {}
    said = [f"{'Images drawn in the layout of ' if description.synthetic else ''}{description.dataset}."]
    if data:
        said.append(f"{int(data['train']):,} images were trained on and {int(data['valid']):,} validated.")
        if data.get("skipped"):
            said.append(f"{int(data['skipped']):,} were left out.")
    licence = _licence(info)
    if licence and not description.synthetic:
        said.append(
            f"Terms of the data: {licence}. Whether they reach a model that was trained on them is for who "
            "passes it on to find out."
        )
    if description.data_fingerprint:
        said.append(f"Fingerprint: {description.data_fingerprint}.")
    return " ".join(said)


def _training(description: Description, info: dict[str, Any]) -> str:
    if not info:
        return "Nothing is known of it here but what model.json says."
    settings = info.get("settings") or {}
    start = "ImageNet or other weights" if settings.get("pretrained") else "random weights"
    said = [f"It started from {start}, and was trained on {info.get('device')} in {info.get('precision')}"]
    if info.get("seconds"):
        said.append(f" for {float(info['seconds']):,.0f} s")
    given = [(key, settings[key]) for key in ("bs", "loss", "seed") if settings.get(key) not in (None, "")]
    said.append(f" ({', '.join(f'{key} {value}' for key, value in given)})." if given else ".")
    return "".join(said)


def _stage(stage: dict[str, Any]) -> list[str]:
    rate = stage.get("lr")
    return [
        str(stage.get("number", "")),
        str(stage.get("size", "")),
        str(stage.get("epochs", "")),
        "head" if stage.get("frozen") else "all",
        "" if rate is None else f"{rate:.2g}",
    ]


def _stale(count: int) -> str:
    if not count:
        return ""
    what = "an evaluation is" if count == 1 else f"{count} evaluations are"
    return (
        f"Left out: {what} older than the thresholds, decision or temperature that the model has now. "
        "visionkit evaluate makes new figures."
    )


def _licence(info: dict[str, Any]) -> str:
    """The terms of the recipe's data set; empty where the recipe is gone or does not know them.

    A recipe file is read and not executed: a card is written of runs from anywhere.
    """
    from visionkit.recorded_recipe import licence_in
    from visionkit.registry import get_recipe, recipe_names

    if (file := info.get("recipe_file")) is not None:
        return licence_in(Path(file))
    return get_recipe(info["recipe"]).licence if info.get("recipe") in recipe_names() else ""


def _front_matter(description: Description, evaluations: list[Evaluated]) -> ModelCardData:
    from huggingface_hub import EvalResult, ModelCardData

    pipeline, _, _ = TASKS[description.task]
    results = [
        EvalResult(
            task_type=pipeline,
            dataset_type=description.recipe,
            dataset_name=description.dataset or description.recipe,
            dataset_split=each.part,
            metric_type=figure,
            metric_value=round(value, 6),
        )
        for each in evaluations
        if each.comparable
        for figure, (value, _, _) in each.figures.items()
    ] or [
        EvalResult(
            task_type=pipeline,
            dataset_type=description.recipe,
            dataset_name=description.dataset or description.recipe,
            dataset_split=PARTS["valid"],
            metric_type=figure,
            metric_value=round(value, 6),
        )
        for figure, value in description.metrics.items()
        if value is not None
    ]
    return ModelCardData(  # without a licence: the data's is not the weights', which is their owner's to say
        library_name="visionkit",
        pipeline_tag=pipeline,
        tags=[
            "visionkit",
            description.task,
            description.network.arch,
            *(["drawn-images"] * description.synthetic),
        ],
        model_name=f"{description.recipe}-{description.network.arch}",
        eval_results=None if description.synthetic else results or None,
    )


def _mark(text: str) -> str:
    """The last line of a card: tells whether it is as it was written."""
    return f"{_MARK}{sha256(text.encode()).hexdigest()[:16]} -->\n"
