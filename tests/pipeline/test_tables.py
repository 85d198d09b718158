"""A table that breaks its promises is found, and the promise is named."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.column_descriptions import OF_TABLE, column_description
from pipeline.config.settings import Settings
from pipeline.errors import TableError
from pipeline.table_checks import check_table
from pipeline.tables import CONTRACTS, DUCKDB_TYPES
from tests.pipeline.tiny import occurrence, photo, species, write

PLACE = {
    "occurrence_key": "1", "observation_id": "1", "class_id": 0, "side": "train", "obscured": False, "latitude": -36.8,
    "longitude": 174.7,
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
def test_an_empty_table_of_the_right_shape_keeps_every_contract(settings: Settings, name: str) -> None:
    assert check_table(name, write(settings.paths, name, [])) == []


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_speaks_of_its_own_columns_only(name: str) -> None:
    contract = CONTRACTS[name]
    columns = set(contract.schema.names)
    assert {*contract.unique, *contract.required, *contract.allowed} <= columns
    assert {column.type for column in contract.schema} <= set(DUCKDB_TYPES)


@pytest.mark.parametrize(
    ("name", "rows", "broken"),
    [
        (
            "clean_occurrences",
            [occurrence("1"), occurrence("1")],
            "occurrence_key is unique: 1 value is repeated (occurrence_key 1)",
        ),
        (
            "clean_occurrences",
            [occurrence("1", species=None)],
            "species is never null: 1 row breaks it (occurrence_key 1)",
        ),
        ("occurrences", [occurrence("1", taxon_rank="Species")], "taxon_rank is upper case: 1 row breaks it"),
        (
            "photos",
            [photo("a", of="1", status="fine")],
            "status is one of ok, gone, not_jpeg, corrupt, too_large, blocked, failed: 1 row breaks it (photo_id a)",
        ),
        (
            "photos",
            [photo("a", of="1", sha256=None), photo("b", of="1", bytes=None), photo("c", of="1", width=0)],
            "a photograph that is ok has its hash, size and path: 3 rows break it (photo_id a; photo_id b; photo_id c)",
        ),
        (
            "photos",
            [photo("a", of="1", path="/etc/passwd"), photo("b", of="1", path="../b.jpg")],
            "a path is relative to the data root: 2 rows break it (photo_id a; photo_id b)",
        ),
        (
            "species",
            [species("Aus bus", key="1", photos=2, observations=3)],
            "no species has more observations than photographs: 1 row breaks it (taxon_key 1)",
        ),
        (
            "changes",
            [
                {"change": "gone", "photo_id": "1", "occurrence_key_before": "2", "occurrence_key_after": "2"}
                | {f"species_{what}{side}": "3" for what in ("", "key_") for side in ("before", "after")}
            ],
            "a gone photograph is not in the index after: 1 row breaks it (photo_id 1, change gone)",
        ),
        ("rejections", [{"stage": "elsewhere", "key": "1", "rule": "r"}], "stage is one of occurrences"),
        ("places", [PLACE | {"latitude": 90.5}], "latitudes are from -90 to 90: 1 row breaks it (occurrence_key 1)"),
        ("places", [PLACE | {"longitude": 181.0}], "longitudes are from -180 to 180: 1 row breaks it"),
        ("places", [PLACE | {"longitude": None}], "a place has both coordinates or none: 1 row breaks it"),
        ("places", [PLACE | {"problem": "zero"}], "a place counts, or a rule says why not: 1 row breaks it"),
        ("places", [PLACE | {"day": 367}], "a day is one of the 366 of the year: 1 row breaks it"),
        ("places", [PLACE | {"uncertainty_m": 0.0}], "an uncertainty is a distance: 1 row breaks it"),
        (
            "split",
            [
                {
                    "photo_id": "a",
                    "occurrence_key": "1",
                    "observation_id": "1",
                    "class_id": 0,
                    "split": "validation",
                    "path": "a",
                }
            ],
            "validation rows and only they have a half: 1 row breaks it (photo_id a)",
        ),
    ],
)
def test_a_broken_promise_is_named(settings: Settings, name: str, rows: list[dict[str, Any]], broken: str) -> None:
    (problem,) = check_table(name, write(settings.paths, name, rows))
    assert problem.startswith(broken)


def test_the_first_rows_that_break_a_promise_are_named(settings: Settings) -> None:
    table = write(settings.paths, "photos", [photo(str(number), of="1", status="fine") for number in range(8, 0, -1)])
    (problem,) = check_table("photos", table)
    assert problem.endswith(": 8 rows break it (photo_id 1; photo_id 2; photo_id 3)")


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_column_has_a_meaning(name: str) -> None:
    for column in CONTRACTS[name].schema.names:
        meaning = column_description(name, column)
        assert meaning[0].isupper(), meaning
        assert meaning.endswith("."), meaning


def test_a_meaning_belongs_to_a_table() -> None:
    assert OF_TABLE.keys() <= CONTRACTS.keys()
    with pytest.raises(KeyError):
        column_description("photos", "colour")


def test_columns_and_types_are_strict(tmp_path: Path) -> None:
    path = tmp_path / "split.parquet"
    schema = CONTRACTS["split"].schema
    changed = schema.remove(schema.get_field_index("half")).append(pa.field("more", pa.string()))
    index = changed.get_field_index("class_id")
    pq.write_table(changed.set(index, pa.field("class_id", pa.int64())).empty_table(), path)
    assert check_table("split", path) == [
        "the column half (VARCHAR) is missing",
        "the column more is not part of the contract",
        "the column class_id is BIGINT, not INTEGER",
    ]


def test_the_order_of_columns_is_free(tmp_path: Path) -> None:
    schema = CONTRACTS["split"].schema
    pq.write_table(pa.schema(list(schema)[::-1]).empty_table(), tmp_path / "split.parquet")
    assert check_table("split", tmp_path / "split.parquet") == []


@pytest.mark.parametrize("content", [None, b"", b"not a table"])
def test_a_file_that_is_no_table_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "split.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TableError, match=r"split.* (missing|cannot read)|cannot read the table split"):
        check_table("split", path)


def test_a_table_without_a_contract_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no contract for a table 'splits'"):
        check_table("splits", tmp_path)
