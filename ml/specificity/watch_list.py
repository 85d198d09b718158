"""Taxa that must not be missed: their probability is always reported, whatever the answer or a filter says.

An unwanted organism may be improbable and still matter. Its mass is summed before any region filter and beside any
roll-up, and compared with a threshold of its own: the highest that would have raised the alarm on the wanted share of
its calibration photographs (the recall), by the conformal rank floor((n + 1) (1 - recall)), which makes the promise
hold for the next photograph of the taxon, too (Vovk et al. 2005; photographs exchangeable).

A taxon with too few photographs for that rank borrows the threshold from all photographs: the rank statistic of the
mass that each gives to its own true taxon of the same depth. That is a fair guess, no promise; `basis` says which.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.specificity.operating_points import Floats
from ml.specificity.temperature import temper
from ml.specificity.tree_sums import Distributions, range_sums
from ml.taxonomy import ROOT, Integers, TaxonError, Taxonomy, UnknownTaxonError

Basis = Literal["taxon", "rank"]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """When a watched taxon is reported as present."""

    node: int
    threshold: float
    """An alarm is raised where the taxon's mass is at least this."""
    basis: Basis
    """`taxon`: chosen on its own photographs, the recall is promised; `rank`: borrowed from all taxa of its depth."""
    photos: int
    """Calibration photographs of the taxon."""


def find_watched(names: Sequence[str], taxonomy: Taxonomy) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The nodes of a watch-list, and the names that the taxonomy does not hold.

    Args:
        names: Names, lineages or keys, see `Taxonomy.find`.
        taxonomy: The model's tree.

    Raises:
        TaxonError: a name stands for several taxa; the message lists them and says how to name one.
    """
    nodes, unknown = [], []
    for name in names:
        try:
            nodes.append(taxonomy.find(name))
        except UnknownTaxonError:
            unknown.append(name)
    if ROOT in nodes:
        raise TaxonError("the root of the taxonomy cannot be watched: it is always there")
    return tuple(dict.fromkeys(nodes)), tuple(unknown)


def alarm(
    node: int, *, masses: Floats, own_masses: Floats, labels: Integers, taxonomy: Taxonomy, recall: float
) -> Alarm:
    """Choose the threshold of one watched taxon.

    Args:
        node: The taxon.
        masses: What each photograph gives to the taxon. Shape N.
        own_masses: What each photograph gives to its own true taxon of the same depth. Shape N.
        labels: True class ids. Shape N.
        taxonomy: Their tree.
        recall: Share of the taxon's photographs that must raise the alarm, in (0, 1).
    """
    own = masses[taxonomy.contains(node, labels)]
    chosen, basis = _quantile(own, recall), "taxon"
    if chosen is None:
        chosen, basis = _quantile(own_masses, recall), "rank"
    return Alarm(
        node=node,
        threshold=0.0 if chosen is None else chosen,
        basis="taxon" if basis == "taxon" else "rank",
        photos=len(own),
    )


def masses_of(
    probabilities: Distributions, nodes: Sequence[int], taxonomy: Taxonomy, *, temperature: float = 1.0
) -> Floats:
    """What each photograph gives to watched taxa, streaming. Shape: photographs x taxa.

    Raises:
        SpecificityError: as `ml.specificity.tree_sums.range_sums`.
    """
    chosen = np.asarray(nodes, dtype=np.int32)
    return range_sums(
        probabilities,
        taxonomy.leaf_begin[chosen],
        taxonomy.leaf_end[chosen],
        taxonomy,
        adjust=None if temperature == 1 else functools.partial(temper, temperature=temperature),
    )


def alarms(
    probabilities: Distributions,
    labels: Integers,
    nodes: Sequence[int],
    taxonomy: Taxonomy,
    *,
    chooses: npt.NDArray[np.bool_],
    recall: float,
    temperature: float = 1.0,
) -> tuple[tuple[Alarm, ...], Floats]:
    """Choose the thresholds of all watched taxa.

    Args:
        probabilities: Shape N x C.
        labels: True class ids. Shape N.
        nodes: The watched taxa, K of them.
        taxonomy: Their tree.
        chooses: Which photographs may choose. Shape N.
        recall: Share of a taxon's photographs that must raise the alarm.
        temperature: Applied before.

    Returns:
        The alarms, and the masses of all photographs. Shape N x K.
    """
    depths = sorted({int(taxonomy.depth[node]) for node in nodes})
    truth = taxonomy.ancestors[labels][:, depths]
    adjust = None if temperature == 1 else functools.partial(temper, temperature=temperature)
    own = range_sums(probabilities, taxonomy.leaf_begin[truth], taxonomy.leaf_end[truth], taxonomy, adjust=adjust)
    masses = masses_of(probabilities, nodes, taxonomy, temperature=temperature)
    found = tuple(
        alarm(
            node,
            masses=masses[chooses, position],
            own_masses=own[chooses, depths.index(int(taxonomy.depth[node]))],
            labels=labels[chooses],
            taxonomy=taxonomy,
            recall=recall,
        )
        for position, node in enumerate(nodes)
    )
    return found, masses


def _quantile(masses: Floats, recall: float) -> float | None:
    """The floor((n + 1) (1 - recall))-th smallest mass; None where that rank is 0: too few photographs."""
    rank = int(np.floor((len(masses) + 1) * (1 - recall) + 1e-9))
    return float(np.partition(masses, rank - 1)[rank - 1]) if rank else None
