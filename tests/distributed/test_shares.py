"""The shares of a batch put together are the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fastai.torch_core import set_seed
from hypothesis import given
from hypothesis import strategies as st

from visionkit.loading.share import Share
from visionkit.registry import get_recipe
from visionkit.tasks import get_task
from visionkit.training.shares import divisors, loss_of_share


@given(st.integers(0, 300), st.integers(1, 40))
def test_each_image_is_in_one_share_and_shares_are_even(count: int, size: int) -> None:
    shares = [range(count)[Share(rank, size).of(count)] for rank in range(size)]
    assert [place for share in shares for place in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("cache", ["auto", "off"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("size", [2, 5])
def test_loaders_of_shares(pets: Path, tmp_path: Path, cache: str, workers: int, size: int) -> None:
    recipe = get_recipe("pets")

    def batches(share: Share) -> list[list[tuple[torch.Tensor, torch.Tensor]]]:
        set_seed(3)
        options = {"bs": 7, "size": 32, "cache": cache, "workers": workers, "valid_pct": 0.35}
        dls = recipe.dataloaders(pets, device="cpu", **options)
        for loader in dls.loaders:
            loader.take_share(share)
        return [[(x.as_subclass(torch.Tensor), y) for x, y in loader] for loader in (dls.train, dls.valid)]

    whole = batches(Share(0, 1))
    shares = [batches(Share(rank, size)) for rank in range(size)]
    for part in range(2):
        for number, (x, y) in enumerate(whole[part]):
            own = [share[part][number] for share in shares if number < len(share[part])]
            assert torch.equal(torch.cat([each[1] for each in own]), y)
            if cache == "auto" or part == 1:  # else batch transforms draw numbers of their own
                torch.testing.assert_close(torch.cat([each[0] for each in own]), x)
    counts = {len(share[0]) for share in shares}
    assert counts == {len(whole[0])}, "all make as many steps"


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.data())
def test_losses_of_shares_add_up(labels: list[int], data: st.DataObject) -> None:
    settings = get_recipe("pets").resolved()
    weights = data.draw(st.sampled_from([None, torch.tensor([0.5, 1.0, 2.0, 0.1])]))
    loss = get_task("single-label").loss(settings, list("abcd"), weights)
    targets = torch.tensor(labels)
    predicted = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(len(labels)))
    cut = data.draw(st.integers(1, len(labels) - 1))
    whole = divisors(loss, (targets,))
    parts = [slice(0, cut), slice(cut, len(labels))]
    own = [divisors(loss, (targets[part],)) for part in parts]
    torch.testing.assert_close(sum(own), whole)
    found = sum(
        loss_of_share(loss, predicted[part], (targets[part],), mine, whole) for part, mine in zip(parts, own)
    )
    torch.testing.assert_close(found, loss(predicted, targets))
