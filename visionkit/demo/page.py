"""The page: images in, and for each of them what the model says."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from visionkit.demo.answers import confidences, mask_layers, point_picture, tag_table
from visionkit.errors import DataError
from visionkit.inference.computing import Computed, computed
from visionkit.inference.predictor import Predictor
from visionkit.inference.results import (
    LabelPrediction,
    MaskPrediction,
    Prediction,
    TagPrediction,
)
from visionkit.visible import visible

MOST_IMAGES = 16
"""At once."""
TOP = 5
KEPT = 3600
"""Seconds after which images that were given are deleted."""
KINDS = {
    "single-label": ("class", "classes"),
    "multi-label": ("tag", "tags"),
    "segmentation": ("code", "codes"),
    "keypoints": ("point", "points"),
}
"""What a model's names are names of: one, and several."""
SYNTHETIC = "This model was trained on synthetic sample data: its answers mean nothing for real images."


def demo_page(
    predictor: Predictor, title: str, examples: Sequence[Path] = (), most: int = MOST_IMAGES
) -> gr.Blocks:
    """The page of a model.

    Args:
        predictor: the model.
        title: of the page.
        examples: images to try it on.
        most: how many images are looked at at once.
    """
    said = predictor.description
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gr.HTML(_head(title, predictor))
        given = gr.Gallery(
            label="Images: drop, paste or pick them",
            type="filepath",
            file_types=["image"],
            sources=["upload", "clipboard"],
            columns=8,
            height=220,
            object_fit="contain",
            fit_columns=False,
            interactive=True,
            elem_id="images",
        )
        threshold = gr.Slider(
            0,
            1,
            value=0,
            step=0.01,
            label="Threshold for all tags; 0 takes the model's own",
            visible=said.task == "multi-label",
            elem_id="threshold",
        )
        files = gr.State([])
        gr.on([given.upload, given.change, given.delete], _paths, given, files, api_visibility="private")
        if examples:
            _examples(given, files, examples)

        @gr.render(inputs=[files, threshold], concurrency_limit=1)
        def answers(paths: list[str], limit: float) -> None:
            if len(paths) > most:
                gr.Warning(f"The first {most} of {len(paths)} images are looked at.")
            for each in computed(predictor, map(Path, paths[:most]), batch=most):
                with gr.Row(elem_classes="answer"):
                    _answer(predictor, each, limit or None)

    page.queue(max_size=64, default_concurrency_limit=1)
    return page


def _head(title: str, predictor: Predictor) -> str:
    said = predictor.description
    names = f"{len(said.vocab):,} {KINDS[said.task][len(said.vocab) != 1]}"
    what = f"{said.task}, {visible(said.network.arch)}, {names}"
    warned = f"<p role='note'><strong>{SYNTHETIC}</strong></p>" if said.synthetic else ""
    return f"<h1>{html.escape(visible(title))}</h1><p>{html.escape(what)}</p>{warned}"


def _paths(images: list[tuple[str, Any]] | None) -> list[str]:
    """The files of what a gallery holds."""
    return [path for path, _ in images or []]


def _examples(given: gr.Gallery, files: gr.State, examples: Sequence[Path]) -> None:
    """Images of which a click looks at one."""
    paths = [str(path) for path in examples]
    shown = gr.Gallery(
        value=[(path, visible(Path(path).name)) for path in paths],
        label="Examples: click one",
        columns=8,
        height=150,
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        elem_id="examples",
        buttons=[],
    )

    def taken(event: gr.SelectData) -> tuple[list[str], list[str]]:
        chosen = [paths[int(event.index)]]
        return chosen, chosen

    shown.select(taken, outputs=[given, files], api_visibility="private")


def _answer(predictor: Predictor, each: Computed, threshold: float | None) -> None:
    """The components for one image."""
    name = visible(Path(each.name).name)
    if each.fault is not None:
        gr.HTML(f"<p role='alert'>{html.escape(f'{name}: {visible(each.fault)}')}.</p>")
        return
    try:
        picture = predictor.preprocessing.read(Path(each.name))
    except DataError as error:  # it was deleted meanwhile
        gr.HTML(f"<p role='alert'>{html.escape(f'{name}: {error}')}.</p>")
        return
    _components(predictor, name, picture, each.prediction(), threshold)


def _components(
    predictor: Predictor, name: str, picture: Image.Image, found: Prediction, threshold: float | None
) -> None:
    if isinstance(found, MaskPrediction):
        image, layers, colors = mask_layers(picture, found)
        gr.AnnotatedImage(
            (image, layers), color_map=colors, label=f"{name}: codes and their share of the pixels"
        )
        return
    small = picture.convert("RGB")
    small.thumbnail((512, 512))
    if isinstance(found, LabelPrediction):
        gr.Image(small, label=name, height=280, buttons=["fullscreen"])
        gr.Label(confidences(found), num_top_classes=TOP, label="Classes")
    elif isinstance(found, TagPrediction):
        chosen, rows = tag_table(predictor, found, threshold)
        gr.Image(small, label=name, height=280, buttons=["fullscreen"])
        with gr.Column():
            gr.Textbox(", ".join(chosen) or "none", label="Tags", interactive=False)
            gr.Dataframe(
                rows,
                headers=["tag", "probability", "threshold", "chosen"],
                label="All tags",
                interactive=False,
            )
    else:
        drawn, rows = point_picture(picture, found)
        gr.Image(drawn, label=name, buttons=["fullscreen"])
        gr.Dataframe(rows, headers=["point", "x in pixels", "y in pixels"], interactive=False)
