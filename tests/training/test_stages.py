"""Settings into stages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionkit.errors import UsageError
from visionkit.settings import TrainSettings
from visionkit.training.stages import plan_stages

COUNTS = st.integers(0, 5)


@given(st.lists(st.integers(1, 512), min_size=1, max_size=4), st.data(), st.booleans())
def test_stages_follow_sizes_and_epochs(sizes: list[int], data: st.DataObject, pretrained: bool) -> None:
    frozen, unfrozen = (
        data.draw(
            st.one_of(COUNTS.map(lambda n: [n]), st.lists(COUNTS, min_size=len(sizes), max_size=len(sizes)))
        )
        for _ in range(2)
    )
    settings = TrainSettings(
        size=sizes[0], then=tuple(sizes[1:]), freeze_epochs=tuple(frozen), epochs=tuple(unfrozen)
    )
    pairs = [(frozen[i % len(frozen)], unfrozen[i % len(unfrozen)]) for i in range(len(sizes))]
    if not any((head and pretrained) or whole for head, whole in pairs):
        with pytest.raises(UsageError, match="no epoch to train"):
            plan_stages(settings, pretrained)
        return
    expected = []
    for size, (head, whole) in zip(sizes, pairs):
        expected += [(size, True, head), (size, False, whole)] if pretrained else [(size, False, whole)]
    stages = plan_stages(settings, pretrained)
    assert [(stage.size, stage.frozen, stage.epochs) for stage in stages] == [
        plan for plan in expected if plan[2]
    ]
    assert [stage.number for stage in stages] == list(range(1, len(stages) + 1))


def test_rates() -> None:
    stages = plan_stages(TrainSettings(size=128, then=(256,), lr=0.01, lr_mult=10), pretrained=True)
    assert [stage.max_rate(stage.lr or 0) for stage in stages] == [
        0.01,
        slice(0.0005, 0.005),
        0.005,
        slice(0.00025, 0.0025),
    ]
    scratch = plan_stages(TrainSettings(size=128, then=(256,), lr=0.01), pretrained=False)
    assert [(stage.name, stage.epochs, stage.max_rate(stage.lr or 0)) for stage in scratch] == [
        ("unfrozen", 1, 0.01),
        ("unfrozen", 1, 0.005),
    ]


def test_automatic_rates_are_found_later() -> None:
    assert {stage.lr for stage in plan_stages(TrainSettings(lr="auto"), pretrained=True)} == {None}
