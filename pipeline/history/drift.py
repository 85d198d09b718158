"""How the photographs of each snapshot are distributed, and how far that is from the snapshot before.

Drift is no error: seasons pass, and people move to other islands. A large step in one week is worth a look, since the
exam and the calibration were made of the world before it.
"""

from pathlib import Path
from typing import Any, Final

from pipeline.history.snapshots import Snapshot, read_snapshots
from pipeline.paths import Paths
from pipeline.query import rows, to_parquet

KINDS: Final = {
    "class": "class",
    "species": "species",
    "country": "country",
    "cell": "5° cell",
    "month": "month",
    "year": "year",
    "licence": "licence",
}
"""What photographs are told apart by, with the words for people."""
CELL: Final = 5
"""Degrees of latitude and longitude that a cell spans (`sql/history/snapshot_shares.sql`)."""
MOST_DRIFT: Final = 0.1
"""A distance that is worth a look: from one week to the next, one photograph in ten would have to be exchanged."""


def build_drift(paths: Paths) -> Path:
    """Remember the shares of the present snapshot, and write `drift.parquet` against those of the one before.

    Shares of all snapshots are kept, a few thousand rows each, so that the history of distances can be shown. The same
    snapshot is always compared with the same predecessor.

    Args:
        paths: The files of the scope; the present snapshot was compared (`pipeline.history.changes`).

    Raises:
        TableError: a table is missing, or the record of a snapshot is damaged.
    """
    present, previous = compared(paths)
    number = present.number if present else 0
    to_parquet(
        "snapshot_shares",
        inputs={name: paths.table(name) for name in ("photo_index", "clean_occurrences")},
        output=paths.snapshot_shares / f"{number:06d}.parquet",
        snapshot=number,
    )
    return to_parquet(
        "drift",
        inputs={"shares": paths.snapshot_shares},
        output=paths.table("drift"),
        snapshot=number,
        previous=previous.number if previous else None,
    )


def compared(paths: Paths) -> tuple[Snapshot | None, Snapshot | None]:
    """The present snapshot and the one before whose shares are known; None where there is none.

    Raises:
        TableError: the record of a snapshot is damaged.
    """
    snapshots = read_snapshots(paths)
    known = [one for one in snapshots[:-1] if (paths.snapshot_shares / f"{one.number:06d}.parquet").exists()]
    last = snapshots[-1] if snapshots else None
    # A version that kept no shares leaves a gap; what came before the gap is not the snapshot before.
    before = known[-1] if last and known and known[-1].number == snapshots[-2].number else None
    return last, before


def distances(paths: Paths) -> list[dict[str, Any]]:
    """How far each snapshot is from the one before, the oldest first: snapshot, kind, distance.

    The distance is the total variation, ½ Σ |p(v) - q(v)| over the values v of a kind, where p and q are the shares of
    photographs in the two snapshots. It ranges from 0 (the same shares) to 1 (no value in common), and is the share of
    photographs that would have to be of another value.

    Raises:
        TableError: no shares were kept yet, or the record of a snapshot is damaged.
    """
    numbers = [one.number for one in read_snapshots(paths)]
    return rows("drift_distances", inputs={"shares": paths.snapshot_shares}, snapshots=numbers)


def last_distances(paths: Paths) -> dict[str, float]:
    """The distance of the present snapshot from the one before, by kind; empty where there is none before.

    Raises:
        TableError: as `distances`.
    """
    present, previous = compared(paths)
    if present is None or previous is None:
        return {}
    return {row["kind"]: row["distance"] for row in distances(paths) if row["snapshot"] == present.number}


def moves(paths: Paths, *, most: int) -> list[dict[str, Any]]:
    """The shares that changed most, at most so many of each kind: kind, value, share_before, share, difference.

    Raises:
        TableError: `drift.parquet` is missing.
    """
    return rows("drift_moves", inputs={"drift": paths.table("drift")}, most=most)
