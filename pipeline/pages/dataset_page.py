"""The pages of the dataset: what it is, what was left out, what changed. HTML and CSV below `reports/dataset/`.

Each page needs no other file to be read; the pages link to each other as files of one folder.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.config.settings import Settings
from pipeline.dataset.attribution import licence_counts, licence_statement
from pipeline.dataset.leakage import DISTANCE
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import TableError
from pipeline.files import write_bytes, write_json
from pipeline.gbif.source import SourceRecord
from pipeline.history.snapshots import read_snapshots
from pipeline.pages.changes_page import build_changes_page, last_comparison
from pipeline.pages.charts import licences, long_tail, observation_map, species_per_class
from pipeline.pages.document import Link, render, sections
from pipeline.pages.photo_grids import leaked_grid, taxon_grids
from pipeline.pages.photo_sheets import any_licence
from pipeline.pages.rejections_page import build_rejections_page, left_out
from pipeline.pages.species_table import PLAIN, species_table
from pipeline.pages.web_addresses import SEARCH_INATURALIST, catalogue, citable, doi_address
from pipeline.paths import Paths
from pipeline.query import rows

_SECTIONS: Final = (
    ("species", "Species"),
    ("tail", "Long tail"),
    ("map", "Map"),
    ("left-out", "Left out"),
    ("licences", "Licences"),
    ("split", "Split"),
    ("near-identical", "Near-identical"),
    ("photographs", "Photographs"),
)
_PAGES: Final = {"Dataset": "index.html", "Left out": "rejections.html", "Changes": "changes.html"}


@dataclass(frozen=True, kw_only=True)
class DatasetPage:
    """The files of the pages."""

    html: Path
    """`index.html`; the other pages lie beside it."""
    pictures: Mapping[str, Path]
    """PNG files by title."""
    files: Mapping[str, Path]
    """All files that people open, by name: three pages, and two tables as CSV."""


def build_dataset_page(paths: Paths, settings: Settings, *, taxa: Sequence[str] | None = None) -> DatasetPage:
    """Write `index.html`, `rejections.html` and `changes.html`, and their pictures where these are out of date.

    Args:
        paths: The files of the scope.
        settings: `split.seed` chooses the photographs that are shown.
        taxa: Names or keys of the taxa to show; empty for the families with the most photographs, None for those that
            the page showed last.

    Raises:
        TableError: the dataset is not built yet, or a taxon is unknown.
        GbifError: `download.json` is missing.
    """
    manifest, source = DatasetManifest.read(paths), SourceRecord.read(paths)
    folder = paths.reports / "dataset"
    chosen = _last_taxa(folder) if taxa is None else list(taxa)
    every = any_licence(settings)
    grids = taxon_grids(paths, source, taxa=chosen, seed=settings.split.seed, any_licence=every)
    charts = {
        "Species per class": species_per_class(paths),
        "Photographs per licence": licences(paths),
        "Photographs per species": long_tail(paths),
        "Where the observations were made": observation_map(paths),
    }
    species, found_at = species_table(paths), catalogue(source, manifest.checklist_key)
    html = render(
        "dataset.html",
        **_frame(paths, manifest, source, page="Dataset"),
        sections=sections(*_SECTIONS),
        manifest=manifest,
        sample=source.mode == "replica" or (source.doi is not None and not doi_address(source.doi)),
        citable=citable(source),
        doi=doi_address(source.doi),
        summary=_summary(paths),
        changes=last_comparison(paths),
        kingdoms=rows("species_kingdoms", inputs={"taxonomy": paths.table("taxonomy")}),
        species=species,
        plain=PLAIN,
        packed=species.packed(found_at),
        found_at=found_at,
        inaturalist=SEARCH_INATURALIST,
        charts=charts,
        licences=licence_statement(licence_counts(paths.table("attribution"))),
        left_out=left_out(manifest),
        unit=settings.split.unit,
        distance=DISTANCE,
        pairs=leaked_grid(paths, source, any_licence=every) if manifest.leakage["pairs"] else [],
        grids=grids,
    )
    files = {
        "index.html": write_bytes(folder / "index.html", html.encode()),
        "rejections.html": build_rejections_page(paths, source, frame=_frame(paths, manifest, source, page="Left out")),
        "changes.html": build_changes_page(paths, source, frame=_frame(paths, manifest, source, page="Changes")),
        "rejections.csv": folder / "rejections.csv",
        "species.csv": species.write_csv(folder / "species.csv"),
    }
    write_json(folder / "taxa.json", {"taxa": chosen})
    _remove_earlier(folder)
    return DatasetPage(html=files["index.html"], pictures=charts, files=files)


def show_accuracy(paths: Paths, settings: Settings) -> DatasetPage | None:
    """Write the pages again, with the taxa that they show, now that networks were measured; None where none stand.

    Raises:
        TableError: as for `build_dataset_page`.
        GbifError: as for `build_dataset_page`.
    """
    if not (paths.reports / "dataset" / "index.html").exists():
        return None
    return build_dataset_page(paths, settings)


def _frame(paths: Paths, manifest: DatasetManifest, source: SourceRecord, *, page: str) -> dict[str, object]:
    """What every page of the dataset shows around its content."""
    snapshots = read_snapshots(paths)
    # GBIF's date, else when the snapshot was first indexed: the same data make the same bytes on any day.
    date = source.created or (snapshots[-1].recorded if snapshots else "an unknown date")
    pages = [Link(text=text, href="" if text == page else name) for text, name in _PAGES.items()]
    others = {"Networks compared": "comparison.html", "Suspects": "suspects.html", "Report": "report.html"}
    pages += [Link(text=text, href=f"../{name}") for text, name in others.items() if (paths.reports / name).exists()]
    version = manifest.dataset_version
    return {"scope": manifest.scope, "dataset_version": version, "date": date[:10], "pages": pages}


def _summary(paths: Paths) -> dict[str, object]:
    inputs = {name: paths.table(name) for name in ("split", "clean_occurrences")}
    (found,) = rows("dataset_summary", inputs=inputs, most=3)
    return found


def _last_taxa(folder: Path) -> list[str]:
    """The taxa that were asked for when the page was written last."""
    file = folder / "taxa.json"
    if not file.exists():
        return []
    try:
        return [str(taxon) for taxon in json.loads(file.read_bytes())["taxa"]]
    except (ValueError, KeyError, TypeError) as error:
        raise TableError(f"cannot read {file}: {error}; remove it") from error


def _remove_earlier(folder: Path) -> None:
    """Sheets of one picture each that earlier versions wrote would look as if they belonged to this page."""
    for old in folder.glob("taxon-*.png"):
        old.unlink()
