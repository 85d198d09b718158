"""SQL files run over Parquet and Arrow, write atomically, and tell which table is missing."""

import fcntl
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import TableError
from pipeline.query import STEPS_TOGETHER, connect, copy, count, rows, select, tally, to_parquet


def _split(*sides: tuple[str, str]) -> pa.Table:
    return pa.table({"observation_id": [row[0] for row in sides], "split": [row[1] for row in sides]})


def test_rows_come_back_as_dictionaries() -> None:
    table = _split(("a", "train"), ("a", "validation"), ("b", "train"))
    assert rows("check_straddling", inputs={"split": table}) == [{"observation_id": "a"}]


def test_a_query_writes_parquet(tmp_path: Path) -> None:
    source = tmp_path / "it's split.parquet"
    pq.write_table(_split(("a", "train"), ("a", "validation")), source)
    output = to_parquet("check_straddling", inputs={"split": source}, output=tmp_path / "out" / "table.parquet")
    assert count(output) == 1
    assert [file.name for file in output.parent.iterdir()] == ["table.parquet"]


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="split is missing"):
        rows("check_straddling", inputs={"split": tmp_path / "absent.parquet"})


def test_rows_are_counted_by_their_values_and_by_the_footer(tmp_path: Path) -> None:
    table = tmp_path / "split.parquet"
    pq.write_table(_split(("b", "train"), ("a", "train"), ("b", "train"), ("c", "validation")), table)
    assert list(tally(table, "observation_id", "split").items()) == [
        (("b", "train"), 2), (("a", "train"), 1), (("c", "validation"), 1),
    ]  # fmt: skip
    assert count(table) == 4
    for counted in (lambda path: tally(path, "split"), count):
        with pytest.raises(TableError, match="the table absent is missing"):
            counted(tmp_path / "absent.parquet")


ODD_FOLDERS = [
    "NZ birds [2026]", "a=1", "what*ever?", "{a,b}", "100%25 $HOME ~", "it's \"quoted\"", "ümläut", "back\\slash",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_any_folder_that_can_be_made_can_hold_tables(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / name
    folder.mkdir(parents=True)
    for number in range(2):
        pq.write_table(_split(("a", "train"), ("a", "validation")), folder / f"{number}[x].parquet")
    # What a pattern would find in place of the folder.
    (tmp_path / "NZ birds 2").mkdir()
    for source in (folder, folder / "0[x].parquet"):
        output = to_parquet(
            "check_straddling", inputs={"split": source}, output=folder.with_name("out") / "t[1].parquet"
        )
        assert pq.read_table(output).to_pylist() == [{"observation_id": "a"}]
        assert list(output.parent.iterdir()) == [output]
    with connect(inputs={"split": folder}) as connection:
        columns = [row[0] for row in connection.execute("describe split").fetchall()]
    assert columns == ["observation_id", "split"]


def test_a_folder_without_tables_is_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="split is missing"):
        rows("check_straddling", inputs={"split": tmp_path})


def test_a_table_of_another_version_is_a_sentence(tmp_path: Path) -> None:
    table = pa.table({"observation": ["a"]})
    with pytest.raises(TableError, match=r"check_straddling: .*materialise the assets before it again"):
        rows("check_straddling", inputs={"split": table})
    with pytest.raises(TableError, match="materialise the assets before it again"):
        to_parquet("check_straddling", inputs={"split": table}, output=tmp_path / "table.parquet")


def test_what_a_killed_writer_spilled_is_removed_by_the_next_and_a_living_ones_is_not(tmp_path: Path) -> None:
    output = tmp_path / "table.parquet"
    names = (".table.parquet.killed.partial", ".table.parquet.living.partial", ".other.parquet.killed.partial")
    killed, living, another = (tmp_path / name for name in names)
    for folder in (killed, living, another):
        (folder / "spill").mkdir(parents=True)
        (folder / "spill" / "duckdb_temp_storage-0.tmp").write_bytes(b"spilled")
    held = os.open(living, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        to_parquet("check_straddling", inputs={"split": _split(("a", "train"))}, output=output)
        assert sorted(tmp_path.iterdir()) == sorted([output, living, another])
    finally:
        os.close(held)
    to_parquet("check_straddling", inputs={"split": _split(("a", "train"))}, output=output)
    assert sorted(tmp_path.iterdir()) == sorted([output, another])


def _bytes(connection: duckdb.DuckDBPyConnection) -> int:
    query = "select parse_formatted_bytes(current_setting('memory_limit'))"
    (limit,) = connection.execute(query).fetchone() or (0,)
    return int(limit)


def test_steps_that_run_together_share_what_duckdb_sees_of_the_container() -> None:
    with duckdb.connect() as plain, connect(inputs={}) as ours, connect(inputs={}, memory_limit="900 TiB") as greedy:
        assert _bytes(ours) == pytest.approx(_bytes(plain) / STEPS_TOGETHER, rel=0.05)
        assert _bytes(greedy) == pytest.approx(_bytes(ours), rel=0.05)


def test_a_query_never_reaches_the_network() -> None:
    with connect(inputs={}) as connection, pytest.raises(duckdb.Error):
        connection.execute("select * from read_parquet('https://example.org/table.parquet')")


def test_a_query_is_found_in_whatever_folder_it_is() -> None:
    for path in Path("sql").rglob("*.sql"):
        assert select(path.stem) == path.read_text(encoding="utf-8").strip()


def test_facts_travel_in_the_footer_and_what_is_too_large_goes_to_the_disk(tmp_path: Path) -> None:
    table = _split(*[(f"observation {number}" * 20, "train") for number in range(100_000)])
    with connect(inputs={"split": table}, memory_limit="60 MiB", spill=tmp_path / "spill") as connection:
        (limit,) = connection.execute("select current_setting('memory_limit')").fetchone() or ("",)
        assert limit == "60.0 MiB"
        facts = {"citation": "GBIF's", 'a "key"': "b"}
        output = copy(connection, "check_straddling", output=tmp_path / "table.parquet", metadata=facts)
        connection.execute("create table sorted as select * from split order by observation_id desc")
        assert any((tmp_path / "spill").iterdir())
    assert not (tmp_path / "spill").exists()
    found = pq.read_metadata(output).metadata
    assert (found[b"citation"], found[b'a "key"']) == (b"GBIF's", b"b")
