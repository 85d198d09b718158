"""What the dataset is: version, hashes, counts, citation, and the accounting between the steps of the pipeline."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from ml.spec import problem_of
from pipeline.config.settings import Settings
from pipeline.dataset.crosswalk import followed_checklist
from pipeline.dataset.leakage import leakage
from pipeline.dataset.split import split_gaps
from pipeline.errors import TableError
from pipeline.files import digest_of, remembered, write_json
from pipeline.gbif.source import SourceRecord
from pipeline.paths import Paths
from pipeline.query import connect, count, parquet_files, rows, tally
from pipeline.rejections import counts as rejection_counts

TABLES = ("occurrences", "clean_occurrences", "photos", "species", "taxonomy", "split", "genus_photos", "rejections")
"""The tables with content hashes in the manifest."""

TRANSIENT = {"photos": ("fetched_at", "attempts")}
"""Columns that may differ between equal contents."""

EQUATIONS = (
    ("occurrences", "clean_occurrences", "rejected_occurrences"),
    ("clean_media", "photo_index", "rejected_media"),
    ("photo_index", "photos_ok", "rejected_photos"),
    ("photos_ok", "split", "rejected_usable"),
)
"""(before, after, removed): before = after + removed, in rows."""

NOTES = ("no_photo", "unusable_correction")
"""The rules of lines that are notes, about an occurrence or a correction: no row left with them."""


class DatasetManifest(BaseModel):
    """`dataset.json`. Holds nothing that differs between two builds of the same data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: str
    dataset_version: str
    """Content of the split, the taxonomy and the photographs for the genus stage: what a network is trained on."""
    split_hash: str
    taxonomy_hash: str
    table_hashes: dict[str, str]
    counts: dict[str, int]
    """Rows at each step: occurrences, clean_occurrences, media, photo_index, photos_ok, split, train, ..."""
    rejections: dict[str, dict[str, int]]
    """Stage -> rule -> rows."""
    gaps: dict[str, dict[str, tuple[str, ...]]] = {}
    """Unit (observation, photo) -> without_training, without_validation -> names of species, whichever unit is used."""
    leakage: dict[str, int] = {}
    """Near-identical photographs across the sides: validation, leaked, pairs, same_species."""
    download_key: str | None = None
    doi: str | None = None
    citation: str | None = None
    origin: str | None = None
    """A description of the data, used instead of a citation where GBIF gave none or where the replica invented it."""
    checklist_key: str | None = None
    """The checklist that the dataset follows, which need not be the configured one."""

    @classmethod
    def read(cls, paths: Paths) -> Self:
        """Read `dataset.json`.

        Raises:
            TableError: it was not written yet, is damaged, or was written by another version.
        """
        try:
            return cls.model_validate_json(paths.dataset_manifest.read_bytes())
        except FileNotFoundError as error:
            raise TableError(f"{paths.dataset_manifest} is missing; materialise the asset manifest") from error
        except (OSError, ValueError) as error:
            problem = f"cannot read {paths.dataset_manifest}: {problem_of(error)}"
            raise TableError(f"{problem}; materialise the asset manifest again") from error

    @property
    def source(self) -> str:
        """Where the data come from, in words for people: GBIF's citation, or the description used instead."""
        return self.origin or self.citation or "a source that does not say how to cite it"

    def metrics(self) -> dict[str, int]:
        """Counts by step, then `rejected/<stage>/<rule>`, flat, as an experiment tracker logs them."""
        rejected = {
            f"rejected/{stage}/{rule}": number
            for stage, rules in self.rejections.items()
            for rule, number in rules.items()
        }
        gaps = {
            f"species/{side}_by_{unit}": len(names)
            for unit, sides in self.gaps.items()
            for side, names in sides.items()
        }
        return {**self.counts, **gaps, **{f"leakage/{name}": n for name, n in self.leakage.items()}, **rejected}


def build_manifest(paths: Paths, settings: Settings) -> DatasetManifest:
    """Gather the facts from the tables and `download.json`, and write `dataset.json`.

    Raises:
        TableError: a table is missing.
        GbifError: `download.json` is missing, or another version wrote it.
    """
    hashes = {name: _table_hash(paths, name) for name in TABLES}
    numbers = _counts(paths)
    source = SourceRecord.read(paths)
    manifest = DatasetManifest(
        scope=settings.name,
        dataset_version=digest_of(hashes["split"], hashes["taxonomy"], hashes["genus_photos"]),
        split_hash=hashes["split"],
        taxonomy_hash=hashes["taxonomy"],
        table_hashes=hashes,
        counts={name: number for name, number in numbers.items() if not name.startswith("rejected_")},
        rejections=rejection_counts(paths),
        gaps={unit: asdict(gaps) for unit, gaps in split_gaps(paths, settings).items()},
        leakage=asdict(leakage(paths)),
        download_key=None if source.mode == "folder" else source.key,
        doi=source.doi,
        citation=source.citation,
        origin=source.origin,
        checklist_key=followed_checklist(paths),
    )
    write_json(paths.dataset_manifest, manifest.model_dump(mode="json"))
    return manifest


