"""Every file of `sql/` says what it is, declares what it takes, and is one SELECT."""

import re
from pathlib import Path

import duckdb
import pytest

FILES = sorted((Path(__file__).resolve().parents[2] / "sql").rglob("*.sql"))
HEADER = re.compile(
    r"-- Purpose: .+?\n(?:-- .*\n)*?-- Grain: .+?\n(?:-- .*\n)*?-- Inputs: .+?\n(?:-- .*\n)*?-- Parameters: .+?\n"
)


def test_a_name_belongs_to_one_file() -> None:
    assert len({path.stem for path in FILES}) == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_one_select_with_an_honest_header(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert HEADER.match(text), "the header has Purpose, Grain, Inputs and Parameters, in this order"
    (statement,) = duckdb.extract_statements(text)
    assert statement.type == duckdb.StatementType.SELECT
    (declared,) = re.findall(r"^-- Parameters: (.*(?:\n--   .*)*)", text, flags=re.MULTILINE)
    assert set(statement.named_parameters) == set(re.findall(r"\$(\w+)", declared))
    assert "current_date" not in text
    # The values of hash() may change between versions of DuckDB.
    assert "hash(" not in re.sub(r"--[^\n]*", "", text)
