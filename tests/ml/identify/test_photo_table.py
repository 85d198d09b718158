"""Photographs in a CSV table, as people and spreadsheets write them."""

from pathlib import Path

import pytest

from ml.errors import PhotoError
from ml.identify.photo_table import TableError, in_table
from ml.identify.photographs import Address


def test_a_table_names_photographs_and_organisms(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(
        '﻿organism;note;photo\r\nkeā;"two\r\nlines";plot 1/a.jpg\r\n;;https://example.org/a.jpg\r\nkeā;;\r\n'.encode()
    )
    kea, address, nothing = in_table(table, organisms=True)
    assert (kea.name, kea.source, kea.organism) == ("plot 1/a.jpg", tmp_path / "plot 1" / "a.jpg", "keā")
    assert (address.source, address.organism) == (Address("https://example.org/a.jpg"), None)
    assert isinstance(nothing.source, PhotoError)


def test_a_column_of_organisms_is_needed_only_where_it_is_asked_for(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("photo\n/a.jpg\n", encoding="utf-8")
    assert [each.source for each in in_table(table)] == [Path("/a.jpg")]
    with pytest.raises(TableError, match="has no column `organism`; it has photo"):
        list(in_table(table, organisms=True))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no column `photo`; it has none"),
        (b"image,organism\na.jpg,kea\n", "has no column `photo`; it has image, organism"),
        (b"photo\nk\xe9a.jpg\n", "cannot read the table"),
        (b"photo\n" + b"x" * 2_000_000, "a row has more than 1,000,000 characters"),
        (b'photo\n"' + b"x\n" * 600_000, "a row has more than 1,000,000 characters|field larger than field limit"),
    ],
)
def test_what_is_no_such_table_is_told(tmp_path: Path, content: bytes, reason: str) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(content)
    with pytest.raises(TableError, match=reason):
        list(in_table(table))


def test_a_table_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="No such file"):
        list(in_table(tmp_path / "absent.csv"))
