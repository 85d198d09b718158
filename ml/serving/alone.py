"""What photographs alone say, wherever they were taken and whatever is asked: watched taxa, and doubts about `within`.

A stray is what an alarm is for: neither a place nor a filter may hide it.
"""

from collections.abc import Sequence

import numpy as np

from ml.serving.explanation import SMALL, outside
from ml.specificity.answers import Answers
from ml.specificity.operating_points import DECIMALS
from ml.specificity.tree_sums import range_sums
from ml.taxonomy import Floats, Taxonomy


def masses(tempered: Floats, nodes: Sequence[int], taxonomy: Taxonomy) -> Floats:
    """The probability of some taxa in each photograph, to 12 decimals.

    Args:
        tempered: Calibrated probabilities of the species. Shape N x classes.
        nodes: K taxa.
        taxonomy: Their tree.

    Returns:
        Shape N x K.
    """
    if not nodes:
        return np.empty((len(tempered), 0))
    wanted = list(nodes)
    return np.round(range_sums(tempered, taxonomy.leaf_begin[wanted], taxonomy.leaf_end[wanted], taxonomy), DECIMALS)


def contradictions(
    tempered: Floats, free: Answers, within: Sequence[int], taxonomy: Taxonomy
) -> list[str | None]:  # fmt: skip
    """For each photograph what speaks against its lying in one of some taxa, or None.

    Args:
        tempered: Calibrated probabilities of the species. Shape N x classes.
        free: What would be answered if nothing were known about where it lies.
        within: The taxa; one or more.
        taxonomy: Their tree.
    """
    covered, disjoint = np.zeros(taxonomy.class_count), np.ones(len(tempered), dtype=bool)
    for taxon in within:
        begin, end = taxonomy.leaf_begin[taxon], taxonomy.leaf_end[taxon]
        covered[begin:end] = 1
        disjoint &= (taxonomy.leaf_end[free.node_ids] <= begin) | (end <= taxonomy.leaf_begin[free.node_ids])
    inside = tempered @ covered
    names = [taxonomy.name[taxon] for taxon in within]
    return [
        outside(names, mass, f"{taxonomy.rank[node]} {taxonomy.name[node]}" if node else None, probability)
        if elsewhere or mass < SMALL
        else None
        for node, probability, mass, elsewhere in zip(
            free.node_ids.tolist(), free.probabilities.tolist(), inside.tolist(), disjoint.tolist(), strict=True
        )
    ]
