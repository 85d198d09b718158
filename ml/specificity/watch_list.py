"""Taxa that must not be missed: their probability is always reported, whatever the answer or a filter says.

An unwanted organism may be improbable and still matter. Its probability is summed before any region filter and apart
from the answer, and compared with a threshold of its own: the highest that would have raised the alarm on the wanted
share of its calibration observations (the recall), by the conformal rank floor((n + 1) (1 - recall)). So the promise
holds for a photograph of the next observation of the taxon, too (Vovk et al. 2005; observations exchangeable).
Photographs of one observation are alike and would count for more than they say: one of each takes part, whatever a
guarantee of the answers is. None of them may have fitted the temperature (`ml.specificity.calibration.divide`).

A taxon with too few observations for that rank borrows the threshold from all: the rank statistic of the probability
that each gives to its own true taxon of the same depth. That is a fair guess, no promise; `basis` says which.
"""

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.spec import WatchedTaxon
from ml.specificity.guarantee import one_per_group
from ml.specificity.operating_points import DECIMALS
from ml.specificity.temperature import temper
from ml.specificity.tree_sums import Distributions, range_sums
from ml.taxonomy import ROOT, Floats, Integers, TaxonError, Taxonomy, UnknownTaxonError


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


def watch(
    probabilities: Distributions,
    labels: Integers,
    nodes: Sequence[int],
    taxonomy: Taxonomy,
    *,
    chooses: npt.NDArray[np.bool_],
    judges: npt.NDArray[np.bool_],
    recall: float,
    observations: npt.NDArray[np.object_] | None = None,
    temperature: float = 1.0,
    seed: int = 0,
) -> tuple[WatchedTaxon, ...]:
    """Choose the alarm of each watched taxon, and judge it.

    Args:
        probabilities: Shape N x C.
        labels: True class ids. Shape N.
        nodes: The watched taxa.
        taxonomy: Their tree.
        chooses: Which photographs may choose. Shape N.
        judges: Which photographs judge. Shape N.
        recall: Share of a taxon's observations that must raise the alarm, in (0, 1).
        observations: Which observation each photograph belongs to; None: each photograph is one. Shape N.
        temperature: Applied before everything else.
        seed: Which photograph of an observation takes part.

    Raises:
        SpecificityError: as `ml.specificity.tree_sums.range_sums`.
    """
    if not nodes:
        return ()
    sums = functools.partial(
        range_sums, probabilities, taxonomy=taxonomy,
        adjust=None if temperature == 1 else functools.partial(temper, temperature=temperature),
    )  # fmt: skip
    # What each photograph gives to its own true taxon of each depth, and to each watched taxon.
    depths = sorted({int(taxonomy.depth[node]) for node in nodes})
    truth, chosen = taxonomy.ancestors[labels][:, depths], np.array(nodes, dtype=np.int32)
    own_masses = np.round(sums(taxonomy.leaf_begin[truth], taxonomy.leaf_end[truth]), DECIMALS)
    masses = np.round(sums(taxonomy.leaf_begin[chosen], taxonomy.leaf_end[chosen]), DECIMALS)
    if observations is not None:
        rows = np.flatnonzero(chooses)
        chooses = np.zeros_like(chooses)
        chooses[rows[one_per_group(observations[rows], seed=seed)]] = True
    watched = []
    for node, mass in zip(nodes, masses.T, strict=True):
        present = taxonomy.contains(node, labels)
        own = _quantile(mass[chooses & present], recall)
        borrowed = _quantile(own_masses[chooses, depths.index(int(taxonomy.depth[node]))], recall)
        threshold = own if own is not None else borrowed or 0.0
        raised, judged = mass[judges] >= threshold, present[judges]
        watched.append(
            WatchedTaxon(
                taxon=taxonomy.describe(node),
                node_id=node,
                threshold=threshold,
                basis="rank" if own is None else "taxon",
                calibration_photos=int((chooses & present).sum()),
                evaluation_photos=int(judged.sum()),
                recall=float(raised[judged].mean()) if judged.any() else None,
                false_alarms=float(raised[~judged].mean()) if not judged.all() else 0.0,
            )
        )
    return tuple(watched)


def _quantile(masses: Floats, recall: float) -> float | None:
    """The floor((n + 1) (1 - recall))-th smallest mass; None where that rank is 0: too few of them."""
    rank = int(np.floor((len(masses) + 1) * (1 - recall) + 1e-9))
    return float(np.partition(masses, rank - 1)[rank - 1]) if rank else None
