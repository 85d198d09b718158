"""A folder of labelled photographs as a source: each row of its CSV is one occurrence with one photograph.

The second release removes 2 % of the rows, relicenses 2 % and identifies 1 % as a close relative; it adds none,
since every row is in the first release already.
"""

import csv
import datetime as dt
import hashlib
import io
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

from demo.records import (
    OBSERVERS,
    Changes,
    Identifiers,
    Media,
    Occurrence,
    make_occurrence,
    second_release,
)
from demo.taxa import RANKS, accepted, as_lineage, digest, synonym

COLUMNS: Final = ("path", *RANKS)
"""Columns that must be there; source_name, licence and rights_holder may be missing or blank."""
CHANGES: Final = Changes(removed=0.02, relicensed=0.02, reidentified=0.01)


class FolderError(ValueError):
    """The CSV cannot be used; the message says which line and why."""


class Folder:
    """Photographs listed in a CSV, served as they are.

    Args:
        table: The CSV; its paths are relative to its folder.

    Raises:
        FolderError: it cannot be read, lacks columns, or names files outside its folder.
    """

    def __init__(self, table: Path) -> None:
        self._root = table.absolute().parent
        try:
            content = table.read_bytes()
        except OSError as error:
            raise FolderError(f"cannot read the list of photographs {table}: {error}") from error
        self._files: dict[str, Path] = {}
        self._first = tuple(sorted(self._read(table, content.decode("utf-8-sig")), key=lambda item: item.key))
        self._fingerprint = hashlib.sha256(content).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """The hash of the CSV."""
        return self._fingerprint

    @cache  # noqa: B019 (one source lives as long as its server)
    def occurrences(self, release: int) -> tuple[Occurrence, ...]:
        """All rows, or what the second release makes of them."""
        return self._first if release == 1 else tuple(second_release(self._first, changes=CHANGES))

    def original(self, photo_id: str) -> bytes | None:
        """The file's bytes."""
        path = self._files.get(photo_id)
        return None if path is None or not path.is_file() else path.read_bytes()

    def _read(self, table: Path, text: str) -> list[Occurrence]:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise FolderError(f"{table} has no column {', '.join(missing)}")
        keys = Identifiers("gbifID", first=1_000_000_000, span=4_000_000_000)
        observations = Identifiers("observation", first=10_000_000, span=300_000_000)
        photos = Identifiers("photo", first=10_000_000, span=500_000_000)
        seen: Counter[str] = Counter()
        rows: list[Occurrence] = []
        for row in reader:
            path = self._root / row["path"]
            if not row["path"] or not row["species"] or not row["genus"]:
                raise FolderError(f"{table}, line {reader.line_num}: path, genus and species must not be blank")
            if Path(row["path"]).is_absolute() or ".." in Path(row["path"]).parts:
                raise FolderError(f"{table}, line {reader.line_num}: {row['path']} lies outside the folder")
            seen[row["path"]] += 1
            identity = (row["path"], seen[row["path"]])
            photo_id = str(photos.of(*identity))
            self._files[photo_id] = path
            rows.append(
                _occurrence(
                    row,
                    photo_id=photo_id,
                    key=keys.of(*identity),
                    observation=observations.of(*identity),
                )
            )
        return rows


def _occurrence(row: dict[str, str], *, photo_id: str, key: int, observation: int) -> Occurrence:
    lineage = as_lineage([(row[rank] or "").strip() for rank in RANKS])
    name = (row.get("source_name") or "").strip()
    holder = (row.get("rights_holder") or "").strip()
    observer = holder or OBSERVERS[digest("observer", key) % len(OBSERVERS)]
    media = Media(media_id=photo_id, licence=(row.get("licence") or "").strip(), rights_holder=holder, creator=holder)
    return make_occurrence(
        key=key,
        observation=observation,
        identification=synonym(lineage, name) if name and name != lineage[-1] else accepted(lineage),
        media=(media,),
        observer=observer,
        date=dt.date(2012, 1, 1) + dt.timedelta(days=digest("date", key) % 5000),
    )
