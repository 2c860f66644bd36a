"""Training with fastai alone, written as its course does: DataBlocks, learners, and the calls of fit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fastai.vision.all as fv
import pandas as pd

VALID_PCT = 0.2


@dataclass(frozen=True)
class Plan:
    """A training, of either side.

    Args:
        arch: the body, of torchvision.
        lr: the peak rate of the first stage; the unfrozen stage and every further size halve it.
        lr_mult: how much slower the first layers learn than the head.
        bs: images in a batch.
        sizes: in pixels, one after the other.
        freeze_epochs: with the body frozen, one entry a size; none without weights.
        epochs: with everything training, one entry a size.
        pretrained: whether the body starts from a file of weights.
        presize: of pets' photos, in pixels; twice the size where None.
    """

    arch: str
    lr: float
    lr_mult: float
    bs: int
    sizes: tuple[int, ...]
    freeze_epochs: tuple[int, ...]
    epochs: tuple[int, ...]
    pretrained: bool = True
    presize: int | None = None

    def options(self, task: str, weights: Path | None) -> dict[str, Any]:
        """The same as options of a visionkit recipe.

        Args:
            task: pets, planet, camvid or dogscats.
            weights: of the body, where it is pretrained.
        """
        options = asdict(self)
        size, *then = options.pop("sizes")
        presize = options.pop("presize")
        options |= {"size": size, "then": tuple(then), "valid_pct": VALID_PCT}
        if self.pretrained:
            options["weights"] = weights
        if task == "pets" and presize:
            options["presize"] = presize
        return options


def weights_file(data: Path, plan: Plan) -> Path | None:
    """The body's weights in `data`; None for a training from scratch."""
    return data / "weights" / f"{plan.arch}.pth" if plan.pretrained else None


# ---- DataBlocks ------------------------------------------------------------------------------------------


def camvid_block(path: Path, size: int, seed: int, presize: int | None = None) -> fv.DataBlock:
    """CamVid's frames and masks; validation as valid.txt says, so that `seed` plays no part."""
    codes = (path / "codes.txt").read_text().split()
    validation = set((path / "valid.txt").read_text().split())
    frames = sorted(fv.get_image_files(path / "images"))
    width, height = fv.PILImage.create(frames[0]).size
    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.MaskBlock(codes)),
        get_items=lambda _: frames,
        get_y=lambda frame: path / "labels" / f"{frame.stem}_P.png",
        splitter=fv.FuncSplitter(lambda frame: frame.name in validation),
        item_tfms=fv.Resize((size, round(size * width / height)), method="squish"),
        batch_tfms=[*fv.aug_transforms(), fv.Normalize.from_stats(*fv.imagenet_stats)],
    )


def planet_block(path: Path, size: int, seed: int, presize: int | None = None) -> fv.DataBlock:
    """Planet's chips. The vocabulary is given: fastai stops at a tag that only validation chips have."""
    table = pd.read_csv(path / "labels.csv")
    vocab = sorted({tag for tags in table["tags"] for tag in tags.split()})
    augmentation = fv.aug_transforms(flip_vert=True, max_lighting=0.1, max_zoom=1.05, max_warp=0.0)
    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.MultiCategoryBlock(vocab=vocab)),
        get_items=lambda _: table,
        get_x=fv.ColReader("image_name", pref=path / "train", suff=".jpg"),
        get_y=fv.ColReader("tags", label_delim=" "),
        splitter=fv.RandomSplitter(VALID_PCT, seed=seed),
        item_tfms=fv.Resize(size),
        batch_tfms=[*augmentation, fv.Normalize.from_stats(*fv.imagenet_stats)],
    )


