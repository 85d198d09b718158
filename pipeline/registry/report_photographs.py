"""The report's photographs: the worst confusions side by side, and the first suspects of wrong labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.comparison.wording import percent
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.gbif.source import SourceRecord
from pipeline.label_quality.judging import is_judged, label_quality_spec
from pipeline.label_quality.suspects import counted
from pipeline.label_quality.suspects_page import Suspect, first_shown
from pipeline.pages.photo_grids import Photograph, photograph
from pipeline.pages.photo_sheets import any_licence
from pipeline.paths import Paths
from pipeline.query import rows

Row = dict[str, Any]

SIDE: Final = 220
"""Pixels of the longer side: three stand beside each other."""
PAIRS: Final = 8
"""Confusions that the report shows."""
SUSPECTS: Final = 4
"""Suspects that the report shows; their own page has all."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """One species that is taken for another, with photographs."""

    species: str
    other: str
    times: int
    photos: int
    """Validation photographs of the first species."""
    wrong: Photograph | None
    """One of them that was taken for the other; None where none may be shown."""
    probability: str
    """How sure the network was of the other species."""
    own: Photograph | None
    """Another photograph of the first species."""
    named: Photograph | None
    """A photograph of the other species."""


@dataclass(frozen=True, kw_only=True)
class Suspects:
    """Photographs of this dataset version that may have the wrong name."""

    numbers: Mapping[str, int]
    """Of `pipeline.label_quality.suspects.counted`."""
    first: list[Suspect]


def worst_confusions(
    settings: Settings, source: SourceRecord, predictions: Path, *, pairs: int = PAIRS
) -> list[Confusion]:
    """The pairs of species that are confused most often, the most frequent first; one direction each.

    Args:
        settings: Says whose photographs these are (`any_licence`).
        source: Where the records came from; decides where the photographs lead.
        predictions: `validation.parquet` of the training.
        pairs: How many at most.

    Raises:
        TableError: `split`, `taxonomy` or `photos` is missing.
    """
    paths = settings.paths
    inputs = {name: paths.table(name) for name in ("split", "taxonomy", "photos")} | {"predictions": predictions}
    found = rows("confused_photographs", inputs=inputs, pairs=pairs, any_licence=any_licence(settings))
    return [_confusion(paths, source, row) for row in found]


def suspects_of(settings: Settings, manifest: DatasetManifest, source: SourceRecord) -> Suspects | None:
    """The first suspects, and how many there are; None unless this dataset version was judged.

    Raises:
        TableError: `split` or `photos` is missing.
    """
    paths = settings.paths
    if not (paths.table("suspects").exists() and is_judged(label_quality_spec(settings, manifest))):
        return None
    return Suspects(numbers=counted(paths), first=first_shown(paths, settings, source, most=SUSPECTS))


def _confusion(paths: Paths, source: SourceRecord, row: Row) -> Confusion:
    def shown(kind: str, species: str) -> Photograph | None:
        if row[f"{kind}_path"] is None:
            return None
        one = {name: row[f"{kind}_{name}"] for name in ("path", "url", "licence", "credit")}
        one |= {"species": species, "occurrence_key": row[f"{kind}_occurrence"]}
        return photograph(paths, source, one, note="", side=SIDE)

    return Confusion(
        species=row["species"],
        other=row["other_species"],
        times=row["times"],
        photos=row["photos"],
        wrong=shown("wrong", row["species"]),
        probability="" if row["probability"] is None else percent(row["probability"]),
        own=shown("own", row["species"]),
        named=shown("named", row["other_species"]),
    )
