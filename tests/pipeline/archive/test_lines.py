"""Whatever the text of an archive, every line is a row, unchanged, or a rejection; what meta.xml says is honoured."""

import csv
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.archive import lines as lines_module
from pipeline.archive.batches import REJECTS, batches
from pipeline.archive.description import TextFile
from pipeline.archive.enclosed import read_rows
from pipeline.archive.lines import LONGEST_LINE, sift
from pipeline.archive.raw import Raw, unpack

COLUMNS = ("type", "gbifID", "identifier", "format")
Row = tuple[str | None, ...]
# Tabs, quotes, line ends of all kinds, marks, blanks, and text of every plane; bytes that are no text come apart.
ODD = st.one_of(
    st.sampled_from(["\t", "\n", "\r", "\r\n", '"', "'", "\\", "\0", " ", "\ufeff", "\u2028", "\x85", "#", ","]),
    st.text(st.characters(codec="utf-8"), max_size=3),
)
FIELD = st.lists(ODD, max_size=3).map("".join).map(str.encode)
ANY_LINE = st.lists(st.one_of(FIELD, st.just(b"7"), st.binary(max_size=3)), max_size=6).map(b"\t".join)
GOOD_LINE = st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), max_size=4)] * 4).map(
    lambda row: "\t".join((row[0], "7" + row[1], *row[2:])).encode()
)
TEXT = st.tuples(st.lists(st.one_of(ANY_LINE, GOOD_LINE), max_size=12), st.sampled_from([b"\n", b"\r\n"])).map(
    lambda drawn: drawn[1].join(drawn[0])
)


def text_file(**changes: Any) -> TextFile:  # noqa: ANN401
    wanted = {"location": "multimedia.txt", "columns": COLUMNS, "delimiter": "\t", "enclosed_by": "", "header_lines": 0}
    return TextFile(**{**wanted, **changes})


