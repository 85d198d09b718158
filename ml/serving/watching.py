"""Taxa to keep an eye on: the version's watch-list, and what a question adds to it."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from ml.serving.question import watched_name
from ml.spec import WatchedTaxon
from ml.taxonomy import ROOT, TaxonError, Taxonomy

UNCALIBRATED: Final = 0.1
"""Probability from which a taxon raises the alarm that nobody calibrated, where none is asked for."""


class Watched(NamedTuple):
    """A watched taxon and its alarm."""

    node: int
    lineage: str
    threshold: float
    """The alarm is raised where the taxon's probability is at least this."""
    basis: Literal["taxon", "rank", "asked"]
    """How the threshold was chosen: as `ml.spec.WatchedTaxon` says, or without any calibration."""


def watched_taxa(asked: Sequence[str], taxonomy: Taxonomy, *, own: Sequence[WatchedTaxon]) -> list[Watched]:
    """The taxa that are watched, each once: the version's own first.

    Args:
        asked: Of the question: names, keys or lineages, each with `=PROBABILITY` or without. A taxon of the version's
            watch-list keeps its calibrated alarm unless a probability is given.
        taxonomy: The version's tree.
        own: The version's watch-list.

    Raises:
        TaxonError: the model does not know a taxon, or it stands for several.
    """
    watched = {taxon.node_id: Watched(taxon.node_id, taxon.taxon, taxon.threshold, taxon.basis) for taxon in own}
    for text in asked:
        name, threshold = watched_name(text)
        node = taxonomy.find(name)
        if node == ROOT:
            raise TaxonError("the root of the taxonomy cannot be watched: it is always there")
        if threshold is not None or node not in watched:
            wanted = UNCALIBRATED if threshold is None else threshold
            watched[node] = Watched(node, taxonomy.describe(node), wanted, "asked")
    return list(watched.values())
