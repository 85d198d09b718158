"""Builders of tiny tables: a row is written as what differs from an ordinary one."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.paths import Paths
from pipeline.tables import CONTRACTS

Row = dict[str, Any]

BLACKBIRD: Row = {
    "kingdom": "Animalia",
    "phylum": "Chordata",
    "class": "Aves",
    "order": "Passeriformes",
    "family": "Turdidae",
    "genus": "Turdus",
    "species": "Turdus merula",
    "kingdom_key": "1",
    "phylum_key": "44",
    "class_key": "212",
    "order_key": "729",
    "family_key": "5290",
    "genus_key": "2490714",
    "species_key": "6171845",
}


def occurrence(key: str, **changes: Any) -> Row:  # noqa: ANN401
    """A research-grade blackbird with the given changes."""
    return {
        "occurrence_key": key,
        "observation_id": f"o{key}",
        "dataset_key": "50c9509d-22c7-4a22-a47d-8c48425ef4a7",
        "checklist_key": "backbone",
        "taxon_key": "6171845",
        "accepted_taxon_key": "6171845",
        **BLACKBIRD,
        "licence": "CC-BY",
        "country": "NZ",
        "event_date": "2024-05-01",
        "scientific_name": "Turdus merula Linnaeus, 1758",
        "taxon_rank": "SPECIES",
        "taxonomic_status": "ACCEPTED",
        "issue": "COORDINATE_ROUNDED",
        "decimal_latitude": -36.8,
        "decimal_longitude": 174.7,
        **changes,
    }


def photo(photo_id: str, *, of: str, **changes: Any) -> Row:  # noqa: ANN401
    """A usable photograph of the occurrence `of`."""
    return {
        "photo_id": photo_id,
        "occurrence_key": of,
        "url": f"http://photos.test/photos/{photo_id}/large.jpg",
        "status": "ok",
        "http_status": 200,
        "sha256": hashlib.sha256(photo_id.encode()).hexdigest(),
        "bytes": 1000,
        "width": 64,
        "height": 48,
        "path": f"photos/{photo_id}.jpg",
        "licence": "CC-BY",
        "rights_holder": "A. Holder",
        "creator": "A. Creator",
        "attempts": 1,
        **changes,
    }


def species(name: str, *, key: str, **changes: Any) -> Row:  # noqa: ANN401
    """A kept species of the blackbird's genus."""
    return {
        **{name_: value for name_, value in BLACKBIRD.items() if name_ != "species_key"},
        "taxon_key": key,
        "checklist_key": "backbone",
        "species": name,
        "photos": 5,
        "observations": 5,
        **changes,
    }


def write(paths: Paths, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as the table `name`, in the schema of its contract."""
    path = paths.table(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=CONTRACTS[name].schema), path)
    return path


def read(path: Path) -> list[Row]:
    """All rows of a Parquet file."""
    rows: list[Row] = pq.read_table(path).to_pylist()
    return rows
