"""Class means as a head: one mean direction per class, drawn towards its relatives' where photographs are few.

Source: Snell et al. 2017, "Prototypical Networks"; Wang et al. 2019, "SimpleShot" (mean of normalised features). The
shrinkage is that of a normal prior around the mean of the taxon above: a class of n photographs keeps n / (n + k) of
its own mean, and takes the rest from its relatives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.devices import Device
from ml.networks.heads import COSINE_SCALE, CosineHead
from ml.training.feature_rows import Rows
from ml.training.head_solvers import chunk_of

SCALES = tuple(float(scale) for scale in np.geomspace(2.0, 128.0, 37))
"""Scales of cosines that are tried; neighbours differ by an eighth."""
NEVER = -2.0
"""Bias of a class without photographs, in scales: no cosine lifts it above another class."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Of the directions of each class's photographs, over all processes."""

    directions: Tensor
    """(folds, classes, F)."""
    photos: Tensor
    """(folds, classes)."""

    @classmethod
    def of(cls, rows: Rows, *, classes: int, columns: int, folds: int, device: Device) -> "Sums":
        """Add up the normalised features of `rows`."""
        directions = torch.zeros(folds * classes, columns, device=device.device)
        photos = torch.zeros(folds * classes, device=device.device)
        for part in rows.chunks(chunk_of(classes)):
            place = (part.folds if folds > 1 else torch.zeros_like(part.folds)) * classes + part.labels
            directions.index_add_(0, place, nn.functional.normalize(part.features, dim=1))
            photos.index_add_(0, place, torch.ones_like(part.labels, dtype=photos.dtype))
        return cls(device.add_up(directions).view(folds, classes, columns), device.add_up(photos).view(folds, classes))


def means(directions: Tensor, photos: Tensor, *, above: NDArray[np.int64] | None, shrink: float) -> Tensor:
    """The mean direction of each class, not normalised; zero for a class that has neither photographs nor relatives.

    Args:
        directions: Sums (classes, F) of normalised features.
        photos: How many there are (classes).
        above: The position of each class's taxon of the rank above; None where there is none.
        shrink: Photographs that the mean of the taxon above counts as: 0 leaves each class its own.

    Returns:
        (classes, F).
    """
    if above is None or shrink == 0:
        return directions / photos.clamp_min(1)[:, None]
    place = torch.from_numpy(above).to(directions.device)
    taxa = int(place.max()) + 1
    sums = torch.zeros(taxa, directions.shape[1], device=directions.device).index_add_(0, place, directions)
    counts = torch.zeros(taxa, device=directions.device).index_add_(0, place, photos)
    relatives = (sums / counts.clamp_min(1)[:, None])[place]
    return (directions + shrink * relatives) / (photos + shrink)[:, None]


def fit_prototypes(
    head: CosineHead,
    rows: Rows,
    *,
    folds: int,
    shrinks: Sequence[float],
    scale: float | None,
    above: NDArray[np.int64] | None,
    device: Device,
) -> float:
    """Give `head` the mean directions of the classes, with the shrinkage and the scale of least held-out loss.

    Every photograph is judged by means of the other folds. Photographs of classes that the other folds do not hold are
    left out: no shrinkage and no scale does them justice.

    Args:
        head: On the device, for standardised features; changed in place.
        rows: Of this process.
        folds: Into how many they are divided.
        shrinks: Photographs that the mean of the taxon above may count as (`means`).
        scale: The scale of cosines; None to choose it.
        above: As for `means`.
        device: This process's.

    Returns:
        The shrinkage that was chosen: the largest where no photograph can be judged, with the scale `COSINE_SCALE`.
    """
    classes, columns = head.weight.shape
    sums = Sums.of(rows, classes=classes, columns=columns, folds=folds, device=device)
    total, photos = sums.directions.sum(0), sums.photos.sum(0)
    # The middle comes first, for where no photograph can be judged.
    scales = (COSINE_SCALE, *SCALES) if scale is None else (scale,)
    losses: dict[tuple[float, float], float] = {}
    for shrink in sorted(shrinks, reverse=True):
        found = torch.zeros(len(scales), dtype=torch.float64, device=device.device)
        for fold in range(folds):
            left, there = total - sums.directions[fold], photos - sums.photos[fold]
            judges = nn.functional.normalize(means(left, there, above=above, shrink=shrink), dim=1)
            for part in rows.only(fold).chunks(chunk_of(classes)):
                judged = part.at(there[part.labels] > 0)
                cosines = (nn.functional.normalize(judged.features, dim=1) @ judges.T).masked_fill(there == 0, NEVER)
                for at, factor in enumerate(scales):
                    found[at] += nn.functional.cross_entropy(factor * cosines, judged.labels, reduction="sum")
        for factor, loss in zip(scales, device.add_up(found).tolist(), strict=True):
            losses[shrink, factor] = loss
    shrink, factor = min(losses, key=lambda pair: losses[pair])
    with torch.no_grad():
        head.weight.copy_(means(total, photos, above=above, shrink=shrink))
        head.scale.fill_(factor)
        head.bias.zero_()
        head.bias[photos == 0] = NEVER * factor
    return shrink
