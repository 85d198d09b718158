"""Photographs of the validation side and what a calibrated network answers for them, from its stored predictions.

The answer is the deepest taxon whose probability, the sum over its species, reaches the threshold; no network is
loaded. `ml.specificity.answers` answers so when a model is served.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.spec import CalibrateResult, TrainResult

CANDIDATES: Final = 500
"""Photographs that examples are chosen from."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One photograph, and the answer for it."""

    photo_id: str
    species: str
    """What it shows."""
    rank: str
    """Of the answer."""
    name: str
    """Of the answer; empty where no taxon was sure enough."""
    probability: float
    right: bool


def examples(training: TrainResult, calibration: CalibrateResult, *, taxonomy: Path, most: int) -> list[Example]:
    """Different answers: one at species, one above it, one that was wrong, where there are such; then any others.

    Only of photographs that did not choose the threshold.

    Args:
        training: The network, with the distribution over all species for each validation photograph.
        calibration: Its threshold. With another rule than the threshold's, there are no examples.
        taxonomy: `taxonomy.parquet`.
        most: How many at most.
    """
    if calibration.rule != "threshold":
        return []
    nodes: dict[str, list[Any]] = pq.read_table(taxonomy).sort_by("node_id").to_pydict()
    columns = ["photo_id", "class_id", "half", "probabilities"]
    table = pq.read_table(training.probabilities, columns=columns)
    table = table.filter(pc.equal(table["half"], "evaluation")).sort_by("photo_id").slice(0, CANDIDATES)
    found = [_answer(row, nodes, calibration=calibration) for row in table.to_pylist()]
    kinds = (
        [one for one in found if one.right and one.rank == "species"],
        [one for one in found if one.right and one.rank != "species"],
        [one for one in found if not one.right],
    )
    chosen: list[Example] = []
    for kind in (*kinds, *([found] * most)):
        # Another species each time, where there is one.
        shown = {one.species for one in chosen}
        others = [one for one in kind if one not in chosen]
        chosen += [one for one in others if one.species not in shown][:1] or others[:1]
    return chosen[:most]


def _answer(row: dict[str, Any], nodes: dict[str, list[Any]], *, calibration: CalibrateResult) -> Example:
    distribution = _tempered(np.asarray(row["probabilities"], dtype=np.float64), calibration.temperature)
    sums = np.concatenate([[0.0], np.cumsum(distribution)])
    begins, ends, depths = (np.asarray(nodes[name]) for name in ("leaf_begin", "leaf_end", "depth"))
    of_nodes = np.clip(sums[ends] - sums[begins], 0.0, 1.0)
    # The root is certain; deeper first, then more probable.
    sure = np.flatnonzero((of_nodes >= calibration.threshold) | (depths == 0))
    node = max(sure, key=lambda one: (depths[one], of_nodes[one]))
    leaf = nodes["class_id"].index(row["class_id"])
    return Example(
        photo_id=row["photo_id"],
        species=nodes["name"][leaf],
        rank=nodes["rank"][node] if depths[node] else "none",
        name=nodes["name"][node] if depths[node] else "",
        probability=float(of_nodes[node]),
        right=bool(begins[node] <= row["class_id"] < ends[node]) and bool(depths[node]),
    )


def _tempered(distribution: npt.NDArray[np.float64], temperature: float) -> npt.NDArray[np.float64]:
    if temperature == 1:
        return distribution
    scaled = distribution ** (1.0 / temperature)
    return np.asarray(scaled / scaled.sum())
