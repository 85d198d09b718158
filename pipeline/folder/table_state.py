"""Tells a table of one's own photographs from what it was before, without reading the photographs."""

from pathlib import Path

from pipeline.files import digest_of, sha256_of
from pipeline.folder.labelled_records import spellings
from pipeline.folder.table import read_table


def fingerprint(table_path: Path) -> str:
    """A hash of the table's bytes, and of size and time of each file that it names; 16 hexadecimal digits.

    Raises:
        FolderError: the table cannot be read, or a quotation mark in it is not closed.
    """
    table = read_table(table_path)
    paths = [row.values["path"] for row in table.rows() if row.problem is None]
    return digest_of(sha256_of(table.path), [_state(path, folder=table.path.parent) for path in paths])


def _state(path: str, *, folder: Path) -> tuple[int, int] | None:
    """Size and time of a file; None where it is not there."""
    for spelling in spellings(path):
        try:
            found = (folder / spelling).stat()
        except (OSError, ValueError):
            continue
        return found.st_size, found.st_mtime_ns
    return None
