"""The order of an epoch: classes as often as their share says, the photographs of a class as evenly as possible."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.images.loader import epoch_order
from ml.training.sampling import order

sizes = st.lists(st.integers(1, 40), min_size=1, max_size=12)
powers = st.sampled_from([0.0, 0.25, 0.5, 0.9])


def labelled(counts: list[int]) -> NDArray[np.int64]:
    """So many photographs of each class, in no order; class ids have gaps."""
    labels = np.repeat(3 * np.arange(len(counts)), counts)
    return np.random.default_rng(5).permutation(labels)


def epochs(labels: NDArray[np.int64], *, power: float, count: int, seed: int = 1) -> list[NDArray[np.intp]]:
    return [order(labels, seed=seed, stage="species", epoch=epoch, power=power) for epoch in range(count)]


@given(counts=sizes, power=powers, seed=st.integers(0, 2**40), count=st.integers(1, 4))
def test_each_class_comes_as_often_as_its_share_says(counts: list[int], power: float, seed: int, count: int) -> None:
    labels = labelled(counts)
    sizes = np.array(counts)
    wanted = len(labels) * sizes**power / (sizes**power).sum()
    drawn = np.zeros(len(counts))
    for positions in epochs(labels, power=power, count=count, seed=seed):
        assert len(positions) == len(labels), "an epoch keeps its length"
        times = np.bincount(labels[positions] // 3, minlength=len(counts))
        assert (np.abs(times - wanted) < 1 + 1e-6).all()
        drawn += times
    assert (np.abs(drawn - count * wanted) < count + 1e-6).all()


@given(counts=sizes, power=powers, count=st.integers(1, 4))
def test_no_photograph_comes_again_before_all_others_of_its_class(counts: list[int], power: float, count: int) -> None:
    labels = labelled(counts)
    times = np.zeros(len(labels), dtype=int)
    for positions in epochs(labels, power=power, count=count):
        times += np.bincount(positions, minlength=len(labels))
        for class_id in np.unique(labels):
            assert np.ptp(times[labels == class_id]) <= 1


def test_a_class_whose_share_is_less_than_one_comes_every_few_epochs() -> None:
    """110 photographs of one class, one of each of ten others, drawn by 1.5: the ten come in under half the epochs."""
    labels = np.repeat(np.arange(11), [110, *[1] * 10])
    share = 120 / (110**0.9 + 10)
    drawn = [np.bincount(labels[positions], minlength=11)[1:] for positions in epochs(labels, power=0.9, count=40)]
    assert (np.abs(np.sum(drawn, axis=0) - 40 * share) <= 2).all(), "no class is forgotten, or comes by luck alone"


def test_what_is_drawn_depends_on_seed_stage_and_epoch_only() -> None:
    labels = labelled([30, 4, 9])
    arguments: list[dict[str, Any]] = [
        {"seed": seed, "stage": stage, "epoch": epoch}
        for seed in (1, 2) for stage in ("genus", "species") for epoch in (0, 1)
    ]  # fmt: skip
    for power in (0.0, 0.5, 1.0):
        orders = [order(labels, power=power, **each) for each in arguments]
        again = [order(labels, power=power, **each) for each in reversed(arguments)][::-1]
        assert all(np.array_equal(one, other) for one, other in zip(orders, again, strict=True))
        assert len({one.tobytes() for one in orders}) == len(arguments)


def test_with_a_power_of_one_each_photograph_comes_once() -> None:
    labels = labelled([30, 4, 9])
    stage: dict[str, Any] = {"seed": 3, "stage": "species", "epoch": 2}
    assert np.array_equal(order(labels, power=1, **stage), epoch_order(43, **stage))


@pytest.mark.parametrize(("power", "rare"), [(0.0, 0.5), (0.5, 0.25), (1.0, 0.1)])
def test_the_square_root_lies_between(power: float, rare: float) -> None:
    """Mahajan et al. 2018: nine times as many photographs are drawn three times as often."""
    labels = labelled([900, 100])
    positions = order(labels, seed=0, stage="species", epoch=0, power=power)
    assert np.mean(labels[positions] == 3) == pytest.approx(rare, abs=1e-3)
