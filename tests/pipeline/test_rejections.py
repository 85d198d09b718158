"""Rows that are removed leave a line; the lines of one stage never disturb those of another."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.settings import Settings
from pipeline.errors import TableError
from pipeline.rejections import counts, write_rejections
from pipeline.table_checks import check_table
from tests.pipeline.tiny import read


def lines(*rows: tuple[str, str, str]) -> pa.Table:
    schema = pa.schema([(name, pa.string()) for name in ("key", "rule", "detail")])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def test_the_union_holds_every_stage(settings: Settings) -> None:
    write_rejections(settings.paths, "photos", lines(("p1", "gone", "HTTP 404")))
    write_rejections(settings.paths, "clean_occurrences", lines(("2", "hybrid", "x"), ("1", "hybrid", "y")))
    union = read(settings.paths.table("rejections"))
    assert [(row["stage"], row["key"]) for row in union] == [
        ("clean_occurrences", "1"),
        ("clean_occurrences", "2"),
        ("photos", "p1"),
    ]
    assert counts(settings.paths) == {"clean_occurrences": {"hybrid": 2}, "photos": {"gone": 1}}
    assert check_table("rejections", settings.paths.table("rejections")) == []


def test_a_stage_that_runs_again_replaces_its_own_lines_only(settings: Settings) -> None:
    write_rejections(settings.paths, "photos", lines(("p1", "gone", "HTTP 404")))
    write_rejections(settings.paths, "species", lines(("p2", "too_few_images", "Aus bus has 1")))
    write_rejections(settings.paths, "photos", lines())
    assert counts(settings.paths) == {"species": {"too_few_images": 1}}


def test_lines_come_as_a_file_too(settings: Settings, tmp_path: Path) -> None:
    pq.write_table(lines(("b", "gone", ""), ("a", "gone", "")), tmp_path / "lines.parquet")
    union = write_rejections(settings.paths, "photos", tmp_path / "lines.parquet")
    assert [row["key"] for row in read(union)] == ["a", "b"]
    assert write_rejections(settings.paths, "photos", lines()).exists()
    assert counts(settings.paths) == {}
    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "wrong.parquet")
    with pytest.raises(TableError, match="wanted key, rule and detail"):
        write_rejections(settings.paths, "photos", tmp_path / "wrong.parquet")


def test_equal_contents_make_equal_files(settings: Settings) -> None:
    one = write_rejections(settings.paths, "photos", lines(("a", "gone", ""), ("b", "gone", ""))).read_bytes()
    two = write_rejections(settings.paths, "photos", lines(("b", "gone", ""), ("a", "gone", ""))).read_bytes()
    assert one == two


@pytest.mark.parametrize(
    ("stage", "table", "message"),
    [
        ("photo", lines(), "unknown stage 'photo'"),
        ("photos", pa.table({"key": ["a"]}), "wanted key, rule and detail"),
        ("photos", lines(("a", "b", "c")).append_column("stage", pa.array(["species"])), "wanted key, rule and detail"),
        ("photos", lines(("a", "b", "c")).append_column("more", pa.array(["x"])), "wanted key, rule and detail"),
    ],
)
def test_wrong_lines_are_refused(settings: Settings, stage: str, table: pa.Table, message: str) -> None:
    with pytest.raises(TableError, match=message):
        write_rejections(settings.paths, stage, table)
    assert not settings.paths.table("rejections").exists()


def test_counting_before_any_stage_ran_says_what_is_missing(settings: Settings) -> None:
    with pytest.raises(TableError, match="rejections is missing"):
        counts(settings.paths)
