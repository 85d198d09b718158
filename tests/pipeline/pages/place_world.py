"""A small world of records for lists of places; a record is written as what differs from a blackbird in Auckland."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from ml.serving.common_names import CommonNames
from pipeline.config.settings import Settings
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.files import write_json
from pipeline.pages.place_circle import Circle
from pipeline.pages.place_list import Known, PlaceList, place_list
from pipeline.pages.web_addresses import Catalogue
from pipeline.rejections import write_rejections
from tests.pipeline.tiny import BLACKBIRD, Row, occurrence, photo, species, write

AUCKLAND: Final = (-36.8, 174.7)
KM: Final = 1 / 111.195
"""Degrees of a kilometre along a meridian."""
HIDDEN: Final = {
    "information_withheld": "Coordinate uncertainty increased to 26000 metres",
    "coordinate_uncertainty_m": 26_000.0,
}
FOUND_AT: Final = Catalogue(prefix="https://www.gbif.org/species/", by_key=True)


def record(name: str = "Turdus merula", *, at: tuple[float, float] = AUCKLAND, **changes: Any) -> Row:  # noqa: ANN401
    """A record of a species, whose key is its name without the blank."""
    key = name.replace(" ", "")
    genus = name.partition(" ")[0]
    lineage = {"genus": genus, "genus_key": genus.upper()}
    place = {"decimal_latitude": at[0], "decimal_longitude": at[1]}
    return {"species": name, "species_key": key, **lineage, **place, **changes}


def make_world(
    settings: Settings,
    records: Sequence[Row],
    *,
    learnt: Sequence[str] = (),
    photographs: Mapping[str, int] | None = None,
) -> None:
    """Write the tables that a list reads.

    Args:
        settings: Say where.
        records: As `record` makes them.
        learnt: Names of the species that networks learn; default the first record's.
        photographs: How many usable photographs the others have.
    """
    paths, rows = settings.paths, [occurrence(str(number), **row) for number, row in enumerate(records)]
    write(paths, "clean_occurrences", rows)
    by_name = {row["species"]: row for row in rows}
    kept = []
    for name in learnt or [rows[0]["species"]]:
        lineage = {column: by_name[name][column] for column in BLACKBIRD if column != "species_key"}
        kept.append(species(name, **{**lineage, "key": by_name[name]["species_key"]}))
    write(paths, "species", kept)
    build_taxonomy(paths, settings)
    keys = {row["species"]: row["occurrence_key"] for row in rows}
    some = [
        photo(f"p{number}-{name}", of=keys[name])
        for name, most in (photographs or {}).items()
        for number in range(most)
    ]
    write(paths, "photos", some)
    lines = {
        "key": [row["photo_id"] for row in some],
        "rule": ["too_few_images"] * len(some),
        "detail": [""] * len(some),
    }
    write_rejections(
        paths, "species", pa.table({name: pa.array(values, pa.string()) for name, values in lines.items()})
    )
    write_json(
        paths.dataset_manifest,
        {"scope": "made", "dataset_version": "1234", "split_hash": "0", "taxonomy_hash": "0", "table_hashes": {},
         "counts": {}, "rejections": {}, "doi": "10.15468/dl.x", "citation": "GBIF.org (2026) <Download>"},
    )  # fmt: skip
    source = {"mode": "download", "key": "0001-2", "doi": "10.15468/dl.x", "citation": "GBIF.org", "predicate": {}}
    licence = "http://creativecommons.org/licenses/by-nc/4.0/legalcode"
    write_json(
        paths.current_download,
        {
            **source,
            "checklist_key": None,
            "archive": "a.zip",
            "sha256": "0",
            "licence": licence,
            "created": "2026-05-01",
        },
    )


def listed(
    settings: Settings,
    at: tuple[float, float] = AUCKLAND,
    *,
    radius: float = 25,
    names: CommonNames | None = None,
    named: Collection[str] | None = None,
    **asked: Any,  # noqa: ANN401
) -> PlaceList:
    """The list of a place in the world."""
    known = Known(found_at=FOUND_AT, min_images=5, named=named, names=names or CommonNames())
    circle = Circle(latitude=at[0], longitude=at[1], radius_km=radius)
    return place_list(settings.paths, circle, known=known, mapped=True, **asked)


def counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Records of each species of a part of a list, in its order."""
    return {row["species"]: row["records"] for row in rows}
