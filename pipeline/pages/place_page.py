"""The page of a list: one HTML file with a table that people search and sort, bars of the months, and a map."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import write_bytes
from pipeline.gbif.source import SourceRecord
from pipeline.pages.document import Link, render, sections
from pipeline.pages.figures import draw_once
from pipeline.pages.place_circle import kilometres
from pipeline.pages.place_list import PlaceList
from pipeline.pages.place_map import draw_place_map
from pipeline.pages.place_words import (
    MONTH_NAMES,
    about_completeness,
    about_nothing,
    heading,
    in_groups,
    months_said,
    namable,
    season,
    species_by,
)
from pipeline.pages.web_addresses import citable, doi_address
from pipeline.paths import Paths

PLAIN: Final = 500
"""Rows that the page holds as HTML, for readers without script; the script knows all."""
PARTS: Final = ("here", "in other months", "near by")
"""The parts of a list, as the table calls them."""


def write_place_page(found: PlaceList, path: Path, *, paths: Paths, model: str) -> Path:
    """Write the list as a page that needs no other file.

    Args:
        found: The list.
        path: The HTML file.
        paths: The files of the scope, which say where the records are from.
        model: Which species are marked as those that the model can name, in a sentence.

    Raises:
        TableError: `dataset.json` is missing.
        GbifError: `download.json` is missing.
    """
    manifest, source = DatasetManifest.read(paths), SourceRecord.read(paths)
    rows = _rows(found)
    circle = found.circle
    with TemporaryDirectory(prefix="naturewatch-") as folder:
        picture = draw_once(
            Path(folder) / "map.png", draw_place_map, circle.latitude, circle.longitude, circle.radius_km,
            found.near_km, found.points, vector=False,
        )  # fmt: skip
        html = render(
            "place.html",
            scope=manifest.scope,
            dataset_version=manifest.dataset_version,
            date=(source.created or "an unknown date")[:10],
            sections=sections(("species", "Species"), ("groups", "Groups"), ("map", "Map"), ("source", "Source")),
            found=found,
            heading=heading(found),
            summary=about_completeness(found) if found.here else about_nothing(found),
            season=season(found.months) if found.months else None,
            model=model,
            named=sum(bool(row["named"]) for row in found.here),
            rows=rows,
            plain=PLAIN,
            packed=packed(rows, counting=found.months),
            effort=months_said(found.by_month),
            near=kilometres(found.near_km),
            groups=_groups(found),
            picture=picture,
            citable=citable(source),
            doi=doi_address(source.doi),
            manifest=manifest,
            source=source,
            licence=Link(text=source.licence or "", href=source.licence or ""),
        )
    return write_bytes(path, html.encode())


def packed(rows: Sequence[dict[str, Any]], *, counting: Sequence[int]) -> dict[str, Any]:
    """What the script of the page reads: lists instead of objects, each group of taxa once.

    Args:
        rows: As `_rows` gives them.
        counting: The months that count; empty: all.

    Returns:
        `groups`: [class, order, family] triples; `rows`, in order of names: [species, common name or 0, part, group,
        records, share, records of each month, whether all are perhaps outside, how far the nearest is, what the model
        makes of it, photographs missing, address]; `parts`, `months`: their names; `counting`.
    """
    groups = {group: place for place, group in enumerate(dict.fromkeys(map(_group, rows)))}
    return {
        "groups": list(groups),
        "parts": PARTS,
        "months": MONTH_NAMES,
        "counting": list(counting),
        "rows": [
            [
                row["species"], row["common_name"] or 0, PARTS.index(row["part"]), groups[_group(row)], row["shown"],
                round(row["share"], 5), row["months"], int(row["perhaps_outside"] == row["records"]),
                row["distance"], row["model"], row["missing"], row["gbif"],
            ]
            for row in sorted(rows, key=lambda row: (row["species"].casefold(), row["taxon_key"]))
        ],
    }  # fmt: skip


def _rows(found: PlaceList) -> list[dict[str, Any]]:
    """All species of the list, with the part that they are in and the number that is shown of them."""
    parts = zip(PARTS, (found.here, found.other_months, found.near), strict=True)
    return [
        {
            **row,
            "part": part,
            "shown": row["records_in_season"] or row["records"],
            "said": months_said(row["months"]),
            "distance": kilometres(row["nearest_km"]),
            "model": namable(row),
            # To sort by: what the model names comes first.
            "missing": 0 if row["named"] else 1 + (row["photographs_missing"] or 0),
        }
        for part, some in parts
        for row in some
    ]


def _group(row: dict[str, Any]) -> tuple[str, str, str]:
    rank_class, order, family = (row[rank] or f"no {rank}" for rank in ("class", "order", "family"))
    return rank_class, order, family


def _groups(found: PlaceList) -> list[tuple[str, int, int, int, str]]:
    """Name, species, records, species that can be named, and the taxa below it with their species, for each group."""
    below = {"class": "order", "order": "family", "family": "genus"}
    lines = []
    for group in in_groups(found.here):
        inner = species_by(below[group.rank], group.rows) if group.rank in below else []
        named = sum(bool(row["named"]) for row in group.rows)
        text = ", ".join(f"{name} {number:,}" for name, number in inner)
        lines.append((group.name, len(group.rows), group.records, named, text))
    return lines
