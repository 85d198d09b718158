"""The page of photographs that seem to have the wrong name: each beside the species that it looks like."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import write_bytes
from pipeline.gbif.source import SourceRecord
from pipeline.label_quality.suspects import LISTED, counted
from pipeline.pages.document import Link, render
from pipeline.pages.photo_grids import Photograph, photograph
from pipeline.pages.photo_sheets import any_licence
from pipeline.pages.web_addresses import observation_address, record_address
from pipeline.paths import Paths
from pipeline.query import rows

SIDE: Final = 220
"""Pixels of the longer side of a photograph: two of them stand beside each other, and there are 400."""


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """One photograph with what is said of it."""

    place: int
    shown: Photograph
    """The photograph under the species that it was given."""
    example: Photograph | None
    """One of the species that it looks like; None where none may be shown."""
    looks_like: str | None
    probability: str
    """Of the species that it looks like, in words."""
    confidence: str
    """Of the species that it was given."""
    relation: str
    """How the two species are related, in words."""
    near: bool
    """Whether both are of one genus."""
    is_issue: bool
    copy_of: str | None
    """The species of a near-identical photograph under another name."""
    links: tuple[Link, ...]
    words: str
    """What the search looks at."""


def build_suspects_page(paths: Paths, settings: Settings) -> Path:
    """Write `reports/suspects.html`: the first suspects, and how to correct their names.

    Args:
        paths: The files of the scope.
        settings: Says whose photographs these are (`any_licence`).

    Returns:
        The page.

    Raises:
        TableError: `suspects`, `split`, `photos` or `dataset.json` is missing.
        GbifError: `download.json` is missing.
    """
    manifest, source = DatasetManifest.read(paths), SourceRecord.read(paths)
    pages = [Link(text="Dataset", href="dataset/index.html"), Link(text="Changes", href="dataset/changes.html")]
    pages.append(Link(text="Suspects", href=""))
    if (paths.reports / "report.html").exists():
        pages.append(Link(text="Report", href="report.html"))
    html = render(
        "suspects.html",
        scope=manifest.scope,
        dataset_version=manifest.dataset_version,
        date=(source.created or "an unknown date")[:10],
        pages=pages,
        suspects=first_shown(paths, settings, source, most=LISTED),
        numbers=counted(paths),
        folds=settings.labels.folds,
        backbone=settings.training.backbone,
        sample=source.mode == "replica",
    )
    return write_bytes(paths.reports / "suspects.html", html.encode())


def first_shown(paths: Paths, settings: Settings, source: SourceRecord, *, most: int) -> list[Suspect]:
    """The most suspicious photographs, each beside an example of what it looks like.

    Args:
        paths: The files of the scope.
        settings: Says whose photographs these are (`any_licence`).
        source: Where the records came from; decides where the photographs lead.
        most: How many.

    Raises:
        TableError: `suspects`, `split` or `photos` is missing.
    """
    inputs = {name: paths.table(name) for name in ("suspects", "split", "photos")}
    found = rows("shown_suspects", inputs=inputs, most=most, any_licence=any_licence(settings))
    return [_suspect(paths, source, row) for row in found]


def _suspect(paths: Paths, source: SourceRecord, row: dict[str, Any]) -> Suspect:
    side = {"train": "training", "validation": "validation"}[row["split"]]
    example = None
    if row["example_path"] is not None:
        names = ("url", "licence", "credit", "path")
        chosen = {name: row[f"example_{name}"] for name in names}
        chosen |= {"species": row["suggested_species"], "occurrence_key": row["example_occurrence"]}
        example = photograph(paths, source, chosen, note="an example", side=SIDE)
    return Suspect(
        place=row["suspicion_rank"],
        shown=photograph(paths, source, row, note=side, side=SIDE),
        example=example,
        looks_like=row["suggested_species"],
        probability=_probable(row["suggested_probability"] or 0.0),
        confidence=_probable(row["self_confidence"]),
        relation=_relation(row),
        near=row["meet_rank"] == "genus",
        is_issue=bool(row["is_issue"]),
        copy_of=row["near_duplicate_species"],
        links=_links(source, row),
        words=" ".join(filter(None, (row["species"], row["suggested_species"], row["photo_id"], row["meet_taxon"]))),
    )


def _probable(probability: float) -> str:
    """A probability in words; none is certain."""
    if probability < 0.005:
        return "under 1% probable"
    return "over 99% probable" if probability >= 0.995 else f"{probability:.0%} probable"


def _relation(row: dict[str, Any]) -> str:
    if row["meet_rank"] in {None, "none"}:
        return "of another kingdom" if row["meet_rank"] else ""
    return f"of the same {row['meet_rank']}, {row['meet_taxon']}"


def _links(source: SourceRecord, row: dict[str, Any]) -> tuple[Link, ...]:
    """Where people can look closer, and say so; the replica made its records up."""
    if source.mode == "replica":
        return ()
    places = {
        "observation": observation_address(source, row["observation_id"], row["url"]),
        "record": record_address(source, row["occurrence_key"]),
    }
    return tuple(Link(text=text, href=href) for text, href in places.items() if href)
