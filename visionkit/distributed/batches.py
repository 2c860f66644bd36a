"""The step of a training by several processes: each computes its share of a batch, all make the same step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.learner import CancelBackwardException, CancelStepException, Learner
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from visionkit.checkpoints.going_on import GoingOn
from visionkit.distributed.batch_norm import SMALL, synced_batch_norm, unsynced
from visionkit.distributed.gathering import gather_metrics
from visionkit.distributed.world import World
from visionkit.errors import UsageError
from visionkit.loading.seeded import generator_at
from visionkit.loading.share import WHOLE
from visionkit.settings import too_few_images
from visionkit.training.parts import Parts
from visionkit.training.shares import divisors, loss_of_share
from visionkit.training.step import PlainStep


class SharedBatches(Parts):
    """Computes this process' share of each batch; gradients, losses and metrics are those of the whole.

    Every process draws the same order and the same batches, and makes its part of them: with any number of
    processes the optimiser sees what it would see in one. Gradients are averaged by
    `DistributedDataParallel`, while the backward pass goes on. A loss is that of the whole batch in all
    processes, with class weights and void pixels too. Validation images are each seen once.

    Args:
        world: the processes.
    """

    order = Parts.order + 5

    def __init__(self, world: World) -> None:
        super().__init__(enabled=False)
        self.world = world
        self._network: Any = None
        self._seen = 0

    @property
    def name(self) -> str:
        return "parts"  # whose place it takes

    def before_fit(self) -> None:
        """All begin with the first one's weights and order."""
        _onto_its_device(self.learn)
        loaders = self.learn.dls.loaders
        states = self.world.told(lambda: [loader.rng.getstate() for loader in loaders])
        for loader, state in zip(loaders, states):
            if loader.rng.getstate() != state:
                loader.rng = generator_at(state)
            loader.take_share(self.world.share)
        model, device = self.learn.model, self.learn.dls.device
        places = None if device is None or device.type != "cuda" else [device.index]
        self._network = DistributedDataParallel(model, device_ids=places)

    def after_fit(self) -> None:
        self._network = None
        give_back(self.learn)

    def before_batch(self) -> None:
        size, learn = self.learn.dl.bs, self.learn
        whole = min(size, learn.dl.n - learn.iter * size)
        learn.batch_images = whole
        learn.first_image = learn.iter * size + self.world.share.of(whole).start

    def before_validate(self) -> None:
        self._seen = 0

    def after_validate(self) -> None:
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()  # what metrics keep was copied beside the computation
        for _ in range(len(self.learn.dl) - self._seen):  # the last batch had no image for this process
            self._whole(torch.zeros(2, device=self.learn.dls.device))
            self.world.summed(torch.zeros((), device=self.learn.dls.device))
        gather_metrics(self.learn, self.world)

    def compute(self) -> None:
        learn = self.learn
        network = self._network if learn.training else learn.model
        learn.pred = network(*learn.xb)
        learn("after_pred")
        if not len(learn.yb):
            return
        self._seen += 1
        own = divisors(learn.loss_func, learn.yb)
        part = loss_of_share(learn.loss_func, learn.pred, learn.yb, own, self._whole(own))
        learn.loss_grad = part * self.world.size  # of which the mean over all processes is taken
        learn.loss = self.world.summed(part.float())
        learn("after_loss")
        if learn.training:
            learn._with_events(learn._backward, "backward", CancelBackwardException)
            learn._with_events(learn._step, "step", CancelStepException)
            learn.opt.zero_grad()

    def _whole(self, own: Tensor) -> Tensor:
        return self.world.summed(own)


class OwnNumbers(Callback):
    """What is drawn for dropout and MixUp is each process' own, after a resume too; validation is with the
    first one's BatchNorm statistics, as each has seen other images.

    Args:
        world: the processes.
    """

    order = GoingOn.order + 1  # once random states are restored; and after an average has taken its place

    def __init__(self, world: World) -> None:
        self.world = world

    def before_train(self) -> None:
        seed = self.world.told(lambda: torch.initial_seed() + int(self.learn.dls.train.rng.getstate()[1][0]))
        if not self.world.leads:
            torch.manual_seed((seed + 8191 * self.epoch) % 2**62 + self.world.rank)

    def before_validate(self) -> None:
        for buffer in self.learn.model.buffers():
            torch.distributed.broadcast(buffer, src=0)


def _onto_its_device(learn: Learner) -> None:
    """Fastai does so only after the network has been wrapped."""
    device = learn.dls.device
    if device is not None:
        learn.model.to(device)
        if isinstance(learn.loss_func, nn.Module):
            learn.loss_func.to(device)


def give_back(learn: Learner) -> None:
    """Let batches be whole again, also for what reads where a share begins."""
    for loader in learn.dls.loaders:
        loader.take_share(WHOLE)
    for name in ("first_image", "batch_images"):
        vars(learn).pop(name, None)


@contextmanager
def shared_batches(learn: Learner, world: World, sync_bn: str) -> Iterator[None]:
    """Let `learn` train as one of the processes of `world` meanwhile; nothing changes for one alone.

    Args:
        learn: with DataLoaders of visionkit, the same in all processes.
        world: the processes.
        sync_bn: "on", "off", or "auto" for where a process has fewer than 16 images of a batch.

    Raises:
        UsageError: batches have fewer than two images for each process.
    """
    if world.size == 1:
        yield
        return
    bs = learn.dls.train.bs  # no more than there are images
    if refused := too_few_images(bs, world.size):
        raise UsageError(refused)
    synced = sync_bn == "on" or (sync_bn == "auto" and bs // world.size < SMALL)
    if synced and (others := unsynced(learn.model)):
        told = f"--sync-bn {sync_bn}: {', '.join(others)} cannot see the images of all processes"
        if sync_bn == "on":
            raise UsageError(f"{told}. Leave it out, or take another --arch.")
        if world.leads:
            learn.parts.note(f"{told}; each has {bs // world.size} of a batch")
    usual, own = learn.parts, OwnNumbers(world)
    learn.remove_cb(usual)
    PlainStep.install(learn, SharedBatches(world))
    learn.add_cb(own)
    try:
        with synced_batch_norm(learn.model, learn.dls.device) if synced else nullcontext():
            yield
    finally:
        give_back(learn)
        learn.remove_cbs([learn.parts, own])
        PlainStep.install(learn, usual)
