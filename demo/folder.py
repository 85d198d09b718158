"""A folder of labelled photographs as a source: every row of a CSV is one observation with one photograph.

Nothing is added and nothing is left out in release 1, so that counts match the CSV. The replica's oddities
(hybrids, sounds, missing media) belong to the rendered source.
"""

import csv as csv_format
from collections.abc import Sequence
from pathlib import Path

from demo.habits import habits_of
from demo.lineage import OCCURRENCE_LICENCE, accepted, number, synonym
from demo.records import RANKS, Media, Occurrence, Taxon
from demo.releases import release_of
from demo.sightings import sighting

COLUMNS = ("path", *RANKS, "source_name", "licence", "rights_holder")
FORMATS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


class FolderError(Exception):
    """The CSV of labelled photographs, or a photograph that it names, cannot be used."""


class FolderSource:
    """Observations and photographs of a CSV.

    The path of a photograph, as the CSV writes it, is its identity: keys stay the same when rows are added or moved.
    """

    def __init__(self, csv: Path, release: int) -> None:
        """Read the CSV.

        Args:
            csv: Table with at least `COLUMNS`; paths are relative to its folder.
            release: 1 (every row) or 2 (see `demo.releases`; a folder does not grow).

        Raises:
            FolderError: No such CSV, a column missing, a row without path or species, a path twice, an unknown kind of
                picture, or a photograph that is not there.
        """
        rows = _read(csv)
        taxa = {lineage: accepted(dict(zip(RANKS, lineage, strict=True))) for lineage in set(map(_lineage, rows))}
        observations = tuple(_observation(row, taxon=taxa[_lineage(row)]) for row in rows)
        self._files = {_photo_id(row["path"]): csv.parent / row["path"] for row in rows}
        self._occurrences = release_of(observations, release=release, species=tuple(taxa.values()), grows=False)

    def occurrences(self) -> Sequence[Occurrence]:
        """All observations of the release, by gbif_id."""
        return self._occurrences

    def photograph(self, photo_id: str) -> bytes | None:
        """The bytes of the file; None when the CSV has no such photograph (removed records keep theirs)."""
        file = self._files.get(photo_id)
        return None if file is None else file.read_bytes()


def _read(csv: Path) -> list[dict[str, str]]:
    try:
        with csv.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv_format.DictReader(stream, strict=True)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise FolderError(f"{csv} has no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
            rows = [{column: (row[column] or "").strip() for column in COLUMNS} for row in reader]
    except FileNotFoundError as error:
        raise FolderError(f"there is no file {csv}; name a CSV of photographs") from error
    except (OSError, UnicodeDecodeError, csv_format.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise FolderError(f"{csv} cannot be read as a CSV of photographs: {reason}") from error
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        _check(row, where=f"{csv}, row {line}", folder=csv.parent, seen=seen)
    return rows


def _check(row: dict[str, str], *, where: str, folder: Path, seen: set[str]) -> None:
    path = row["path"]
    if not path or not row["species"]:
        raise FolderError(f"{where}: a row needs a path and a species")
    if path in seen:
        raise FolderError(f"{where}: {path} is named twice; keep one of the rows")
    if Path(path).suffix.lower() not in FORMATS:
        raise FolderError(f"{where}: {path} is no picture that the replica serves ({', '.join(FORMATS)})")
    if not (folder / path).is_file():
        raise FolderError(f"{where}: there is no file {folder / path}")
    seen.add(path)


def _lineage(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[rank] for rank in RANKS)


def _photo_id(path: str) -> str:
    return number("photo", path, digits=12)


def _observation(row: dict[str, str], *, taxon: Taxon) -> Occurrence:
    path = row["path"]
    name = row["source_name"]
    seen = sighting(path, habits=habits_of(taxon.accepted_key))
    photograph = Media(
        photo_id=_photo_id(path),
        format=FORMATS[Path(path).suffix.lower()],
        type="StillImage",
        licence=row["licence"],
        rights_holder=row["rights_holder"],
        creator=row["rights_holder"],
    )
    return Occurrence(
        gbif_id=number("gbif", path, digits=12),
        observation_id=number("observation", path, digits=12),
        taxon=synonym(taxon, name=name) if name and name != row["species"] else taxon,
        media=(photograph,),
        licence=OCCURRENCE_LICENCE,
        event_date=seen.event_date,
        latitude=seen.latitude,
        longitude=seen.longitude,
        recorded_by=row["rights_holder"] or seen.observer,
        issues=seen.issues,
        uncertainty_m=seen.uncertainty_m,
        information_withheld=seen.information_withheld,
    )