def pets_block(path: Path, size: int, seed: int, presize: int | None = None) -> fv.DataBlock:
    """The pets' photos, labelled by their names, with the course's presizing."""
    augmentation = fv.aug_transforms(size=size, min_scale=0.75)
    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock),
        get_items=lambda folder: sorted(fv.get_image_files(folder / "images")),
        get_y=fv.using_attr(fv.RegexLabeller(r"^(.+)_\d+\.[^.]+$"), "name"),
        splitter=fv.RandomSplitter(VALID_PCT, seed=seed),
        item_tfms=fv.Resize(presize or 2 * size),
        batch_tfms=[*augmentation, fv.Normalize.from_stats(*fv.imagenet_stats)],
    )


BLOCKS = {"camvid": camvid_block, "planet": planet_block, "pets": pets_block}


def dataloaders(
    task: str,
    path: Path,
    size: int,
    bs: int,
    seed: int,
    presize: int | None = None,
    workers: int | None = None,
) -> fv.DataLoaders:
    """The task's DataLoaders; `workers` None leaves their number to fastai."""
    block = BLOCKS[task](path, size, seed, presize)
    dls = block.dataloaders(path, bs=bs, **({} if workers is None else {"num_workers": workers}))
    if task == "camvid":
        dls.vocab = (path / "codes.txt").read_text().split()
    return dls


# ---- training --------------------------------------------------------------------------------------------


def learner(task: str, dls: fv.DataLoaders, plan: Plan, weights: Path | None) -> fv.Learner:
    """`vision_learner` or `unet_learner` as in the course; with the body's weights from a file, if any."""
    arch = getattr(fv.models, plan.arch)

    def body(
        weights: str | None = None, pretrained: bool = True, file: Path | None = weights
    ) -> fv.nn.Module:
        model: fv.nn.Module = arch()
        if file is not None:
            model.load_state_dict(fv.torch.load(file, map_location="cpu", weights_only=True))
        return model

    options: dict[str, Any] = {}
    if task == "camvid":
        loss = fv.CrossEntropyLossFlat(axis=1, ignore_index=dls.vocab.index("Void"))
        options = {"n_out": len(dls.vocab), "loss_func": loss}
    if task == "camvid" and plan.arch.startswith("squeezenet"):  # whose own cut and groups suit no U-Net
        options["cut"] = lambda net: net.features
    else:
        fv.model_meta[body] = fv.model_meta[arch]  # fastai's own cut and parameter groups
    if task == "camvid":
        return fv.unet_learner(dls, body, pretrained=weights is not None, **options)
    return fv.vision_learner(dls, body, pretrained=weights is not None)


def train(
    task: str,
    path: Path,
    plan: Plan,
    weights: Path | None,
    seed: int,
    *,
    workers: int | None = None,
    callbacks: Sequence[fv.Callback] = (),
    fp16: bool = False,
) -> tuple[fv.Learner, float]:
    """Frozen, unfrozen, and both again at the next size with halved rates; unfrozen only without weights.

    Args:
        task: pets, planet or camvid.
        path: the data set.
        plan: how.
        weights: of the body; None trains from scratch.
        seed: of the split, the weights and the order.
        workers: processes that load images; fastai's default where None.
        callbacks: further ones.
        fp16: mixed precision, on a GPU.

    Returns:
        The Learner, and the seconds that fitting took.
    """
    fv.set_seed(seed)
    learn, seconds = None, 0.0
    for step, size in enumerate(plan.sizes):
        dls = dataloaders(task, path, size, plan.bs, seed, plan.presize, workers)
        if learn is None:
            learn = learner(task, dls, plan, weights)
            learn.add_cbs(callbacks)
            if fp16:
                learn.to_fp16()
        learn.dls = dls
        lr = plan.lr / 2**step
        started = time.perf_counter()
        with learn.no_bar(), learn.no_logging():
            if weights is None:
                learn.fit_one_cycle(plan.epochs[step], lr)
            else:
                if plan.freeze_epochs[step]:
                    learn.freeze()
                    learn.fit_one_cycle(plan.freeze_epochs[step], lr)
                if plan.epochs[step]:
                    learn.unfreeze()
                    learn.fit_one_cycle(plan.epochs[step], slice(lr / 2 / plan.lr_mult, lr / 2))
        seconds += time.perf_counter() - started
    return learn, seconds
