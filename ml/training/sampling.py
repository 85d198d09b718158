"""The order of photographs in an epoch: each of them once, or those of rare classes more often."""

import numpy as np
from numpy.typing import NDArray

from ml.images.loader import epoch_order
from ml.images.pack import Photos
from ml.training.recipes import Recipe
from ml.training.seeds import seed_of

TURN = (5**0.5 - 1) / 2
"""The golden ratio's fraction: of its multiples, the fractions fill [0, 1) evenly however many are taken."""

_POINTS, _ROUND, _EPOCH = 1, 2, 3
"""What is drawn: where sampling begins, a class's order of one round, the order of an epoch."""


def counts(photos: Photos, *, classes: int) -> NDArray[np.int64]:
    """Photographs of each class. Shape: classes."""
    return np.bincount(photos.labels, minlength=classes)


def drawn(photos: Photos, recipe: Recipe, *, seed: int, epoch: int) -> tuple[Photos, NDArray[np.intp]]:
    """What an epoch shows of `photos`, and in which order.

    With a `sampling` below 1, what is drawn takes the place of the photographs: one that is drawn several times is
    there as often, and is cropped and coloured anew each time.
    """
    positions = order(photos.labels, seed=seed, stage=recipe.stage, epoch=epoch, power=recipe.sampling)
    if recipe.sampling == 1:
        return photos, positions
    return photos.take(positions), np.arange(len(photos))


def order(labels: NDArray[np.int64], *, seed: int, stage: str, epoch: int, power: float) -> NDArray[np.intp]:
    """Positions of an epoch's photographs, as many as there are labels.

    A class with n photographs is drawn in proportion to n ** power: 1 takes each photograph once, 0 all classes equally
    often, 0.5 is the square root of Mahajan et al. 2018, "Exploring the Limits of Weakly Supervised Pretraining". In
    each epoch a class comes as often as its share says, up to rounding, and over several epochs too. Its photographs
    come in rounds: each is shown once, in random order, before any is shown again, also across epochs.

    All is drawn from seed, stage and epoch, so that a resumed training repeats it.

    Args:
        labels: The class of each photograph. Shape: photographs.
        seed: Of the training.
        stage: What is learnt; stages that follow one another draw other orders.
        epoch: Counted from 0.
        power: In [0, 1].
    """
    if power == 1:
        return epoch_order(len(labels), seed=seed, stage=stage, epoch=epoch)
    key = seed_of(seed, "order", stage)
    classes, counts = np.unique(labels, return_counts=True)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
    weights = counts**power
    ends = np.cumsum(weights) * (len(labels) / weights.sum())
    begin = sum((_drawn(ends, key=key, epoch=each) for each in range(epoch)), np.zeros_like(counts))
    end = begin + _drawn(ends, key=key, epoch=epoch)
    positions = []
    for class_id, mine, first, last in zip(classes, members, begin, end, strict=True):
        for turn in range(first // len(mine), -(-last // len(mine))):
            shuffled = np.random.default_rng((key, _ROUND, int(class_id), turn)).permutation(mine)
            done = turn * len(mine)
            positions.append(shuffled[max(0, first - done) : last - done])
    return np.random.default_rng((key, _EPOCH, epoch)).permutation(np.concatenate(positions))


def _drawn(ends: NDArray[np.float64], *, key: int, epoch: int) -> NDArray[np.int64]:
    """How often each class is drawn in an epoch, by systematic sampling.

    Classes lie side by side on a line, as long as their shares, and points at distance one from each other are laid
    on it: the points on a class are its draws. From epoch to epoch the first point moves on.

    Args:
        ends: Where each class ends; the last at the number of photographs.
        key: Places the first point of epoch 0.
        epoch: Counted from 0.
    """
    offset = (np.random.default_rng((key, _POINTS)).random() + epoch * TURN) % 1
    points = np.floor(ends + offset).astype(np.int64)
    # The last end is a whole number, up to rounding.
    points[-1] = round(ends[-1])
    return np.diff(points, prepend=0)
