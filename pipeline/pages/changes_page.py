"""The page of what changed since the snapshot before: photographs, species, licences, names, and all snapshots."""

from pathlib import Path
from typing import Any, Final

from pipeline.files import write_bytes
from pipeline.gbif.source import SourceRecord
from pipeline.history.changes import KINDS, Comparison, changed_species, replaced
from pipeline.history.snapshots import Snapshot, read_snapshots
from pipeline.history.taxonomy_history import last_tree
from pipeline.pages.charts import changes_chart
from pipeline.pages.document import Link, render, sections
from pipeline.pages.drift_section import drift_section
from pipeline.pages.web_addresses import doi_address, photo_address, record_address
from pipeline.paths import Paths
from pipeline.query import rows

_SPECIES: Final = 20
"""Species that gained most, and as many that lost most."""
_PAIRS: Final = 50
"""Replacements of one species or licence by another; photographs and species named one by one."""


def last_comparison(paths: Paths) -> Comparison | None:
    """The last two snapshots and what changed between them; None where there is only one, or none.

    Raises:
        TableError: the record of a snapshot is damaged.
    """
    snapshots = read_snapshots(paths)
    if len(snapshots) < 2:
        return None
    before, last = snapshots[-2:]
    return Comparison(snapshot=last, previous=before, counts={kind: last.changes.get(kind, 0) for kind in KINDS})


def build_changes_page(paths: Paths, source: SourceRecord, *, frame: dict[str, object]) -> Path:
    """Write `reports/dataset/changes.html`; of the first snapshot it says that there is nothing to compare with.

    Args:
        paths: The files of the scope.
        source: Where the records came from; decides where they lead.
        frame: What `base.html` shows: scope, dataset_version, date, pages.

    Returns:
        The page.

    Raises:
        TableError: `changes.parquet` or `taxonomy_diff.parquet` is missing, or the record of a snapshot is damaged.
    """
    comparison = last_comparison(paths)
    taxonomy = taxonomy_changes(paths)
    headings = [("photographs", "Photographs")] if comparison else []
    headings += [("species", "Species"), ("labels", "Labels"), ("licences", "Licences")] if comparison else []
    drift = drift_section(paths)
    headings += [("drift", "Drift")] if drift else []
    headings += [("taxonomy", "Taxonomy")] if taxonomy else []
    html = render(
        "changes.html",
        **frame,
        sections=sections(*headings, ("snapshots", "All snapshots")),
        comparison=comparison,
        drift=drift,
        taxonomy=taxonomy,
        taxa=rows("changed_species", inputs=_diff(paths), most=_PAIRS) if taxonomy else [],
        snapshots=[_history(one) for one in reversed(read_snapshots(paths))],
        **(_details(paths, source, comparison) if comparison else {}),
    )
    return write_bytes(paths.reports / "dataset" / "changes.html", html.encode())


def taxonomy_changes(paths: Paths) -> list[dict[str, Any]]:
    """How many taxa of each rank changed in which way; empty without an earlier taxonomy, when nothing can be new.

    Raises:
        TableError: `taxonomy_diff.parquet` is missing, or the list of earlier trees is damaged.
    """
    return rows("taxonomy_changes", inputs=_diff(paths)) if last_tree(paths) else []


def _diff(paths: Paths) -> dict[str, Path]:
    return {"taxonomy_diff": paths.table("taxonomy_diff")}


def _details(paths: Paths, source: SourceRecord, comparison: Comparison) -> dict[str, object]:
    photographs = {
        change: rows("changed_photographs", inputs={"changes": paths.table("changes")}, change=change, most=_PAIRS)
        for change in ("re-identified", "relicensed")
    }
    return {
        "chart": changes_chart(paths, comparison),
        "species": [[row["species"], row["gained"], row["lost"]] for row in changed_species(paths, most=_SPECIES)],
        "labels": [list(row.values()) for row in replaced(paths, "re-identified", most=_PAIRS)],
        "licences": [list(row.values()) for row in replaced(paths, "relicensed", most=_PAIRS)],
        "relabelled": [
            [_record(source, row), row["species_before"], row["species_after"]] for row in photographs["re-identified"]
        ],
        "relicensed": [
            [
                _record(source, row), row["species_after"] or row["species_before"], row["licence_before"],
                row["licence_after"], "left the dataset" if row["has_left"] else "stays",
            ]
            for row in photographs["relicensed"]
        ],
    }  # fmt: skip


def _record(source: SourceRecord, row: dict[str, Any]) -> Link:
    """A photograph by its id, leading to its page, else to its record; the replica made both up."""
    known = source.mode != "replica"
    href = photo_address(source, row["url"]) or record_address(source, row["occurrence_key"]) if known else ""
    return Link(text=row["photo_id"], href=href)


def _history(snapshot: Snapshot) -> list[object]:
    changes = [snapshot.changes.get(kind) for kind in KINDS]
    doi = Link(text=snapshot.doi, href=doi_address(snapshot.doi)) if snapshot.doi else None
    return [str(snapshot.number), snapshot.recorded[:10], snapshot.photographs, *changes, doi]
