"""Taxa as answers name them: with rank, key, common name, page at GBIF and probability, in plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.serving.watching import Watched
from ml.specificity import Candidates
from ml.specificity.operating_points import DECIMALS
from ml.taxonomy import Floats, Taxonomy

Entry = dict[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class NamedTaxa:
    """A tree, with what its taxa are called."""

    taxonomy: Taxonomy
    names: Mapping[int, str]
    """Common names by node."""
    pages: Mapping[int, str]
    """Addresses of pages at GBIF by node."""

    def answer(self, node: int) -> Entry:
        """The taxon that is answered."""
        entry = self._entry(node)
        return {"taxon": entry.pop("name"), **entry, "depth": int(self.taxonomy.depth[node])}

    def path(self, found: Candidates, row: int, threshold: float) -> list[Entry]:
        """The candidates of a photograph from depth 1 on.

        Args:
            found: Of N photographs.
            row: Which one.
            threshold: From which score on a candidate is answered.
        """
        nodes = found.node_ids[row].tolist()
        scores = found.scores[row].tolist()
        probabilities = found.probabilities[row].tolist()
        return [
            {
                "depth": depth,
                **self._entry(nodes[depth]),
                "probability": probabilities[depth],
                "score": scores[depth],
                "answered": scores[depth] >= threshold,
                "follows": int(self.taxonomy.parent[nodes[depth]]) == nodes[depth - 1],
            }
            for depth in range(1, len(nodes))
        ]

    def lineage(self, node: int, leaves: Floats) -> list[Entry]:
        """The kingdom to `node`, with the probabilities that the species of one photograph give them.

        Args:
            node: The answer.
            leaves: Probabilities of the species. Shape C.
        """
        return [
            {**self._entry(step), "probability": self._mass(step, leaves)} for step in self.taxonomy.lineage(node)[1:]
        ]

    def top(self, leaves: Floats, count: int, *, alone: Floats) -> list[Entry]:
        """The most probable species of one photograph, those of equal probability in the order of their classes.

        Args:
            leaves: Probabilities of the species. Shape C.
            count: How many; of fewer species, all.
            alone: The same by the photograph alone.
        """
        return [self.species(best, leaves, alone=alone) for best in most_probable(leaves, count).tolist()]

    def species(self, class_id: int, leaves: Floats, *, alone: Floats) -> Entry:
        """One species with its probability, and with what the photograph alone gives it."""
        return {
            **self._entry(int(self.taxonomy.leaves[class_id])),
            "probability": float(leaves[class_id]),
            "probability_alone": float(alone[class_id]),
        }

    def watch(self, watched: Sequence[Watched], masses: Floats) -> list[Entry]:
        """An entry for each watched taxon.

        Args:
            watched: K taxa.
            masses: Their probabilities in one photograph, to 12 decimals. Shape K.
        """
        return [
            {
                **self._entry(taxon.node),
                "probability": mass,
                "lineage": taxon.lineage,
                "threshold": taxon.threshold,
                "alarm": bool(mass >= round(taxon.threshold, DECIMALS)),
                "basis": taxon.basis,
            }
            for taxon, mass in zip(watched, masses.tolist(), strict=True)
        ]

    def _mass(self, node: int, leaves: Floats) -> float:
        begin, end = self.taxonomy.leaf_begin[node], self.taxonomy.leaf_end[node]
        return float(np.minimum(np.round(leaves[begin:end].sum(), DECIMALS), 1.0))

    def _entry(self, node: int) -> Entry:
        return {
            "rank": self.taxonomy.rank[node],
            "name": self.taxonomy.name[node],
            "taxon_key": self.taxonomy.taxon_key[node],
            "common_name": self.names.get(node),
            "gbif": self.pages.get(node),
        }


def most_probable(leaves: Floats, count: int) -> npt.NDArray[np.intp]:
    """The class ids with the greatest probabilities, falling; equal ones in rising order. Sorts those few only."""
    count = min(count, len(leaves))
    if count == 0:
        return np.empty(0, dtype=np.intp)
    least = np.partition(leaves, len(leaves) - count)[len(leaves) - count]
    near = np.flatnonzero(leaves >= least)
    return near[np.argsort(-leaves[near], kind="stable")][:count]
