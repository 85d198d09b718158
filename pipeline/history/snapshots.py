"""The snapshots of GBIF that were indexed, in their order: where each came from, and its remembered photo index.

What differs between two of them is in `pipeline.history.changes`. See docs/adr/0006-snapshots-in-order-of-indexing.md.
"""

import datetime as dt
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict

from ml.spec import problem_of
from pipeline.config.licence_names import LICENCES
from pipeline.config.settings import Settings
from pipeline.dataset.crosswalk import followed_checklist
from pipeline.errors import TableError
from pipeline.files import digest_of, sha256_of, write_json
from pipeline.gbif.source import SourceRecord
from pipeline.paths import Paths
from pipeline.query import count, rows, to_parquet

KEPT: Final = 2
"""Indices that are kept: those of the last snapshot and of the one before. The records of all snapshots stay."""


class Snapshot(BaseModel):
    """One snapshot as it was indexed: the content of `Paths.snapshot_record`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    """Counts from 1 in the order of indexing."""
    identity: str
    """A hash of the source's content and of the scope."""
    key: str
    """GBIF's download key; for searches and archives a content hash."""
    doi: str | None
    created: str | None
    """When GBIF made the download (ISO 8601)."""
    recorded: str
    """When it was first indexed here (ISO 8601, UTC)."""
    scope: dict[str, Any]
    """What decides, besides GBIF, which photographs are in the index; by configuration key."""
    photographs: int
    changes: dict[str, int] = {}
    """Photographs by kind of change against the snapshot before."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            TableError: it is damaged.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise TableError(
                f"cannot read {path}: {problem_of(error)}; remove the folder {path.parent} to forget this snapshot"
            ) from error

    def named(self) -> str:
        """The snapshot as people cite it."""
        facts = [f"snapshot {self.number}: {self.photographs:,} photographs", f"download {self.key}"]
        facts += [f"DOI {self.doi}"] if self.doi else []
        facts += [f"made {self.created[:10]}"] if self.created else []
        return ", ".join(facts)

    def write(self, paths: Paths) -> None:
        """Write the record."""
        write_json(paths.snapshot_record(self.number), self.model_dump(mode="json"))


def read_snapshots(paths: Paths) -> list[Snapshot]:
    """The snapshots that were indexed, the oldest first; folders that a killed run left unfinished do not count.

    Raises:
        TableError: a record is damaged.
    """
    records = paths.snapshots.glob(f"*/{paths.snapshot_record(1).name}")
    return sorted(map(Snapshot.read, records), key=lambda snapshot: snapshot.number)


def copy_index(paths: Paths, settings: Settings) -> tuple[Snapshot, Snapshot | None]:
    """Copy what is remembered of the present photo index and of what licences keep out of it.

    The caller holds the lock of `Paths.snapshots`.

    While source and scope stay the same, the last snapshot stays the last one: its copy is renewed, and its
    predecessor does not change. Anything else becomes the next snapshot, even if it was indexed once before. A snapshot
    counts once its record is written: a kill before that leaves only a copy, which the next run overwrites.

    Returns:
        The present snapshot, its record not yet written, and the snapshot before it, if any.

    Raises:
        GbifError: nothing was fetched yet.
        TableError: a table is missing, the photo index does not belong to the clean occurrences, or the copy of the
            predecessor's index is gone.
    """
    source = SourceRecord.read(paths)
    scope = scope_of(settings, source, checklist=followed_checklist(paths))
    identity = digest_of(source.sha256, scope)
    known = read_snapshots(paths)
    again = known.pop() if known and known[-1].identity == identity else None
    previous = known[-1] if known else None
    number = again.number if again else previous.number + 1 if previous else 1
    if previous and not paths.snapshot_index(previous.number).exists():
        raise TableError(
            f"{paths.snapshot_index(previous.number)} is missing; remove the folders of {paths.snapshots} up to "
            f"{previous.number} to compare with nothing"
        )
    index = paths.table("photo_index")
    copied = to_parquet(
        "snapshot_index",
        inputs={
            "photo_index": index,
            "clean_occurrences": paths.table("clean_occurrences"),
            "removed": paths.rejections_of("photo_index"),
        },
        output=paths.snapshot_index(number),
    )
    (found,) = rows("snapshot_photographs", inputs={"snapshot": copied})
    if found["photographs"] != count(index):
        raise TableError(f"{index} names occurrences that are not clean; materialise photo_index")
    present = Snapshot(
        number=number,
        identity=identity,
        key=source.key,
        doi=source.doi,
        created=source.created,
        recorded=again.recorded if again else dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        scope=scope,
        photographs=found["photographs"],
    )
    return present, previous


def forget_old_indices(paths: Paths) -> None:
    """Remove the copies of indices that no comparison needs; the records stay."""
    for snapshot in read_snapshots(paths)[:-KEPT]:
        paths.snapshot_index(snapshot.number).unlink(missing_ok=True)


def scope_of(settings: Settings, source: SourceRecord, *, checklist: str | None) -> dict[str, Any]:
    """What decides which photographs of GBIF are in the index, by configuration key.

    `checklist` is the one that the clean occurrences follow; an archive of another one is taken as it is.
    """
    crosswalk, corrections = settings.taxonomy.crosswalk, settings.labels.corrections
    return {
        "source.mode": source.mode,
        "source": source.predicate,
        "source.checklist_key": checklist,
        "taxonomy.unusual": settings.taxonomy.unusual,
        "taxonomy.fuzzy": settings.taxonomy.fuzzy,
        "taxonomy.crosswalk": None if crosswalk is None else sha256_of(crosswalk),
        "photos.size": settings.photos.size,
        # Empty for all, however it is configured.
        "photos.licences": [] if set(settings.allowed_licences) == set(LICENCES) else sorted(settings.allowed_licences),
        # Without the option the number does not matter to the index.
        "photos.skip_rare": settings.split.min_images if settings.photos.skip_rare else 0,
        # Each state of the file is a snapshot of its own, so that what it changed is told; without one, nothing is.
        **({} if corrections is None else {"labels.corrections": sha256_of(corrections)}),
    }
