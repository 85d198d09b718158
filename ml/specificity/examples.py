"""A few answers as examples: what is served for photographs that did not choose the thresholds, and what they show."""

import numpy as np

from ml.spec import AnswerExample
from ml.specificity.answers import select
from ml.specificity.thresholds import Half, ThresholdTable
from ml.taxonomy import ROOT, Taxonomy


def examples(
    table: ThresholdTable, half: Half, taxonomy: Taxonomy, *, target: float, most: int = 3
) -> tuple[AnswerExample, ...]:
    """Different answers: one at species, one above it, one that was not right, where there are such; then any others.

    Of another species each time, where there is one. The first photographs are taken, so that the same calibration
    has the same examples.

    Args:
        table: The thresholds.
        half: Photographs that did not choose them.
        taxonomy: The tree.
        target: The accuracy that is asked for.
        most: How many at most.
    """
    answers = select(half.found, table.of_groups(table.position(target))[table.group_of(half.found)])
    nodes, labels = answers.node_ids, half.labels
    right = taxonomy.contains(nodes, labels) & (nodes != ROOT)
    is_species = taxonomy.class_id[nodes] >= 0
    anything = np.ones_like(right)
    free, other = anything.copy(), anything.copy()
    chosen: list[int] = []
    for kind in (right & is_species, right & ~is_species, ~right, *[anything] * most):
        rows = np.flatnonzero(kind & free & other)
        rows = rows if len(rows) else np.flatnonzero(kind & free)
        if len(rows) and len(chosen) < most:
            chosen.append(int(rows[0]))
            free[rows[0]] = False
            other &= labels != labels[rows[0]]
    return tuple(
        AnswerExample(
            species=taxonomy.name[taxonomy.leaves[labels[row]]],
            rank=None if nodes[row] == ROOT else taxonomy.rank[nodes[row]],
            taxon=None if nodes[row] == ROOT else taxonomy.name[nodes[row]],
            probability=float(answers.probabilities[row]),
            right=bool(right[row]),
        )
        for row in chosen
    )
