"""Choosing how strongly a head is pulled, by photographs of the training side that took no part in its fit."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.devices import Device
from ml.errors import DataError
from ml.images.pack import Photos
from ml.spec import TrainSpec
from ml.training.feature_rows import Rows
from ml.training.head_solvers import chunk_of

FOLDS = 3


def folds_of(photos: Photos, *, observations: Sequence[str], seed: int, folds: int = FOLDS) -> NDArray[np.int64]:
    """The fold of each photograph: those of an observation together, those of a class spread over all folds.

    Args:
        photos: Labelled photographs.
        observations: The observation of each.
        seed: Draws which observation goes where.
        folds: How many there are.
    """
    _, first, of_photo = np.unique(
        np.array(observations, dtype=object).astype(str), return_index=True, return_inverse=True
    )
    drawn = np.random.default_rng(seed).permutation(len(first))
    # Ordered by class, at random within each, observations are dealt to the folds in turn.
    order = np.lexsort((drawn, photos.labels[first]))
    of_observation = np.empty(len(first), np.int64)
    of_observation[order] = np.arange(len(first)) % folds
    return of_observation[of_photo]


def observations_of(photos: Photos, *, spec: TrainSpec) -> list[str]:
    """The observation of each photograph, from the tables that it comes from; itself where they do not say.

    Raises:
        DataError: a table cannot be read.
    """
    wanted = pa.array(photos.photo_ids, pa.string())
    found = pa.nulls(len(wanted), pa.string())
    for path in (spec.split, spec.rare_photos):
        if path is None:
            continue
        try:
            names = pq.read_schema(path).names
            if "observation_id" not in names:
                continue
            table = pq.read_table(path, columns=["photo_id", "observation_id"])
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"cannot read {path}: {error}") from error
        rows = pc.index_in(wanted, value_set=table["photo_id"].cast(pa.string()).combine_chunks())
        found = pc.coalesce(found, table["observation_id"].cast(pa.string()).combine_chunks().take(rows))
    observations: list[str] = pc.coalesce(found, pc.binary_join_element_wise("photo ", wanted, "")).to_pylist()
    return observations


def choose(
    values: Sequence[float],
    *,
    rows: Rows,
    folds: Sequence[int],
    fit: Callable[[Rows, float, nn.Linear | None, str], nn.Linear],
    classes: int,
    device: Device,
) -> float:
    """The value whose heads have the least cross entropy on the folds that did not fit them.

    Photographs of a class that the other folds do not hold are left out: no head knows it.

    Args:
        values: To choose from.
        rows: Of this process.
        folds: Which folds are held out, one after the other.
        fit: Fits a head on rows, pulled with a value, from where another head begins; the text names the fit.
        classes: Number of classes.
        device: This process's.

    Returns:
        The value; the largest, which fits least, where no photograph can be judged.
    """
    losses = dict.fromkeys(sorted(values, reverse=True), 0.0)
    for fold in folds:
        others, held_out = rows.without(fold), rows.only(fold)
        known = _photos_of_classes(others, classes=classes, device=device) > 0
        head = None
        for value in losses:
            head = fit(others, value, head, f"fold {fold + 1}, {value:g}")
            losses[value] += _loss(head, held_out, known=known, device=device)
    return min(losses, key=lambda value: losses[value])


@torch.no_grad()
def _loss(head: nn.Linear, rows: Rows, *, known: Tensor, device: Device) -> float:
    """The sum over all rows of known classes."""
    total = torch.zeros((), dtype=torch.float64, device=device.device)
    for part in rows.chunks(chunk_of(len(known))):
        judged = part.at(known[part.labels])
        total += nn.functional.cross_entropy(head(judged.features), judged.labels, reduction="sum")
    return float(device.add_up(total))


def _photos_of_classes(rows: Rows, *, classes: int, device: Device) -> Tensor:
    counts = torch.zeros(classes, dtype=torch.int64, device=device.device)
    for part in rows.chunks(chunk_of(classes)):
        counts += torch.bincount(part.labels, minlength=classes)
    return device.add_up(counts)