def read(text: bytes, file: TextFile) -> tuple[list[Row], list[tuple[int, str, str]]]:
    """The rows in the order of COLUMNS, and the rejects, through the zip and DuckDB as the pipeline reads them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(folder / "a.zip", "w") as archive:
            archive.writestr(file.location, text)
        raw = unpack(folder / "a.zip", file, folder, name="multimedia")
        return _rows(raw), _rejects(raw.rejects)


def _rows(raw: Raw) -> list[Row]:
    chosen = ", ".join(f'"{name}"' for name in COLUMNS)
    with duckdb.connect() as connection:
        rows = connection.execute(f"select {chosen} from ({raw.select()})").fetchall()
    assert len(rows) == raw.rows
    return rows


def _rejects(path: Path) -> list[tuple[int, str, str]]:
    with duckdb.connect() as connection:
        return connection.execute(f"select line, rule, detail from read_parquet('{path}') order by line").fetchall()


def expected(text: bytes, *, header_lines: int = 0) -> tuple[list[Row], dict[int, str]]:
    """The rule in plain Python: what a line of four fields in UTF-8 with a gbifID is, and is not."""
    rows: list[Row] = []
    rejects: dict[int, str] = {}
    parts = text.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if parts[-1] == b"":
        parts.pop()
    for number, part in enumerate(parts, 1):
        line = part.removesuffix(b"\r")
        if number <= header_lines:
            continue
        try:
            fields = line.decode().split("\t")
        except UnicodeDecodeError:
            fields = []
        if len(fields) != 4 or b"\r" in line:
            rejects[number] = "unreadable_line"
        elif not fields[1].strip(" "):
            rejects[number] = "no_gbif_id"
        else:
            rows.append(tuple(field or None for field in fields))
    return rows, rejects


@given(text=TEXT, header_lines=st.sampled_from([0, 1, 2]))
@hypothesis_settings(max_examples=60, deadline=None)
def test_every_line_is_a_row_unchanged_or_a_rejection(text: bytes, header_lines: int) -> None:
    rows, rejects = read(text, text_file(header_lines=header_lines))
    wanted_rows, wanted_rejects = expected(text, header_lines=header_lines)
    assert rows == wanted_rows
    assert {line: rule for line, rule, _ in rejects} == wanted_rejects


@given(text=st.lists(GOOD_LINE, min_size=1, max_size=30).map(b"\n".join), block=st.integers(1, 40))
@hypothesis_settings(max_examples=30, deadline=None)
def test_where_the_pieces_of_a_text_end_does_not_matter(text: bytes, block: int) -> None:
    before = lines_module.BLOCK
    lines_module.BLOCK = block  # type: ignore[misc]
    try:
        rows, rejects = read(text, text_file())
    finally:
        lines_module.BLOCK = before  # type: ignore[misc]
    assert (rows, rejects) == (expected(text)[0], [])


VALUE = st.text(st.sampled_from(['"', ",", "\n", "a", "é", " ", "\t", "\0"]), max_size=5)


@given(rows=st.lists(st.tuples(VALUE, VALUE.map(lambda value: "7" + value), VALUE, VALUE), max_size=8))
@hypothesis_settings(max_examples=30, deadline=None)
def test_enclosed_values_come_back_as_they_were_written(rows: list[tuple[str, ...]]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    found, rejects = read(stream.getvalue().encode(), text_file(delimiter=",", enclosed_by='"'))
    assert (found, rejects) == ([tuple(value or None for value in row) for row in rows], [])


@given(text=st.lists(st.one_of(ANY_LINE.map(lambda line: line.replace(b"\t", b",")), st.just(b'a,7,"b')), max_size=10))
@hypothesis_settings(max_examples=40, deadline=None)
def test_every_line_of_an_enclosed_file_belongs_to_a_row_or_a_rejection(text: list[bytes]) -> None:
    whole = b"\n".join(text)
    file = text_file(delimiter=",", enclosed_by='"')
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with batches(folder / "rejects", REJECTS) as rejects:
            rows = read_rows(
                io.BytesIO(whole), file, target=folder / "rows", wanted=frozenset(COLUMNS), rejects=rejects
            )
        lost = [line for line, _, _ in _rejects(folder / "rejects")]
    lines = whole.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    total = len(lines) - (lines[-1] == b"")
    assert len(lost) == len(set(lost))
    assert len(lost) + rows <= total
    # A row takes at least one line, and every line that is in no row is rejected: only rows may span several.
    assert set(lost) <= set(range(1, total + 1))
    assert rows or len(lost) == total


def test_a_quote_that_nobody_closes_costs_one_line() -> None:
    text = b'a,7,"b,c\nd,8,e,f\n' + b"g,9,h,i\n" * 100
    rows, rejects = read(text, text_file(delimiter=",", enclosed_by='"'))
    assert len(rows) == 101
    assert [(line, rule) for line, rule, _ in rejects] == [(1, "unreadable_line")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a\t7\t" + b"x" * (LONGEST_LINE + 1) + b"\tc", "more than 1,048,576 bytes"),
        (b"a\t7\t" + b"x" * (5 * LONGEST_LINE) + b"\tc", "more than 1,048,576 bytes"),
        (b"a\t7\t\xff\tc", "not UTF-8"),
        (b"a\t7\tb\rb\tc", "a carriage return inside the line"),
        (b"a\t7", "2 fields where 4 are expected"),
        (b"", "1 fields where 4 are expected"),
        (b"a\t7\tb\tc\td", "5 fields where 4 are expected"),
    ],
)
def test_a_line_that_is_no_row_says_why_and_disturbs_no_other(line: bytes, reason: str) -> None:
    good = b"a\t7\tb\tc"
    rows, rejects = read(b"\n".join([good, line, good]), text_file())
    assert rows == [("a", "7", "b", "c")] * 2
    ((number, rule, detail),) = rejects
    assert (number, rule) == (2, "unreadable_line")
    assert detail.startswith(reason)
    assert len(detail) < 300


@pytest.mark.parametrize("blank", [b"a\t\tb\tc", b"a\t  \tb\tc"])
def test_a_line_without_gbif_id_is_rejected(blank: bytes) -> None:
    assert read(blank, text_file()) == ([], [(1, "no_gbif_id", "a line without gbifID")])


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [b"", None])
def test_delimiters_line_ends_marks_and_a_missing_last_end(
    delimiter: str, end: bytes, mark: bytes, last: bytes | None
) -> None:
    lines = [delimiter.join(COLUMNS).encode(), *[delimiter.join(('it"s', "7", "x\0y", "")).encode()] * 2]
    text = mark + end.join(lines) + (end if last is None else last)
    rows, rejects = read(text, text_file(delimiter=delimiter, header_lines=1))
    assert (rows, rejects) == ([('it"s', "7", "x\0y", None)] * 2, [])


def test_a_default_of_meta_xml_fills_what_the_line_leaves_blank() -> None:
    file = text_file(defaults={"format": "image/jpeg", "license": "CC0"})
    rows, _ = read(b"a\t7\tb\t\na\t8\tb\timage/png", file)
    assert [row[3] for row in rows] == ["image/jpeg", "image/png"]


def test_millions_of_bad_lines_leave_a_trace_each_in_flat_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.archive.batches.BATCH", 500)
    held: list[int] = []
    with batches(tmp_path / "rejects", REJECTS) as rejects:
        add = rejects.add

        def watched(*row: object) -> None:
            add(*row)
            held.append(len(rejects._held))

        monkeypatch.setattr(rejects, "add", watched)
        assert sift(io.BytesIO(b"bad\n" * 20_000), text_file(), target=tmp_path / "rows", rejects=rejects) == 0
    assert max(held) < 500
    assert len(_rejects(tmp_path / "rejects")) == 20_000


def test_rows_keep_the_order_of_the_file() -> None:
    text = b"".join(b"a\t%d\tb\tc\n" % (number % 7) for number in range(50_000))
    rows, _ = read(text, text_file())
    assert [row[1] for row in rows] == [str(number % 7) for number in range(50_000)]
