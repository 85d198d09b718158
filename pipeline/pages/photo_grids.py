"""Photographs as the pages show them: small JPEGs inside the page, each with its species, its holder and its licence.

The photographs of one taxon, and near-identical pairs. Sheets as one picture: `pipeline.pages.photo_sheets`.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.errors import TableError
from pipeline.gbif.source import SourceRecord
from pipeline.pages.document import Link
from pipeline.pages.photo_sheets import credit, small_photograph
from pipeline.pages.web_addresses import photo_address, record_address
from pipeline.paths import Paths
from pipeline.query import rows

SIDE: Final = 280
"""Pixels of the longer side: sharp in two columns of a telephone, and some 15 kB."""
_QUALITY: Final = 78


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One photograph with what is written below it."""

    species: str
    note: str
    credit: Link
    """Holder and licence; leads to where the photograph, or its record, is shown."""
    jpeg: str
    """A data address; empty where the file is missing or damaged, or may not be shown."""
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Photographs under one heading."""

    title: str
    photographs: Sequence[Photograph]


def taxon_grids(
    paths: Paths,
    source: SourceRecord,
    *,
    taxa: Sequence[str] = (),
    most: int = 4,
    photos: int = 12,
    seed: int = 0,
    any_licence: bool = False,
) -> list[Grid]:
    """Photographs of each taxon asked for, or else of the families with the most photographs.

    Args:
        paths: The files of the scope.
        source: Where the records came from; decides where a photograph leads.
        taxa: Names or taxon keys; a name that several taxa have shows all of them.
        most: How many families, where no taxon is given.
        photos: How many photographs of a taxon at most.
        seed: Chooses the photographs.
        any_licence: Also photographs without an open licence.

    Raises:
        TableError: a table is missing, or the tree has no taxon of that name or key.
    """
    inputs = {name: paths.table(name) for name in ("split", "photos", "taxonomy")}
    found = rows("chosen_taxa", inputs={"taxonomy": inputs["taxonomy"]}, taxa=list(taxa), most=most)
    unknown = [taxon for taxon in taxa if not any(taxon in (row["name"], row["taxon_key"]) for row in found)]
    if unknown:
        raise TableError(f"the taxonomy has no taxon {', '.join(unknown)}; give names or keys of {inputs['taxonomy']}")
    grids = []
    for row in found:
        leaves = {"leaf_begin": row["leaf_begin"], "leaf_end": row["leaf_end"]}
        options = {"photos": photos, "seed": str(seed), "any_licence": any_licence}
        shown = rows("taxon_sheet", inputs=inputs, **leaves, **options)
        species = row["leaf_end"] - row["leaf_begin"]
        title = f"{row['name']} ({row['rank']} of {row['parent']}): {species:,} species, {row['photos']:,} photographs"
        sides = {"train": "training", "validation": "validation"}
        grids.append(
            Grid(title=title, photographs=[photograph(paths, source, one, note=sides[one["split"]]) for one in shown])
        )
    return grids


def leaked_grid(paths: Paths, source: SourceRecord, *, pairs: int = 8, any_licence: bool = False) -> list[Photograph]:
    """Near-identical photographs, the two of a pair one after the other; contradicting labels first.

    Raises:
        TableError: `leakage`, `split`, `photos` or `taxonomy` is missing.
    """
    inputs = {name: paths.table(name) for name in ("leakage", "split", "photos", "taxonomy")}
    names = ("species", "path", "url", "licence", "credit")
    photographs = []
    for row in rows("leakage_examples", inputs=inputs, pairs=pairs, any_licence=any_licence):
        for side, note in (("validation", f"validation, {row['distance']} bits apart"), ("train", "training")):
            one = {name: row[f"{side}_{name}"] for name in names} | {"occurrence_key": row[f"{side}_occurrence"]}
            photographs.append(photograph(paths, source, one, note=note))
    return photographs


def photograph(
    paths: Paths, source: SourceRecord, row: Mapping[str, Any], *, note: str, side: int = SIDE
) -> Photograph:
    """One photograph for a page.

    Args:
        paths: The files of the scope.
        source: Where the records came from; decides where the photograph leads.
        row: species, path (None where it may not be shown), url, occurrence_key, licence, credit.
        note: What is written below its species.
        side: Pixels of the longer side.
    """
    picture = None if row["path"] is None else small_photograph(paths.data_root / row["path"], side=side)
    jpeg = ""
    if picture is not None:
        packed = io.BytesIO()
        picture.save(packed, format="jpeg", quality=_QUALITY, optimize=True)
        jpeg = f"data:image/jpeg;base64,{base64.b64encode(packed.getvalue()).decode()}"
    address = photo_address(source, row["url"])
    if not address and source.mode != "replica":
        address = record_address(source, row["occurrence_key"])
    return Photograph(
        species=row["species"],
        note=note,
        credit=Link(text=credit(row), href=address),
        jpeg=jpeg,
        width=picture.width if picture else side,
        height=picture.height if picture else side,
    )
