"""What place and season are worth on photographs that chose nothing: for whom, where, and from how far away.

Pure, on arrays; reads no file. All cases are compared on the same photographs of the evaluation half: those that are in
every case that was calibrated. With neighbours left out (`ml.specificity.place_marks`), what is left of the gain comes
from what the prior knows of the region; what went came from records of the same spot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.evaluation.reliability import clopper_pearson
from ml.places.sites import Case
from ml.specificity.guarantee import effective_number
from ml.specificity.place_marks import Calibrated, Marks, Mask, case_marks
from ml.taxonomy import Floats, Taxonomy

LEFT_OUT_KM: Final = (0.0, 5.0, 20.0, 50.0)
"""Distances within which neighbours are left out."""
MOST_LEFT_OUT: Final = 2_000
"""Of more photographs so many are drawn for the curve of neighbours left out: where occurrences are dense, thousands
of them lie within a distance and must be passed over, photograph by photograph."""
LEVEL: Final = 0.95
RESAMPLES: Final = 10_000
"""Bootstrap samples of a gain."""
UNKNOWN: Final = "unknown"
"""The group of photographs of which the country, class or observer is not known."""
TRAINED, UNTRAINED = "in training", "not in training"
"""Groups by observer: whether some observation of the person is on the training side, or none."""

Grouping = Literal["all", "class", "region", "observer", "left_out"]
Names = npt.NDArray[np.object_]


class Origins(NamedTuple):
    """What groups the N photographs of the validation side beside their species."""

    region: Names
    """Country, or `UNKNOWN`. Shape N."""
    observer: Names
    """`TRAINED`, `UNTRAINED` or `UNKNOWN`. Shape N."""


@dataclass(frozen=True, kw_only=True)
class PlaceAccuracy:
    """One case on one group of photographs: a row of `place_accuracy.parquet`."""

    grouping: Grouping
    group: str
    """Within the grouping; empty where there is only one."""
    left_out_km: float
    case: Case
    photos: int
    observations: int
    top1: float
    top1_low: float
    top1_high: float
    gain: float | None
    """Top-1 less that of the photographs alone; None for `neither`."""
    gain_low: float | None
    gain_high: float | None
    log_loss: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    depth: float
    abstention: float


def place_accuracy(of: Calibrated, origins: Origins | None) -> list[PlaceAccuracy]:
    """Every number of every case, for all photographs and by group; empty where no case was calibrated.

    Args:
        of: A calibration of N photographs.
        origins: Groups beside the taxonomic classes, of the same photographs.
    """
    rows, seed = of.judges, of.alone.options.seed
    if not len(rows):
        return []
    observations = rows if of.data.observations is None else of.data.observations[rows]
    marks = case_marks(of, rows)
    groups: list[tuple[Grouping, str, Mask]] = [("all", "", np.ones(len(rows), np.bool_))]
    for grouping, names in groups_of(of, origins).items():
        groups += [(grouping, name, names[rows] == name) for name in by_size(names[rows])]
    table: list[PlaceAccuracy] = []
    for grouping, name, members in groups:
        own = {case: each.rows(members) for case, each in marks.items()}
        table += measure(own, observations[members], grouping=grouping, group=name, seed=seed)
    drawn = np.arange(len(rows))
    if len(rows) > MOST_LEFT_OUT:
        drawn = np.sort(np.random.default_rng(seed).choice(len(rows), MOST_LEFT_OUT, replace=False))
    first = {case: each.rows(drawn) for case, each in marks.items()}
    for distance in LEFT_OUT_KM:
        own = case_marks(of, rows[drawn], beyond_km=distance, pixels=first["neither"]) if distance else first
        table += measure(own, observations[drawn], grouping="left_out", left_out_km=distance, seed=seed)
    return table


def groups_of(of: Calibrated, origins: Origins | None) -> dict[Grouping, Names]:
    """Groupings of the N photographs, each with the group of every photograph."""
    groups: dict[Grouping, Names] = {}
    if "class" in of.taxonomy.rank:
        groups["class"] = class_names(of.taxonomy)[of.data.labels]
    if origins is not None:
        groups |= {"region": origins.region, "observer": origins.observer}
    return groups


def class_names(taxonomy: Taxonomy) -> Names:
    """The taxonomic class of each species; with its lineage where two classes have one name. Shape C."""
    nodes = [node for node, rank in enumerate(taxonomy.rank) if rank == "class"]
    names = [taxonomy.name[node] for node in nodes]
    found = np.full(taxonomy.class_count, UNKNOWN, dtype=object)
    for node, name in zip(nodes, names, strict=True):
        shown = name if names.count(name) == 1 else taxonomy.describe(node)
        found[taxonomy.leaf_begin[node] : taxonomy.leaf_end[node]] = shown
    return found


def by_size(names: Names) -> list[str]:
    """The groups, those with the most photographs first."""
    found, counts = np.unique(names.astype(str), return_counts=True)
    return [str(found[place]) for place in np.argsort(-counts, kind="stable")]


def measure(
    marks: Mapping[Case, Marks],
    observations: npt.NDArray[np.generic],
    *,
    grouping: Grouping,
    group: str = "",
    left_out_km: float = 0.0,
    seed: int,
) -> list[PlaceAccuracy]:
    """The numbers of each case on one group of photographs.

    Args:
        marks: Of M photographs, not 0, in each case.
        observations: Which observation each belongs to. Shape M.
        grouping: Passed on.
        group: Passed on.
        left_out_km: Passed on.
        seed: Of the bootstrap.
    """
    names = observations.astype(str)
    independent = effective_number(names, photos=len(names))
    rows = []
    for case, own in marks.items():
        gain: float | None = None
        low: float | None = None
        high: float | None = None
        if case != "neither":
            gains = own.top1.astype(np.float64) - marks["neither"].top1
            gain, (low, high) = float(gains.mean()), bootstrap(gains, names, seed=seed)
        top1, top1_low, top1_high = _share(own.top1, independent)
        accuracy, accuracy_low, accuracy_high = _share(own.right, independent)
        rows.append(
            PlaceAccuracy(
                grouping=grouping, group=group, left_out_km=left_out_km, case=case, photos=len(names),
                observations=len(np.unique(names)), top1=top1, top1_low=top1_low, top1_high=top1_high, gain=gain,
                gain_low=low, gain_high=high, log_loss=float(own.loss.mean()), accuracy=accuracy,
                accuracy_low=accuracy_low, accuracy_high=accuracy_high, depth=float(own.depth.mean()),
                abstention=float(own.abstains.mean()),
            )
        )  # fmt: skip
    return rows


def bootstrap(gains: Floats, observations: npt.NDArray[np.generic], *, seed: int) -> tuple[float, float]:
    """The 95 % interval of the mean of `gains`, by a bootstrap that draws whole observations.

    An observation matters by its number of photographs and the sum of their gains alone; there are few such pairs, and
    drawing how often each occurs is the same as drawing observations.

    Args:
        gains: Of each photograph, whole numbers. Shape N, not 0.
        observations: Which observation each photograph belongs to. Shape N.
        seed: Of the draws.
    """
    _, unit = np.unique(observations, return_inverse=True)
    sums = np.rint(np.bincount(unit, gains))
    kinds, counts = np.unique(np.stack([sums, np.bincount(unit)]), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), size=RESAMPLES)
    low, high = np.quantile((draws @ kinds[0]) / (draws @ kinds[1]), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _share(right: Mask, independent: float) -> tuple[float, float, float]:
    """A share with its Clopper-Pearson interval for so many independent photographs."""
    share = float(right.mean())
    low, high = clopper_pearson(int(right.sum()) * independent / len(right), independent)
    return share, low, high
