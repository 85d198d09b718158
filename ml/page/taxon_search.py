"""Completion: the taxa of a model whose name, common name or key a person has begun to write."""

from collections.abc import Callable
from typing import Any, Final

from ml.taxonomy import ROOT, Taxonomy

_EXACT: Final = 0
_BEGINNING: Final = 1
_WORD: Final = 2
_INSIDE: Final = 3


class TaxonSearch:
    """The taxa of one model, without those that fill a rank that GBIF leaves blank."""

    def __init__(self, taxonomy: Taxonomy, *, common_name: Callable[[int], str | None] = lambda _: None) -> None:
        """Prepare what is searched.

        Args:
            taxonomy: Of the model.
            common_name: The common name of a node, where one is known.
        """
        self._taxonomy, self._common_name = taxonomy, common_name
        self._texts = [
            (node, [text.casefold() for text in (taxonomy.name[node], common_name(node)) if text])
            for node in range(ROOT + 1, taxonomy.node_count)
            if not taxonomy.placeholder[node]
        ]

    def find(self, query: str, *, limit: int) -> list[dict[str, Any]]:
        """The taxa that fit `query` best: the same name, then names and words that begin so, then any that hold it.

        Among equals, those of higher rank come first, then those with more species. Nothing fits an empty query.

        Returns:
            Per taxon: rank, name, taxon_key, lineage (as `Question.within` takes it), species (classes at or below it)
            and common_name.
        """
        wanted = " ".join(query.casefold().split())
        if not wanted:
            return []
        taxonomy = self._taxonomy
        found = []
        for node, texts in self._texts:
            fits = [_fit(text, wanted) for text in texts]
            fits.append(_EXACT if taxonomy.taxon_key[node] == query.strip() else None)
            best = min((fit for fit in fits if fit is not None), default=None)
            if best is not None:
                found.append((best, int(taxonomy.depth[node]), -self._species(node), node))
        return [self._describe(node) for *_, node in sorted(found)[:limit]]

    def _species(self, node: int) -> int:
        return int(self._taxonomy.leaf_end[node] - self._taxonomy.leaf_begin[node])

    def _describe(self, node: int) -> dict[str, Any]:
        taxonomy = self._taxonomy
        return {
            "rank": taxonomy.rank[node],
            "name": taxonomy.name[node],
            "taxon_key": taxonomy.taxon_key[node],
            "lineage": taxonomy.describe(node),
            "species": self._species(node),
            "common_name": self._common_name(node),
        }


def _fit(text: str, wanted: str) -> int | None:
    position = text.find(wanted)
    if position < 0:
        return None
    if position == 0:
        return _EXACT if len(text) == len(wanted) else _BEGINNING
    return _WORD if f" {wanted}" in text or f"-{wanted}" in text else _INSIDE