@dataclass(frozen=True, kw_only=True)
class Account:
    """One accounting equation with its numbers: before = after + removed, in rows."""

    before: str
    after: str
    removed: str
    rows_before: int
    rows_after: int
    rows_removed: int

    def is_balanced(self) -> bool:
        """Whether every row that was removed left one line."""
        return self.rows_before == self.rows_after + self.rows_removed


def accounts(paths: Paths) -> list[Account]:
    """The accounting equations of `EQUATIONS` with their numbers.

    Raises:
        TableError: a table is missing.
    """
    numbers = _counts(paths, without=("genus_photos",))
    return [
        Account(
            before=before, after=after, removed=removed,
            rows_before=numbers[before], rows_after=numbers[after], rows_removed=numbers[removed],
        )
        for before, after, removed in EQUATIONS
    ]  # fmt: skip


def balance(paths: Paths) -> list[str]:
    """The accounting equations that fail; empty when every row that was removed left one line.

    Raises:
        TableError: a table is missing.
    """
    return [
        f"{each.before} {each.rows_before} is not {each.after} {each.rows_after} + {each.removed} {each.rows_removed}"
        for each in accounts(paths)
        if not each.is_balanced()
    ]


def content_hash(table: Path, *, columns: Sequence[str] | None = None) -> str:
    """A hash of a table's rows that depends on their values, not on their order, the file or its writer.

    Every row becomes JSON, every JSON an MD5; the 64-bit halves are summed over the rows (so the order does not
    matter and a row that is there twice counts twice), and the sums are hashed with names, types and row count.
    It is computed once for each file and choice of columns.

    Args:
        table: A Parquet file.
        columns: The columns that count; default all. Their order does not matter.

    Returns:
        32 hexadecimal digits.

    Raises:
        TableError: the file or a column is missing.
    """
    (path,) = parquet_files(table.stem, table)
    chosen = None if columns is None else sorted(columns)
    return remembered(path, f"content-{digest_of(chosen)}", lambda: _content_hash(path, chosen))


def _content_hash(table: Path, columns: Sequence[str] | None) -> str:
    with connect(inputs={"hashed": table}) as connection:
        types = {row[0]: str(row[1]) for row in connection.execute("describe hashed").fetchall()}
        chosen = sorted(types if columns is None else columns)
        unknown = [name for name in chosen if name not in types]
        if unknown:
            raise TableError(f"{table} has no column {', '.join(unknown)}; it has {', '.join(types)}")
        fields = ", ".join(f'"{name}" := "{name}"' for name in chosen)
        found = connection.execute(
            f"""
            with digests as (select to_json(struct_pack({fields}))::varchar as line from hashed)
            select count(*), sum(md5_number_lower(line)::hugeint), sum(md5_number_upper(line)::hugeint) from digests
            """  # noqa: S608 (names of columns of this very file)
        ).fetchone()
    parts = json.dumps([[(name, types[name]) for name in chosen], [str(value) for value in found or ()]])
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _table_hash(paths: Paths, name: str) -> str:
    (path,) = parquet_files(name, paths.table(name))
    return content_hash(
        path, columns=[each for each in pq.read_schema(path).names if each not in TRANSIENT.get(name, ())]
    )


def _counts(paths: Paths, *, without: tuple[str, ...] = ()) -> dict[str, int]:
    """Rows at each step of the pipeline, and rows removed between them; a table of `without` counts as empty."""
    whole = ("occurrences", "clean_occurrences", "media", "photo_index", "species", "split", "genus_photos")
    sides = tally(paths.table("split"), "split")
    (clean,) = rows("clean_media", inputs={name: paths.table(name) for name in ("media", "clean_occurrences")})
    removed = rejection_counts(paths)

    def rejected(stage: str) -> int:
        return sum(number for rule, number in removed.get(stage, {}).items() if rule not in NOTES)

    return {
        **{name: 0 if name in without else count(paths.table(name)) for name in whole},
        **{side: sides.get((side,), 0) for side in ("train", "validation")},
        "clean_media": clean["media"],
        "photos_ok": tally(paths.table("photos"), "status").get(("ok",), 0),
        "rejected_occurrences": rejected("clean_occurrences"),
        "rejected_media": rejected("photo_index"),
        "rejected_photos": rejected("photos"),
        "rejected_usable": rejected("species"),
    }
